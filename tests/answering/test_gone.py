"""Models of the fallback chain that are gone from the store are made again where what is live is bundled."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import mlwild as wild
from mlwild.answering import bundle
from mlwild.answering.bundle import KIND, load_bundle, load_model
from mlwild.errors import StoreError
from mlwild.rules import Every


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """Return the file of an app whose chain is what was live before, and another of its models; not to be changed."""
    text = (Path(__file__).parent / "app.py.txt").read_text()
    text = text.replace('fallback=["flat"]', 'fallback=["previous", "flat"]')
    # Of a package: pickled alike wherever the app's file lies.
    text = text.replace('"line": Model()', '"line": LinearRegression()')
    file = tmp_path_factory.mktemp("chain") / "batched.py"
    file.write_text("from sklearn.linear_model import LinearRegression\n" + text)
    file.with_name("helper.py").write_text("def doubled(x):\n    return 2 * x\n")
    wild.operate(wild.load_app(file), rule=Every(1), at="2026-01-17", begin="2026-01-15", jobs=1)
    return file


@pytest.fixture
def chained(chain, tmp_path):
    """Return a copy of it that may be changed."""
    folder = tmp_path / "app"
    shutil.copytree(chain.parent, folder)
    return folder / chain.name


def parts_of(file):
    """Return the store, the digest of what answers, and its models by stage."""
    store, key, mark = bundle(file)
    found = load_bundle(store, key, mark)
    return store, mark, {part.name: part for part in found.parts}


@pytest.mark.parametrize("stage", ["previous", "flat"])
@pytest.mark.parametrize("harm", [lambda path: path.unlink(), lambda path: path.write_bytes(b"damaged")])
@pytest.mark.parametrize("bundled", [True, False])
def test_a_stage_that_is_gone_or_damaged_is_made_again_the_same(chained, stage, harm, bundled):
    store, mark, parts = parts_of(chained)
    assert list(parts) == ["champion", "previous", "flat"]
    harm(store.payload(parts[stage].key, "model"))
    if not bundled:
        for note in store.root.glob(f"memo/*/*.{KIND}*"):
            note.unlink()
    _, again, others = parts_of(chained)
    assert others == parts
    assert again == mark or not bundled  # those that answer by a bundle keep it
    for part in parts.values():
        load_model(store, part)


def test_the_champion_that_is_gone_is_made_again_by_operate_which_it_says(chained):
    store, _, parts = parts_of(chained)
    store.payload(parts["champion"].key, "model").unlink()
    with pytest.raises(StoreError, match=r"the model of champion .* is gone .* have it made again with mlwild operate"):
        bundle(chained)


def test_a_stage_that_cannot_be_made_again_the_same_says_why_and_where_it_was(app_file):
    text = app_file.read_text()
    app_file.write_text(text.replace('fallback=["flat"]', 'fallback=["previous"]'))
    store, _, parts = parts_of(app_file)
    path = store.payload(parts["previous"].key, "model")
    path.unlink()
    # A class of the app's file is pickled with the place of that file, which is another by now.
    with pytest.raises(StoreError, match=r"cannot be made again: .*not the same.* Restore /") as raised:
        bundle(app_file)
    assert str(path) in str(raised.value)
