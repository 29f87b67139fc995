"""Apps of other kinds: classes, probabilities, times that are integers, published forecasts; memory."""

from __future__ import annotations

import csv
import json
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest

import mlwild as wild
from mlwild.answering import bundle, service_of
from mlwild.answering.bundle import load_bundle
from mlwild.answering.service import FIELDS
from mlwild.errors import DataError
from mlwild.serve.worker import packable

APP = """
import numpy as np, pandas as pd
import mlwild as wild
from sklearn.linear_model import LogisticRegression

def rows(seed=0, n=900):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    kind = np.array(["a", "b", "c"])[np.clip((x + 1.5 + 0.3 * rng.normal(size=n)).astype(int), 0, 2)]
    hour = np.arange(n)
    return pd.DataFrame({{"value": [f"k{{i}}" for i in hour], "hour": hour, "x": x, "guess": kind, "kind": kind}})

app = wild.App(
    name="kinds", data=rows, time="hour", label="kind", delay=5, key="value", features=lambda frame: frame[["x"]],
    models={{"logit": {model}}}, loss="{loss}", every=100, start=300,
    prices=wild.Prices(loss=1.0, retrain=0.0),
)
"""


def put(folder, loss, model="LogisticRegression()"):
    """Put an app into operation."""
    from mlwild.rules import Every

    file = folder / "kinds.py"
    file.write_text(APP.format(loss=loss, model=model))
    wild.operate(wild.load_app(file), rule=Every(1), begin=600, jobs=1)
    return file


def answered(file, folder, kind="jsonl"):
    """Answer rows that it never saw."""
    frame = wild.load_app(file).data.__globals__["rows"](seed=1, n=50)
    frame.drop(columns=["kind"]).to_csv(folder / "in.csv", index=False)
    wild.predict(file, folder / "in.csv", folder / f"out.{kind}")
    return frame, [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]


def test_classes_are_answered_by_their_names(tmp_path):
    frame, said = answered(put(tmp_path, "zero_one"), tmp_path)
    assert np.mean([one["value"] == kind for one, kind in zip(said, frame["kind"], strict=True)]) > 0.7
    assert {one["likely"] for one in said} == {None}  # nothing is known of the others
    # The app's key is called value.
    assert [one["value_"] for one in said] == frame["value"].tolist()
    assert [one["hour"] for one in said] == list(range(50))
    wild.predict(tmp_path / "kinds.py", tmp_path / "in.csv", tmp_path / "out.parquet")


def test_probabilities_have_a_column_a_class(tmp_path):
    _, said = answered(put(tmp_path, "log_loss"), tmp_path)
    for one in said:
        assert sum(one[f"value_{kind}"] for kind in "abc") == pytest.approx(1.0, abs=1e-6)
        assert one["likely"] is None or set(one["likely"]) <= set("abc")
    assert any(one["likely"] for one in said)
    wild.predict(tmp_path / "kinds.py", tmp_path / "in.csv", tmp_path / "out.csv")
    assert '"[""' in (tmp_path / "out.csv").read_text()


def test_a_row_that_is_refused_has_no_set_of_classes_on_any_path(tmp_path):
    file = put(tmp_path, "log_loss")
    file.write_text(
        file.read_text() + "\nimport dataclasses\napp = dataclasses.replace(app, guard=wild.Guard(refuse=1e-9))\n"
    )
    _, said = answered(file, tmp_path)
    assert {(one["status"], one["likely"]) for one in said} == {("refused", None)}
    wild.predict(file, tmp_path / "in.csv", tmp_path / "out.csv")
    assert {row["likely"] for row in csv.DictReader((tmp_path / "out.csv").read_text().splitlines())} == {""}
    wild.predict(file, tmp_path / "in.csv", tmp_path / "out.parquet")
    assert pq.read_table(tmp_path / "out.parquet")["likely"].null_count == 50
    held = bundle(file, store=tmp_path / ".mlwild")
    made = service_of(held[0], load_bundle(*held)).answer({"value": ["k1"], "hour": [1], "x": [0.5]})
    assert (made.status, made.sets) == (["refused"], [None])
    assert packable(made, 1)[FIELDS.index("likely")] == [None]


