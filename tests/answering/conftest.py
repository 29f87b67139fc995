"""One app in operation for all tests here, and rows for it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def operated(tmp_path_factory):
    """Return the file of an app in operation; not to be changed."""
    import mlwild as wild
    from mlwild.answering import bundle
    from mlwild.rules import Every

    file = tmp_path_factory.mktemp("answering") / "batched.py"
    file.write_text((HERE / "app.py.txt").read_text())
    file.with_name("helper.py").write_text("def doubled(x):\n    return 2 * x\n")
    wild.operate(wild.load_app(file), rule=Every(1), at="2026-01-17", begin="2026-01-15", jobs=1)
    bundle(file)
    return file


@pytest.fixture
def app_file(operated, tmp_path):
    """Return a copy of it that may be changed."""
    folder = tmp_path / "app"
    shutil.copytree(operated.parent, folder)
    return folder / operated.name


@pytest.fixture(scope="session")
def rows(operated):
    """Return rows that it never saw, without labels; some are strange, and a feature stands still for a while."""
    import mlwild as wild

    frame = wild.load_app(operated).data.__globals__["rows"](seed=1, n=4_321).drop(columns="y")
    frame.loc[500:502, "x"] = 40.0
    frame.loc[1_980:2_050, "z"] = 0.25
    frame.loc[3_000:3_300, "x"] *= -1.0
    frame.loc[700, "z"] = 0.7021
    return frame
