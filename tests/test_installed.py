"""What is installed is told by its version, wherever it lies; what is the user's own is looked into."""

from __future__ import annotations

import importlib
import sys

import pytest

from mlwild import digest, own_modules
from mlwild.cli.guarded import _ours
from mlwild.digest import fingerprint, is_users, version
from mlwild.errors import users_place
from mlwild.installed import is_installed

NAME = "wildly_installed"
SOURCE = "def clean(x):\n    return x * {factor}\ndef fails(x):\n    raise ValueError('no')\n"
ROOTS = {"--target": "deps", "of the user": "lib/python3.11/site-packages", "of the system": "python3/dist-packages"}


def _install(folder, factor=2, *, package=True, record=True):
    """Lay down a distribution as pip does."""
    file = folder / NAME / "inner.py" if package else folder / f"{NAME}.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    (file.parent / "__init__.py").write_text("") if package else None
    file.write_text(SOURCE.format(factor=factor))
    about = folder / f"{NAME}-{factor}.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {factor}.0\n")
    if record:
        (about / "RECORD").write_text(f"{file.relative_to(folder)},sha256=x,1\n{about.name}/METADATA,,\n")


@pytest.fixture
def loaded(monkeypatch):
    """Import what was installed to a folder, and forget it afterwards."""

    def load(folder, *, package=True):
        monkeypatch.syspath_prepend(str(folder))
        importlib.invalidate_caches()
        version.cache_clear()
        digest._origin.cache_clear()
        for name in (NAME, f"{NAME}.inner"):
            sys.modules.pop(name, None)
        return importlib.import_module(f"{NAME}.inner" if package else NAME)

    yield load
    for name in (NAME, f"{NAME}.inner"):
        sys.modules.pop(name, None)
    version.cache_clear()
    digest._origin.cache_clear()


@pytest.mark.parametrize("package", [True, False], ids=["package", "module"])
@pytest.mark.parametrize("root", ROOTS.values(), ids=ROOTS)
def test_a_package_is_installed_wherever_it_was_installed_to(root, package, tmp_path, loaded):
    folder = tmp_path / root
    _install(folder, package=package)
    made = loaded(folder, package=package)
    assert is_installed(made.__file__)
    assert not is_users(made.__name__)


def test_it_goes_by_its_version_and_not_by_its_code(tmp_path, loaded):
    for place, factor in enumerate((2, 3)):
        _install(tmp_path / str(place), factor)
    one, other = (fingerprint(loaded(tmp_path / str(place)).clean) for place in (0, 1))
    (tmp_path / "0" / NAME / "inner.py").write_text(SOURCE.format(factor=5))
    again = fingerprint(loaded(tmp_path / "0").clean)
    assert one == again != other


def test_one_that_is_installed_to_be_edited_is_the_users_own(tmp_path, loaded):
    """Its record lies among what is installed, its source elsewhere."""
    _install(tmp_path / "src", record=False)
    assert is_users(loaded(tmp_path / "src").__name__)
    assert not is_installed(str(tmp_path / "src" / NAME / "inner.py"))


def test_what_lies_beside_an_installed_package_is_the_users_own(tmp_path, loaded):
    """``pip install --target .`` in the folder of an app."""
    _install(tmp_path)
    loaded(tmp_path)
    assert is_installed(str(tmp_path / NAME / "inner.py"))
    assert not is_installed(str(tmp_path / "app.py"))
    assert not is_installed(str(tmp_path / "wildly_own" / "inner.py"))


def test_what_is_installed_beside_an_app_is_not_looked_into_though_nobody_else_finds_it(tmp_path):
    """The folder of an app is on no path but its own."""
    _install(tmp_path)
    assert is_installed(str(tmp_path / NAME / "inner.py"))
    assert not is_installed(str(tmp_path / "helpers" / "inner.py"))


def test_a_package_that_is_found_where_it_was_installed_to_is_no_module_of_an_apps_own(tmp_path, loaded):
    _install(tmp_path)
    (tmp_path / "helpers.py").write_text("")
    assert not own_modules._installed(NAME)
    loaded(tmp_path)
    assert own_modules._installed(NAME)
    assert not own_modules._installed("helpers")


def test_records_that_cannot_be_read_name_nothing(tmp_path):
    (tmp_path / "odd-1.0.dist-info" / "RECORD").mkdir(parents=True)
    (tmp_path / "torn-1.0.dist-info").mkdir()
    (tmp_path / "torn-1.0.dist-info" / "RECORD").write_bytes(b"\xff\xfe,,\n\n,,\n")
    assert not is_installed(str(tmp_path / "odd" / "inner.py"))
    assert not is_installed(str(tmp_path / "app.py"))
    assert not is_installed("<string>")


def test_the_place_that_is_named_is_the_users(tmp_path, loaded):
    _install(tmp_path)
    with pytest.raises(ValueError, match="no") as caught:
        loaded(tmp_path).fails(1)
    assert users_place(caught.value).startswith("test_installed.py, line ")


def test_where_ours_went_wrong_is_said_wherever_we_lie(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(IsADirectoryError) as caught:
        digest.file_digest(tmp_path)
    assert _ours(caught.value).startswith("digest.py, line ")
