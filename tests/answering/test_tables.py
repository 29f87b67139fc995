"""Side tables between two ticks: whose they are, how long they are kept, and that only the code that is live reads them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import mlwild as wild
from mlwild.answering import bundle, service_of
from mlwild.answering.batch import asked, keeping, run
from mlwild.answering.bundle import load_bundle
from mlwild.answering.tables import KIND, load_tables
from mlwild.errors import AppError, DataError, StoreError
from mlwild.operating import challenge, challenge_of, change_share
from mlwild.rules import Every
from tests.answering.test_ages import APP

#: An app whose rows have a key, as those have that a canary answers.
KEYED = APP.replace('delay="1h",', 'delay="1h", key="id",').replace(
    '"when": when, "x"', '"id": np.arange(N), "when": when, "x"'
)
PLAIN = KEYED.replace('tables={"weather": wild.Table(weather, time="at", delay="10min")}, ', "").replace(
    'def features(frame, tables):\n    return pd.DataFrame({"x": frame["x"], "z": tables["weather"].asof(frame)["z"].to_numpy()})',
    'def features(frame):\n    return pd.DataFrame({"x": frame["x"]})',
)
OTHER = KEYED.replace('tables={"weather"', 'tables={"rain"').replace('tables["weather"].asof', 'tables["rain"].asof')


@pytest.fixture(scope="module")
def keyed(tmp_path_factory):
    """Return the file of an app in operation; what a test changes of it, it puts back."""
    file = tmp_path_factory.mktemp("keyed") / "aged.py"
    file.write_text(KEYED)
    wild.operate(wild.load_app(file), rule=Every(1), store=file.parent / ".mlwild", jobs=1)
    return file


def read_anew(store, key, mark):
    """Return what the process says that a server has read side tables anew."""
    order = json.dumps({"root": str(store.root.absolute()), "key": key, "digest": mark})
    line = [sys.executable, "-P", "-c", "from mlwild.answering.tables import main; main()", order]
    return json.loads(subprocess.run(line, capture_output=True, check=True, timeout=60).stdout)


def kinds(store):
    """Return which side tables are kept, by kind."""
    found = [(kind, key) for key, kind in store.entries() if kind in (KIND, keeping.KIND)]
    return {kind: [key for one, key in found if one == kind] for kind in (KIND, keeping.KIND)}


def aged_by(store, key, kind, seconds):
    path = store.payload(key, kind)
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


@pytest.fixture
def batch(keyed, tmp_path, monkeypatch):
    """Return a function that answers a file, or is interrupted at it; and the store."""
    when = pd.Timestamp("2026-02-19 23:00") + pd.to_timedelta(np.arange(1, 2_101), unit="h")
    rows = pd.DataFrame(
        {"id": np.arange(len(when)) + 10**6, "when": when, "x": np.random.default_rng(1).normal(size=len(when))}
    )
    rows.to_csv(tmp_path / "in.csv", index=False)
    store, _, _ = bundle(keyed, store=keyed.parent / ".mlwild")

    def answer(name, cut=False, **words):
        calls, before = [], asked.sealed

        def sealed(*args):
            calls.append(1)
            if cut and len(calls) == 3:
                raise KeyboardInterrupt
            return before(*args)

        with monkeypatch.context() as patch:
            patch.setattr(run, "EVERY", 0.0)
            patch.setattr(asked, "sealed", sealed)
            wild.predict(keyed, tmp_path / "in.csv", tmp_path / name, store=keyed.parent / ".mlwild", **words)
        return (tmp_path / name).read_bytes()

    yield answer, store
    for kind, keys in kinds(store).items():
        for key in keys:
            store.drop(key, kind)
    keyed.with_name("more.csv").unlink(missing_ok=True)


def come(keyed, sign=1):
    """Let readings come; by default always the same."""
    z = sign * np.random.default_rng(2).normal(size=2_100)
    at = pd.Timestamp("2026-02-19 23:30") + pd.to_timedelta(np.arange(2_100), unit="h")
    pd.DataFrame({"at": at, "z": z}).to_csv(keyed.with_name("more.csv"), index=False)


def test_code_that_was_edited_while_it_is_live_reads_no_tables(keyed):
    store, key, mark = bundle(keyed, store=keyed.parent / ".mlwild")
    keyed.write_text(KEYED.replace('delay="10min")', 'delay="5D")'))
    try:
        said = read_anew(store, key, mark)
    finally:
        keyed.write_text(KEYED)
    assert said.get("wrong") is True
    assert "is not what it was when it was put into operation" in said["why"]
    assert kinds(store)[KIND] == []


def test_a_process_beside_answers_by_the_tables_that_its_batch_was_begun_with(keyed, batch):
    answer, store = batch
    come(keyed)
    whole = answer("whole.csv")

    def interrupted(rows):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        answer("beside.csv", deadline=60.0, progress=interrupted)
    come(keyed, sign=-1)
    assert answer("beside.csv", deadline=60.0) == whole
    assert kinds(store) == {KIND: [], keeping.KIND: []}


def test_a_batch_goes_on_days_later_by_the_tables_that_it_was_begun_with_and_then_drops_them(keyed, batch):
    answer, store = batch
    come(keyed)
    whole = answer("whole.csv")
    assert kinds(store) == {KIND: [], keeping.KIND: []}
    # What a server has is not a batch's to drop, however seldom it reads anew.
    store.put("ab" * 16, KIND, lambda file: file.write(b"0"))
    aged_by(store, "ab" * 16, KIND, 200_000)
    with pytest.raises(KeyboardInterrupt):
        answer("cut.csv", cut=True)
    (own,) = kinds(store)[keeping.KIND]
    aged_by(store, own, keeping.KIND, 200_000)
    come(keyed, -1)
    assert answer("other.csv") != whole
    assert answer("cut.csv") == whole
    assert kinds(store) == {KIND: ["ab" * 16], keeping.KIND: []}


def test_where_the_tables_of_a_batch_are_gone_it_says_what_helps_and_that_does(keyed, batch):
    answer, store = batch
    come(keyed)
    with pytest.raises(KeyboardInterrupt):
        answer("cut.csv", cut=True)
    (own,) = kinds(store)[keeping.KIND]
    store.payload(own, keeping.KIND).write_bytes(b"changed")
    with pytest.raises(
        StoreError, match=r"side tables that .*cut.csv.* gone .* or were changed. Begin anew with --restart"
    ):
        answer("cut.csv")
    answer("cut.csv", restart=True)
    assert kinds(store)[keeping.KIND] == []


def test_a_batch_that_is_refused_leaves_an_earlier_one_its_tables(keyed, batch):
    answer, _ = batch
    come(keyed)
    whole = answer("whole.csv")
    with pytest.raises(KeyboardInterrupt):
        answer("whole.csv", cut=True, force=True)
    come(keyed, -1)
    with pytest.raises(wild.errors.AppError, match="is there already"):
        answer("whole.csv", restart=True)
    assert answer("whole.csv", force=True) == whole


def test_tables_of_a_batch_that_nobody_can_go_on_with_go_after_a_day(keyed, batch, tmp_path):
    answer, store = batch
    come(keyed)
    for name in ("gone", "young", "stands"):
        (tmp_path / name).mkdir()
        keeping.keep_tables(store, tmp_path / name, b"0")
    (tmp_path / "stands" / "journal.json").write_text("{}")
    for name in ("gone", "stands"):
        aged_by(store, keeping._key(tmp_path / name), keeping.KIND, 100_000)
    answer("out.csv")
    assert set(kinds(store)[keeping.KIND]) == {keeping._key(tmp_path / name) for name in ("young", "stands")}


@pytest.mark.parametrize(("text", "names"), [(PLAIN, []), (OTHER, ["rain"])], ids=["none", "another"])
def test_a_canary_from_another_file_has_the_side_tables_of_that_file(keyed, text, names):
    file = keyed.with_name(f"canary{len(names)}.py")
    file.write_text(text.replace("max_iter=20", "max_iter=5"))
    app, folder = wild.load_app(keyed), keyed.parent / ".mlwild"
    challenge(app, file, share=0.3, store=folder, jobs=1)
    try:
        store, key, mark = bundle(keyed, store=folder, arm="canary")
        made = load_bundle(store, key, mark)
        assert (list(made.tables), list(made.limits), made.told()["tables"]) == (names, names, bool(names))
        said = read_anew(store, key, mark)["tables"]
        if names:
            assert list(load_tables(store, *said)) == names
            store.drop(said[0], KIND)
        else:
            assert said is None
        # The champion's are what they were.
        assert list(load_bundle(*bundle(keyed, store=folder)).tables) == ["weather"]
    finally:
        wild.operating.end_challenge(app, store=folder)


#: Rows of another kind of frame; without `x`, told by how many columns there are; and with a column more.
POLARS = PLAIN.replace('return pd.DataFrame({"id"', 'return __import__("polars").DataFrame({"id"').replace(
    'pd.DataFrame({"x": frame["x"]})', 'frame.with_columns(wide=frame["x"] * 2)[["wide"]]'
)
FEWER = PLAIN.replace('"x": x, "y"', '"y"').replace('{"x": frame["x"]}', '{"n": frame["id"] * 0.0 + frame.shape[1]}')
MORE = PLAIN.replace('"x": x, "y"', '"x": x, "w": x, "y"')
USED = MORE.replace('{"x": frame["x"]}', '{"x": frame["w"]}')
ELSE = PLAIN.replace('"x": x, "y"', '"x": np.where(x > 0, "up", "down"), "y"').replace(
    'frame["x"]}', 'frame["x"] == "up"}'
)


def canary_of(keyed, text):
    """Return what answers for a canary from another file, which runs no longer then."""
    file = keyed.with_name("canary.py")
    file.write_text(text.replace("max_iter=20", "max_iter=6"))
    app, folder = wild.load_app(keyed), keyed.parent / ".mlwild"
    challenge(app, file, share=0.3, store=folder, jobs=1)
    try:
        store, key, mark = bundle(keyed, store=folder, arm="canary")
        return service_of(store, load_bundle(store, key, mark))
    finally:
        wild.operating.end_challenge(app, store=folder)


@pytest.mark.parametrize(
    ("text", "features"),
    [(POLARS, {"wide": [1.0]}), (FEWER, {"n": [3.0]}), (MORE, {"x": [0.5]})],
    ids=["kind", "fewer", "more"],
)
def test_a_canary_from_another_file_is_given_rows_as_its_own_data_are(keyed, text, features):
    service = canary_of(keyed, text)
    assert service.bundle.columns.names == ("id", "when", "x")  # as requests give them
    made = service.answer({"id": [7], "when": [1_771_000_000_000_000], "x": [0.5]})
    assert (made.features, made.stage) == (features, ["champion"])


def test_a_canary_that_was_mended_and_begun_again_is_bundled_anew_though_its_model_is_the_same(keyed):
    for text in (PLAIN, PLAIN.replace('{"x": frame["x"]}', '{"x": frame["x"] + 0.0}')):
        made = canary_of(keyed, text).answer({"id": [7], "when": [1_771_000_000_000_000], "x": [0.5]})
        assert (made.features, made.stage) == ({"x": [0.5]}, ["champion"])


@pytest.mark.parametrize(("text", "column"), [(USED, "w"), (ELSE, "x")], ids=["more", "of another kind"])
def test_a_challenger_that_reads_what_requests_do_not_give_is_not_put_beside_the_champion(keyed, text, column):
    reads = f"reads a column '{column}' that the champion's data do not have"
    with pytest.raises(AppError, match=f"share: 'canary' {reads}"):
        canary_of(keyed, text)
    folder, file = keyed.parent / ".mlwild", keyed.with_name("canary.py")
    with pytest.raises(AppError, match="none runs beside"):
        challenge_of(wild.load_app(keyed), store=folder)
    # In shadow it is scored, and answers nothing: neither by a share that is asked for later nor for the log.
    challenge(wild.load_app(keyed), file, store=folder, jobs=1)
    try:
        with pytest.raises(AppError, match=f"share: 'canary' {reads}"):
            change_share(wild.load_app(keyed), 0.3, store=folder, jobs=1)
        assert challenge_of(wild.load_app(keyed), store=folder).share == 0
        with pytest.raises(StoreError, match=f"the shadow {reads}"):
            bundle(keyed, store=folder, arm="shadow")
    finally:
        wild.operating.end_challenge(wild.load_app(keyed), store=folder)


@pytest.fixture(scope="module")
def replaced(tmp_path_factory):
    """Return the file of an app whose side table is a file beside it, once that is there."""
    file = tmp_path_factory.mktemp("replaced") / "aged.py"
    concat = 'return pd.concat([known, pd.read_csv(more, parse_dates=["at"])]) if more.exists() else known'
    assert concat in APP
    file.write_text(APP.replace(concat, 'return pd.read_csv(more, parse_dates=["at"]) if more.exists() else known'))
    wild.operate(wild.load_app(file), rule=Every(1), store=file.parent / ".mlwild", jobs=1)
    return file


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("at,q\n2026-02-01,1.5\n", "tables['weather']: column 'z' is gone."),
        ("at,z\n2026-02-01,wet\n", "tables['weather']: column 'z' holds text, not numbers."),
        ("at,z\n", "tables['weather']: the table has no row."),
        (
            "at,z\n2026-02-01T00:00:00Z,2\n",
            "tables['weather']: column 'at' holds times with a zone, not times without a zone.",
        ),
        ("at,z,q\n2026-02-01,2,new\n", ""),
        ("at,z\n2026-02-01,\n", ""),
    ],
    ids=["gone", "text", "no row", "zone", "whole numbers and another column", "a gap"],
)
def test_tables_of_which_no_features_can_be_made_are_refused_and_those_that_are_there_go_on(
    replaced, said, why, tmp_path
):
    store, key, mark = bundle(replaced, store=replaced.parent / ".mlwild")
    more = replaced.with_name("more.csv")
    (tmp_path / "in.csv").write_text("when,x\n2026-02-01T01:00:00,0.5\n")
    more.write_text(said)
    try:
        found = read_anew(store, key, mark)
        assert found.get("why", "").startswith(why)
        assert ("why" in found) == bool(why)
        if why:
            with pytest.raises(DataError, match=re.escape(why)):
                wild.predict(replaced, tmp_path / "in.csv", tmp_path / "out.csv", store=replaced.parent / ".mlwild")
            assert not (tmp_path / "out.csv").exists()
    finally:
        more.unlink()