def test_published_forecasts_are_answered_and_a_missing_one_is_told(tmp_path):
    file = put(tmp_path, "zero_one", 'wild.Forecast("guess")')
    frame, said = answered(file, tmp_path)
    assert [one["value"] for one in said] == frame["kind"].tolist()
    frame.loc[3, "guess"] = None
    frame.drop(columns="kind").to_csv(tmp_path / "in.csv", index=False)
    wild.predict(file, tmp_path / "in.csv", tmp_path / "out.jsonl", force=True)
    fourth = json.loads((tmp_path / "out.jsonl").read_text().splitlines()[3])
    assert (fourth["status"], fourth["cause"]) == ("fallback", "the forecast is missing or no label")


def test_a_time_that_is_an_integer_cannot_be_filled_in(tmp_path):
    file = put(tmp_path, "zero_one")
    frame = wild.load_app(file).data().head(20).drop(columns="kind")
    frame["hour"] = frame["hour"].astype("Int64")
    frame.loc[2, "hour"] = None
    frame.to_csv(tmp_path / "in.csv", index=False)
    wild.predict(file, tmp_path / "in.csv", tmp_path / "out.jsonl")
    third = json.loads((tmp_path / "out.jsonl").read_text().splitlines()[2])
    assert third["status"] == "degraded"
    assert third["cause"] == "hour is missing"
    frame.drop(columns="hour").to_csv(tmp_path / "in.csv", index=False)
    with pytest.raises(DataError, match="no column 'hour'"):
        wild.predict(file, tmp_path / "in.csv", tmp_path / "out.jsonl", force=True, absent=True)


# Not getrusage: what that says of a fresh process is at least what its parent had.
MEASURED = """
import sys, mlwild as wild
wild.predict(*sys.argv[1:4])
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_memory_does_not_grow_with_the_file(operated, tmp_path, kind):
    rows = wild.load_app(operated).data.__globals__["rows"]
    peaks = []
    for n in (20_000, 400_000):
        frame = rows(seed=3, n=n).drop(columns="y")
        path = tmp_path / f"in{n}.{kind}"
        if kind == "jsonl":
            frame = frame.assign(when=frame["when"].astype(str), day=frame["day"].astype(str))
            frame.to_json(path, orient="records", lines=True)
        else:
            getattr(frame, f"to_{kind}")(path, index=False)
        out = tmp_path / f"out{n}.{kind}"
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, operated, path, out], capture_output=True, text=True, check=True
        )
        peaks.append(int(done.stdout) / 1024)
    # 380,000 rows more are some 100 MB as objects of Python: a run that kept them would show.
    assert peaks[1] < peaks[0] + 40, peaks


@pytest.mark.parametrize(
    ("cause", "counted"),
    [
        ("x0 is -5, below 0; x1 is 1,204.5e-3", "x0 is #, below #; x1 is #"),
        ("at needs a time such as 2026-01-31T12:00:00, without a zone", None),
        ("day needs a date such as 2026-01-31", None),
    ],
)
def test_causes_are_counted_without_the_numbers_of_rows_and_examples_stay_readable(cause, counted):
    from mlwild.answering.batch.journal import Journal

    journal = Journal({}, None)
    journal.count(["degraded"], [cause])
    assert list(journal.causes) == [counted or cause]
    assert journal.examples == {counted or cause: cause}


def test_a_reader_is_shown_the_first_of_causes_that_differ_in_their_numbers():
    from mlwild.answering.batch.journal import Journal

    journal = Journal({}, None)
    for said in ("words is 812, above 540", "words is 812, above 540", "words is 900, above 540", "x is missing"):
        journal.count(["degraded"], [said])
        journal.count(["degraded"], [said])
    assert dict(journal.causes) == {"words is #, above #": 6, "x is missing": 2}
    assert list(journal.examples.values()) == ["words is 812, above 540, and the like", "x is missing"]


def test_a_column_whose_name_has_a_number_keeps_it_among_the_causes():
    from mlwild.answering.batch.journal import Journal

    journal, names = Journal({}, None), ("Umsatz (4 Wochen)", "Umsatz (4 Wochen) in 7 Tagen", "x")
    for value in (3, 5):
        said = f"Umsatz (4 Wochen) is {value}, above 2; Umsatz (4 Wochen) in 7 Tagen is missing"
        journal.count(["degraded"], [said], names)
    assert dict(journal.causes) == {
        "Umsatz (4 Wochen) is #, above #; Umsatz (4 Wochen) in 7 Tagen is missing": 2,
    }
