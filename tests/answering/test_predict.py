"""Rows of a file: one answer each, in order, the same as the service's; and what is refused."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import shutil
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import mlwild as wild
from mlwild.answering import bundle, service_of
from mlwild.answering.batch import asked, inputs, run
from mlwild.answering.batch.inputs import BATCH
from mlwild.answering.bundle import load_bundle
from mlwild.disk import held
from mlwild.errors import AppError, BusyError, DataError, StoreError
from mlwild.serve.requests import Reader


@pytest.fixture(scope="session")
def files(rows, tmp_path_factory):
    """Return the rows as a file of each format."""
    folder = tmp_path_factory.mktemp("rows")
    rows.to_csv(folder / "in.csv", index=False)
    rows.to_parquet(folder / "in.parquet", index=False, row_group_size=777)
    text = "".join(json.dumps(one, default=str) + "\n" for one in rows.to_dict("records"))
    (folder / "in.jsonl").write_text(text)
    return folder


def listed(folder):
    """Return the names in a folder."""
    return sorted(one.name for one in folder.iterdir())


def read(path):
    """Return answers as dicts."""
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="session")
def answers(operated, files):
    """Return the answers to the CSV file as JSON lines."""
    wild.predict(operated, files / "in.csv", files / "answers.jsonl")
    return files / "answers.jsonl"


def test_each_row_has_the_answer_that_the_service_gives_to_requests(operated, rows, answers):
    store, key, mark = bundle(operated)
    made = load_bundle(store, key, mark)
    service = service_of(store, made)
    reader = Reader(made.columns, BATCH, lambda: 1_900_000_000_000_000)
    expected, asked = [], json.loads(json.dumps(rows.to_dict("records"), default=str))
    for place, at in enumerate(range(0, len(asked), BATCH)):
        body = json.dumps({"rows": asked[at : at + BATCH]}).encode()
        columns = reader.predict(body, None).columns
        service.clock = lambda place=place: float(place)
        said = service.answer(dict(zip(made.columns.names, columns, strict=True)))
        for row in range(len(said)):
            expected.append((said.value[row], said.low[row], said.high[row], said.status[row], said.cause[row]))
    found = [
        tuple(np.nan if one[name] is None else one[name] for name in ("value", "low", "high", "status", "cause"))
        for one in read(answers)
    ]
    np.testing.assert_equal(found, expected)
    assert {one[3] for one in found} == {"normal", "degraded", "fallback"}
    # How old the data are: the server says it by the clock, a batch by when its newest label became known.
    newest = {datetime.fromisoformat(one["newest_label"]).timestamp() for one in read(answers)}
    assert newest == {int(made.newest)}
    assert sum("stood still" in one[4] for one in found) == 51
    assert sum("does not fit" in one[4] for one in found) > 300


@pytest.mark.parametrize("source", ["csv", "parquet", "jsonl"])
def test_the_format_of_the_input_does_not_change_a_byte(operated, files, answers, tmp_path, source):
    found = wild.predict(operated, files / f"in.{source}", tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_bytes() == answers.read_bytes()
    assert (found.rows, sum(found.status.values()), found.resumed) == (4_321, 4_321, 0)
    assert listed(tmp_path) == ["out.jsonl"]


def test_the_formats_of_the_output_hold_the_same(operated, files, rows, answers, tmp_path):
    for kind in ("csv", "parquet"):
        wild.predict(operated, files / "in.parquet", tmp_path / f"out.{kind}")
    said, typed, texts = read(answers), read(tmp_path / "out.parquet"), read(tmp_path / "out.csv")
    assert [one["id"] for one in said] == rows["id"].tolist()
    assert [one["when"] for one in typed] == [one.to_pydatetime() for one in rows["when"]]
    for plain, one, text in zip(said, typed, texts, strict=True):
        assert list(plain) == list(one) == list(text)
        newest = one["newest_label"].strftime("%Y-%m-%dT%H:%M:%SZ")
        assert one | {"when": None, "newest_label": newest} == plain | {"when": None}
        assert {name: "" if value is None else str(value) for name, value in plain.items()} == text
    assert (tmp_path / "out.csv").read_text().endswith("\n")


def test_cells_and_rows_that_cannot_be_read_are_answered_as_missing(operated, rows, tmp_path):
    good = rows.iloc[:6].to_csv(index=False).splitlines()
    bad = [line.split(",") for line in good]
    bad[1][2] = "high"
    bad[2][1] = "yesterday"
    bad[3][1] = "2100-01-01 00:00:00+00:00"
    bad[4] = bad[4][:3]
    bad[5][0] = bad[5][1] = ""
    (tmp_path / "in.csv").write_text("\n".join(",".join(line) for line in bad) + "\n")
    found = wild.predict(operated, tmp_path / "in.csv", tmp_path / "out.jsonl")
    said = read(tmp_path / "out.jsonl")
    assert found.rows == len(said) == 6
    assert "x needs a number" in said[0]["cause"]
    assert said[0]["status"] == "degraded"
    assert "when needs a time such as" in said[1]["cause"]
    assert (said[1]["status"], said[1]["when"]) == ("degraded", None)
    assert "when lies more than a day in the future" in said[2]["cause"]
    assert said[2]["when"] is None
    assert "the line has 3 fields, and the header 8" in said[3]["cause"]
    assert said[3]["id"] is None
    assert (said[4]["status"], said[4]["when"], said[4]["id"]) == ("normal", None, None)  # a missing time is now
    assert said[5]["status"] == "normal"
    assert all(isinstance(one["value"], float) for one in said)


def test_lines_of_json_that_are_no_rows_are_answered_too(operated, files, tmp_path):
    good = (files / "in.jsonl").read_text().splitlines()[0]
    lines = [
        good, "{", "[1]", "", '{"x":1,"x":2}', "[" * 100_000, '{"x":' + "9" * 5_000 + "}", '{"x": NaN}',
        '{"z": "' + "a" * 2_000_000 + '"}', good[:-1] + ', "more": {"a": 1}}',
    ]  # fmt: skip
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    wild.predict(operated, tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    said = read(tmp_path / "out.jsonl")
    assert len(said) == 9
    assert (said[0]["status"], said[8]["status"]) == ("normal", "normal")
    assert said[0]["value"] == said[8]["value"]
    parts = ["no JSON object", "no JSON object", "names a field twice", "no JSON object", "no JSON object"]
    for one, part in zip(said[1:6], parts, strict=True):
        assert part in one["cause"]
        assert one["status"] in ("degraded", "fallback")
    assert "absent: z, n, city, vip, day" in said[6]["cause"]
    assert "longer than a row may be" in said[7]["cause"]


def test_a_column_that_is_gone_is_refused_and_answered_on_request(operated, rows, tmp_path):
    rows.iloc[:30].drop(columns="z").assign(extra=1).to_csv(tmp_path / "in.csv", index=False)
    with pytest.raises(DataError, match=r"no column 'z'; it has id, when.* --absent"):
        wild.predict(operated, tmp_path / "in.csv", tmp_path / "out.csv")
    assert listed(tmp_path) == ["in.csv"]
    found = wild.predict(operated, tmp_path / "in.csv", tmp_path / "out.csv", absent=True)
    assert all("absent: z" in one["cause"] for one in read(tmp_path / "out.csv"))
    assert found.status["normal"] == 0
    assert found.unread == ("extra",)


def test_key_and_time_may_be_gone_as_in_a_request(operated, rows, tmp_path):
    rows.iloc[:30].drop(columns=["id", "when"]).to_parquet(tmp_path / "in.parquet")
    found = wild.predict(operated, tmp_path / "in.parquet", tmp_path / "out.parquet")
    assert found.status["normal"] == 30
    assert {one["when"] for one in read(tmp_path / "out.parquet")} == {None}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_no_row_is_no_answer(operated, rows, tmp_path, kind):
    getattr(rows.iloc[:0], f"to_{kind}")(tmp_path / f"in.{kind}", index=False)
    found = wild.predict(operated, tmp_path / f"in.{kind}", tmp_path / f"out.{kind}")
    assert (found.rows, read(tmp_path / f"out.{kind}")) == (0, [])


LINE = "id,when,x,z,n,city,vip,day\n"
BAD = {
    "empty": ("in.csv", b"", DataError, "is empty"),
    "blank": ("in.csv", b"\n\n", DataError, "in.csv has no header: all of its lines are empty"),
    "latin1": ("in.csv", (LINE + "1,,1,1,1,bodø,true,\n").encode("latin1"), DataError, "no UTF-8, from line 2 on.* iconv -f latin1 "),
    "utf16": ("in.csv", LINE.encode("utf-16"), DataError, "no UTF-8, from line 1 on.* iconv -f utf-16 "),
    "cut off": ("in.csv", (LINE + "1,,1").encode(), DataError, "does not end with a line break"),
    "twice": ("in.csv", b"x,x\n", DataError, "two columns 'x'"),
    "semicolons": ("in.csv", LINE.replace(",", ";").encode(), DataError, "in.csv has columns separated by ';', and is read"),
    "tabs": ("in.csv", LINE.replace(",", "\t").encode(), DataError, r"in.csv has columns separated by '\\t', and is read"),
    "open quote": ("in.csv", (LINE + '1,"\n').encode(), DataError, "line 2 of in.csv cannot be read"),
    "endless": ("in.csv", LINE.encode() + b"1," * (9 << 20) + b"\n", DataError, "line 2 of in.csv is longer than 16 MB"),
    "no Parquet": ("in.parquet", b"PAR1 is not enough", DataError, "in.parquet cannot be read"),
    "name": ("in.xlsx", b"x", AppError, "ends with none of"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "data", "kind", "part"), BAD.values(), ids=BAD)
def test_a_file_that_cannot_be_read_is_one_sentence_and_nothing_is_written(operated, tmp_path, name, data, kind, part):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(kind, match=part) as problem:
        wild.predict(operated, tmp_path / name, tmp_path / "out.csv")
    assert "\n" not in str(problem.value)
    assert listed(tmp_path) == [name]


def test_a_file_of_which_no_row_could_be_read_is_answered_once_it_was_mended(operated, rows, tmp_path):
    """Nothing was answered, so that there is nothing to throw away first."""
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    rows.iloc[:50].to_csv(source, index=False)
    whole = source.read_text()
    source.write_text(whole + '1,"\n')
    with pytest.raises(DataError, match="line 52 of in.csv cannot be read"):
        wild.predict(operated, source, out)
    source.write_text(whole)
    assert wild.predict(operated, source, out).rows == 50


def test_outputs_that_would_destroy_something_are_refused(operated, files, tmp_path):
    source = tmp_path / "in.csv"
    shutil.copy(files / "in.csv", source)
    (tmp_path / "link.csv").symlink_to(source)
    (tmp_path / "hard.csv").hardlink_to(source)
    (tmp_path / "folder.csv").mkdir()
    for name, part in (
        ("in.csv", "it is the input"), ("link.csv", "it is the input"), ("hard.csv", "it is the input"),
        ("folder.csv", "no plain file"), ("nowhere/out.csv", "no folder"), ("out.txt", "ends with none"),
    ):  # fmt: skip
        with pytest.raises(AppError, match=part):
            wild.predict(operated, source, tmp_path / name, force=True)
    (tmp_path / "out.csv").write_text("mine")
    with pytest.raises(AppError, match="there already"):
        wild.predict(operated, source, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "mine"
    wild.predict(operated, source, tmp_path / "out.csv", force=True)
    assert len(read(tmp_path / "out.csv")) == 4_321
    with pytest.raises(AppError, match="is not there"):
        wild.predict(operated, tmp_path / "none.csv", tmp_path / "o.csv")
    assert not [name for name in listed(tmp_path) if name.startswith(".")]


class _StopError(Exception):
    pass


def stopped(monkeypatch, operated, source, output, after, **words):
    """Stop a run after some batches, each of them journalled."""
    monkeypatch.setattr(run, "EVERY", 0.0)
    with monkeypatch.context() as patch:

        def stop(rows):
            if rows >= after:
                raise _StopError

        with pytest.raises(_StopError):
            wild.predict(operated, source, output, progress=stop, **words)
        patch.undo()


@pytest.mark.parametrize(("kind", "deadline"), [("csv", None), ("parquet", None), ("jsonl", None), ("csv", 60.0)])
def test_a_run_goes_on_with_what_the_guard_remembered(operated, files, tmp_path, monkeypatch, kind, deadline):
    out, whole = tmp_path / f"out.{kind}", tmp_path / f"whole.{kind}"
    wild.predict(operated, files / f"in.{kind}", whole)
    stopped(
        monkeypatch, operated, files / f"in.{kind}", out, 2_000, deadline=deadline
    )  # in the midst of values that stand still
    assert not out.exists()
    with (tmp_path / f".out.{kind}.predict" / "rows").open("ab") as file:
        file.write(b"half a row")  # what a kill leaves behind the journal
    found = wild.predict(operated, files / f"in.{kind}", out, deadline=deadline)
    assert found.resumed == 2_000
    assert sum(found.status.values()) == 4_321
    assert out.read_bytes() == whole.read_bytes()
    assert listed(tmp_path) == [out.name, whole.name]


def test_without_what_it_remembered_the_answers_would_differ(operated, files, answers, tmp_path, monkeypatch):
    stopped(monkeypatch, operated, files / "in.csv", tmp_path / "out.jsonl", 2_000)
    monkeypatch.setattr(asked, "opened", lambda text, guard: guard.watch())
    wild.predict(operated, files / "in.csv", tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_bytes() != answers.read_bytes()


def test_another_input_is_not_taken_for_the_one_begun_with(operated, files, rows, tmp_path, monkeypatch):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    shutil.copy(files / "in.csv", source)
    stopped(monkeypatch, operated, source, out, 1_000)
    rows.iloc[:50].to_csv(source, index=False)
    with pytest.raises(AppError, match=r"begun with another input, and 1,000 of its rows .* --restart"):
        wild.predict(operated, source, out)
    assert wild.predict(operated, source, out, restart=True).rows == len(read(out)) == 50


def test_another_model_is_not_taken_for_the_one_begun_with(app_file, files, tmp_path, monkeypatch):
    from mlwild.rules import Every

    out = tmp_path / "out.csv"
    stopped(monkeypatch, app_file, files / "in.csv", out, 1_000)
    before = bundle(app_file)[2]
    wild.operate(wild.load_app(app_file), rule=Every(1), at="2026-01-17", jobs=1)
    if bundle(app_file)[2] == before:
        live = app_file.parent / ".mlwild" / "operate" / "batched" / "live.json"
        live.write_text(json.dumps(json.loads(live.read_text()) | {"note": "another"}))
    with pytest.raises(AppError, match="begun with another live model"):
        wild.predict(app_file, files / "in.csv", out)


def test_answers_that_were_changed_behind_its_back_are_not_published(operated, files, tmp_path, monkeypatch):
    out = tmp_path / "out.csv"
    stopped(monkeypatch, operated, files / "in.csv", out, 1_000)
    folder = tmp_path / ".out.csv.predict"
    kept = (folder / "rows").read_bytes()
    for data in (kept.replace(b"champion", b"champiom", 1), kept[:-1]):
        (folder / "rows").write_bytes(data)
        with pytest.raises(StoreError, match="changed or damaged"):
            wild.predict(operated, files / "in.csv", out)
    (folder / "rows").write_bytes(kept)
    journal = folder / "journal.json"
    said = journal.read_text()
    journal.write_text(said.replace('"rows": 1000', '"rows": 1001'))
    with pytest.raises(StoreError, match="journal.json is damaged"):
        wild.predict(operated, files / "in.csv", out)
    journal.write_text(said)
    assert wild.predict(operated, files / "in.csv", out).resumed == 1_000


def test_nothing_but_a_guards_state_is_loaded_from_a_journal():
    import base64
    import pickle

    from mlwild.answering.batch.journal import opened

    with pytest.raises(StoreError, match="cannot be read here"):
        opened(base64.b64encode(pickle.dumps(os.system)).decode(), None)


def test_two_at_once_on_one_output(operated, files, tmp_path):
    lock = tmp_path / ".out.csv.predict" / "lock"
    with held(lock, lambda owner: owner), pytest.raises(BusyError, match=r"is answering into out.csv"):
        wild.predict(operated, files / "in.csv", tmp_path / "out.csv")


def test_an_input_that_changes_meanwhile_is_found(operated, rows, tmp_path):
    source = tmp_path / "in.csv"
    rows.to_csv(source, index=False)

    def touch(_):
        os.utime(source, (1, 1))

    original, run.EVERY = run.EVERY, 0.0
    try:
        with pytest.raises(DataError, match="changed while it was read"):
            wild.predict(operated, source, tmp_path / "out.csv", progress=touch)
    finally:
        run.EVERY = original
    assert not (tmp_path / "out.csv").exists()


def test_a_full_disk_is_one_sentence_and_the_run_goes_on_later(operated, files, answers, tmp_path, monkeypatch):
    out, fsync, left = tmp_path / "out.jsonl", os.fsync, [12]

    def full(handle):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(handle)

    monkeypatch.setattr(run, "EVERY", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match=r"is full\. What was finished is kept"):
            wild.predict(operated, files / "in.csv", out)
    assert wild.predict(operated, files / "in.csv", out).resumed >= 1_000
    assert out.read_bytes() == answers.read_bytes()


def test_a_disk_that_is_full_from_the_beginning_is_not_told_as_another_process(operated, files, tmp_path, monkeypatch):
    """Whoever holds the output cannot write down that it does."""

    class Full(io.FileIO):
        def write(self, *_):
            raise OSError(errno.ENOSPC, "No space left on device")

    before = Path.open

    def opened(path, *words, **named):
        full = path.parent.name.endswith(".predict") and path.name in ("lock", "rows")
        return Full(path, "a+") if full else before(path, *words, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", opened)
        with pytest.raises(StoreError, match=r"the disk of .* is full"):
            wild.predict(operated, files / "in.csv", tmp_path / "out.csv")
    assert list(tmp_path.iterdir()) == []
    wild.predict(operated, files / "in.csv", tmp_path / "out.csv")


def test_a_forecast_and_classes_have_their_columns():
    from mlwild.answering.batch.outputs import Layout
    from mlwild.columns import Column

    layout = Layout(
        (("value_", Column("value", "text")),), ("value_a", "value_b"), "probabilities", np.array(["a", "b"])
    )
    assert layout.names[:5] == ("value_", "value_a", "value_b", "low", "high")
    assert str(layout.schema().field("likely").type) == "list<item: string>"


def test_frames_written_by_pandas_are_read(operated, rows, tmp_path):
    out = tmp_path / "out.parquet"
    rows.iloc[:20].astype({"city": "category"}).to_parquet(tmp_path / "in.parquet")
    assert wild.predict(operated, tmp_path / "in.parquet", out).status["normal"] == 20
    assert pd.read_parquet(out)["value"].notna().all()


def test_a_new_beginning_that_is_refused_throws_nothing_away(operated, files, tmp_path, monkeypatch):
    out = tmp_path / "out.csv"
    stopped(monkeypatch, operated, files / "in.csv", out, 2_000)
    out.write_text("mine\n")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.name != "lock"}
    with pytest.raises(AppError, match="is there already"):
        wild.predict(operated, files / "in.csv", out, restart=True)
    assert {path: path.read_bytes() for path in before} == before


def test_a_long_text_is_a_cell_like_others(operated, rows, tmp_path):
    frame = rows.head(3).astype({"city": object}) if "city" in rows else rows.head(3)
    frame.assign(note="x" * 300_000).to_csv(tmp_path / "in.csv", index=False)
    assert wild.predict(operated, tmp_path / "in.csv", tmp_path / "out.csv").unread == ("note",)
    assert len(read(tmp_path / "out.csv")) == 3


def test_an_input_that_breaks_off_is_told_as_such(operated, files, tmp_path, monkeypatch):
    before = inputs.Rows._lines

    def broken(self):
        for place, line in enumerate(before(self)):
            if place == 1_500:
                raise OSError(errno.EIO, "Input/output error")
            yield line

    monkeypatch.setattr(inputs.Rows, "_lines", broken)
    with pytest.raises(DataError, match=r"^input: in\.csv cannot be read: Input/output error\.$"):
        wild.predict(operated, files / "in.csv", tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()
