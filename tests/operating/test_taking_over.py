"""What a server logged becomes what the app's log holds: as it was fed, once, and of events as the data have them."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import mlwild as wild
from mlwild import rules
from mlwild.clock import Clock
from mlwild.operating.taking_over import _lines, _same, _wire
from mlwild.serve.answers import Writer
from mlwild.serve.requests import Asked
from mlwild.serve.tickets import constant
from mlwild.served import sealed
from mlwild.show.operation import show_operation
from mlwild.triangle.survey import survey
from tests.operating.test_logged import BEGIN, Rewritten, log_of
from tests.operating.worlds import ledger_of

NAMES = ("when", "a", "b", "id")
LIVE = {"constant": 0.5, "vintage": "7", "loss": 0.3}


def serve(made, folder, rows, features, number=1, arm="champion", status="normal", **changed):
    """Log some events as a server does that was asked for them, with other features than the definition makes."""
    writer = Writer(NAMES, "when", "id", "value", None)
    columns = [changed.get(name, rows[name].tolist()) for name in NAMES]
    asked = Asked("one", columns, len(columns[0]), ((),) * len(columns[0]), "")
    reply = constant(LIVE, asked.n, "")
    texts = [json.dumps(one) if one is not None else "null" for one in features]
    reply = type(reply)(reply.lists | {"features": texts, "status": [status] * asked.n})
    answer = writer.body("one", asked, reply, [arm] * asked.n)
    line = writer.line("one", asked, reply, [arm] * asked.n, {"asked": "", "answer": answer, "vintage": "7"})
    place = folder / "operate" / made.app.name / "served"
    place.mkdir(parents=True, exist_ok=True)
    with (place / f"{number:08d}.jsonl").open("ab") as file:
        file.write(sealed(line))


def period(made, begin=BEGIN):
    return made.whole[(made.whole["when"] >= begin - 50) & (made.whole["when"] < begin)]


def ticked(made, folder, now=BEGIN + 1):
    made.now = now
    wild.operate(made.app, rule=rules.BreakEven(), begin=BEGIN, store=folder)
    return ledger_of(made, folder).of("observed")[-1].body


def test_events_that_were_served_are_logged_as_they_were_fed_and_the_rest_by_the_tick(tmp_path):
    made = Rewritten(tmp_path)
    rows = period(made)
    fed = [{"a": one.a, "b": one.b + 0.25} for one in rows.itertuples()]
    serve(made, tmp_path, rows[:20], fed[:20])
    serve(made, tmp_path, rows[:5], [{"a": 9.0, "b": 9.0}] * 5)  # asked for again: the first answer counts
    serve(made, tmp_path, rows[20:22], [None, None])  # features raised
    serve(made, tmp_path, rows[22:25], fed[22:25], a=[5.0, 5.0, 5.0])  # somebody who tries it out
    serve(made, tmp_path, rows[25:26], fed[25:26], id=["nobody"])
    found = ticked(made, tmp_path)
    assert found["served"] == {"served": 20, "unlike": 3}
    assert found["logged"] == 50
    logged = log_of(tmp_path).set_index("_event")
    assert len(logged) == 50
    served = logged.loc[rows["id"][:20]]
    assert served["b"].to_numpy() == pytest.approx(rows["b"][:20] + 0.25, abs=0)
    assert (served["_vintage"] == "7").all()
    assert (served["_prediction"] == 0.5).all()
    rest = logged.loc[rows["id"][20:]]
    assert rest["b"].to_numpy() == pytest.approx(rows["b"][20:], abs=0)
    # It is what this very tick learned from.
    read = survey(replace(made.app, data=lambda: made.whole[made.whole["when"] < BEGIN]))
    at = np.flatnonzero(read.time >= BEGIN - 50)[:20]
    assert np.asarray(read.features.column("b"))[at] == pytest.approx(rows["b"][:20].to_numpy() + 0.25, abs=0)


def test_what_a_service_logged_itself_is_left_as_it_is(tmp_path):
    made = Rewritten(tmp_path)
    rows = period(made)
    wild.log_features(made.app, rows[:3], pd.DataFrame({"a": [7.0] * 3, "b": [7.0] * 3}))
    serve(made, tmp_path, rows[:6], [{"a": 1.0, "b": 2.0}] * 6)
    assert ticked(made, tmp_path)["logged"] == 50
    logged = log_of(tmp_path).set_index("_event").loc[rows["id"][:6], "b"]
    assert logged.tolist() == [7.0] * 3 + [2.0] * 3


def test_the_terminal_says_what_was_taken_over(tmp_path, capsys):
    made = Rewritten(tmp_path)
    rows = period(made)
    serve(made, tmp_path, rows[:4], [{"a": 1.0, "b": 2.0}] * 4)
    serve(made, tmp_path, rows[4:5], [{"a": 1.0, "b": 2.0}], a=[5.0])
    made.now = BEGIN + 1
    show_operation(wild.operate(made.app, rule=rules.BreakEven(), begin=BEGIN, store=tmp_path))
    said = " ".join(capsys.readouterr().out.split())
    assert "4 events were served: their features are logged as they were fed; 1 were asked for" in said


def test_a_tick_that_comes_again_takes_nothing_over_twice_and_later_periods_go_on(tmp_path):
    made = Rewritten(tmp_path)
    first, second = period(made), period(made, BEGIN + 50)
    serve(made, tmp_path, first, [{"a": 1.0, "b": 2.0}] * 50)
    serve(made, tmp_path, second[:10], [{"a": 3.0, "b": 4.0}] * 10, number=2)
    assert ticked(made, tmp_path)["served"] == {"served": 50, "unlike": 0}
    assert wild.operate(made.app, store=tmp_path).ticks == ()
    made.now = BEGIN + 51
    wild.operate(made.app, store=tmp_path)
    assert ledger_of(made, tmp_path).of("observed")[-1].body["served"] == {"served": 10, "unlike": 0}
    logged = log_of(tmp_path)
    assert logged["_event"].is_unique
    assert logged["b"][logged["_time"].between(BEGIN, BEGIN + 9)].tolist() == [4.0] * 10
    assert logged["b"][logged["_time"].between(BEGIN + 10, BEGIN + 49)].to_numpy() == pytest.approx(
        second["b"][10:], abs=0
    )


@pytest.mark.parametrize(
    "odd",
    [
        {"arm": "canary"},
        {"arm": "shadow"},
        {"status": "degraded"},
        {"status": "fallback"},
        {"when": list(range(300, 350))},
    ],
    ids=str,
)
def test_what_is_not_the_champions_as_normal_at_the_events_time_is_left_to_the_tick(tmp_path, odd):
    made = Rewritten(tmp_path)
    rows = period(made)
    serve(made, tmp_path, rows, [{"a": 1.0, "b": 2.0}] * 50, **odd)
    found = ticked(made, tmp_path)
    assert found["served"] == {"served": 0, "unlike": 50 * ("when" in odd)}
    assert log_of(tmp_path)["b"].to_numpy() == pytest.approx(rows["b"], abs=0)


def test_a_row_whose_features_are_others_than_are_made_now_is_left_to_the_tick(tmp_path):
    made = Rewritten(tmp_path)
    rows = period(made)
    fed = [{"a": 1.0, "b": 2.0}, {"b": 2.0}, {"a": 1.0, "b": "odd"}, {"a": 1.0, "b": None}, {"a": 1, "b": 2, "c": 3}]
    serve(made, tmp_path, rows[:5], fed)
    assert ticked(made, tmp_path)["served"] == {"served": 3, "unlike": 0}
    logged = log_of(tmp_path).set_index("_event").loc[rows["id"][:5], "b"]
    assert logged.tolist()[:3] == [2.0, *rows["b"][1:3]]
    assert np.isnan(logged.iloc[3])
    assert logged.iloc[4] == 2.0


def test_narrow_numbers_decimals_and_keys_that_are_dates_agree_with_what_json_says():
    table = pa.table(
        {
            "f": pa.array([0.1, None], pa.float32()), "d": pa.array([Decimal("0.25"), None], pa.decimal128(5, 2)),
            "i": pa.array([3, None], pa.int16()), "t": pa.array([0, None], pa.timestamp("ms")),
        }
    )  # fmt: skip
    for name, value in {"f": 0.1, "d": 0.25, "i": 3, "t": 0}.items():
        assert _same(table.column(name), 0, value)
        assert not _same(table.column(name), 0, None)
        assert not _same(table.column(name), 0, 7)
        assert _same(table.column(name), 1, None)
        assert not _same(table.column(name), 1, value)


def test_a_damaged_log_is_told_and_stops_nothing(tmp_path):
    made = Rewritten(tmp_path)
    rows = period(made)
    serve(made, tmp_path, rows[:10], [{"a": 1.0, "b": 2.0}] * 10)
    serve(made, tmp_path, rows[10:20], [{"a": 1.0, "b": 2.0}] * 10)
    path = tmp_path / "operate" / made.app.name / "served" / "00000001.jsonl"
    one, two = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(one + two[:50] + b"#" + two[51:])
    found = ticked(made, tmp_path)
    assert found["served"]["served"] == 10
    assert "line 2" in found["alarm"]
    assert len(log_of(tmp_path)) == 50


def test_an_alarm_that_is_a_sentence_is_printed_with_one_stop(tmp_path, capsys):
    made = Rewritten(tmp_path)
    place = tmp_path / "operate" / made.app.name / "served"
    place.mkdir(parents=True)
    (place / "00000001.jsonl").write_bytes(b"hello\n")
    made.now = BEGIN + 1
    show_operation(wild.operate(made.app, rule=rules.BreakEven(), begin=BEGIN, store=tmp_path))
    said = " ".join(capsys.readouterr().out.split())
    assert "Restore the file from a copy. Next tick" in said


def test_without_a_log_or_a_server_nothing_is_said(tmp_path):
    made = Rewritten(tmp_path)
    assert "served" not in ticked(made, tmp_path)
    plain = Rewritten(tmp_path / "plain", logged=False)
    serve(plain, tmp_path / "plain", period(plain), [{"a": 1.0, "b": 2.0}] * 50)
    assert "served" not in ticked(plain, tmp_path / "plain")


def test_what_was_answered_after_the_end_of_a_period_is_left_to_the_tick(tmp_path):
    """Times with a zone: a server that runs today answers nothing of a period that ended in the past."""
    n = 700
    when = pd.Timestamp("2026-01-01", tz="Europe/Oslo") + pd.to_timedelta(np.arange(n), unit="h")
    rng = np.random.default_rng(0)
    x = rng.normal(size=n)
    rows = pd.DataFrame(
        {"when": when, "x": x, "day": when.normalize().tz_localize(None), "id": np.arange(n), "y": 2 * x}
    )
    app = wild.App(
        name="zoned", data=lambda: rows, time="when", label="y", delay="6h", key="id", loss="absolute", every="5D",
        start="2026-01-06", features=lambda frame: frame[["x"]], models={"none": lambda X, y: lambda X: np.zeros(len(X))},
        logged=wild.Stored("log", tmp_path / "warehouse"),
    )  # fmt: skip
    folder = tmp_path / "operate" / "zoned" / "served"
    folder.mkdir(parents=True)

    def line(row, at, fed, late=0):
        micros = int(rows["when"][row].value // 1000) + late * 1_000_000
        event = {"id": row, "when": micros, "x": float(x[row]), "day": int(rows["day"][row].value // 1000)}
        answer = {"predictions": [{"value": 0.0, "vintage": "1", "status": "normal"}]}
        asked = [{"key": row, "arm": "champion", "event": event, "features": {"x": fed}}]
        return sealed(json.dumps({"id": "a", "at": at, "rows": asked, "answer": answer}))

    second = rows["when"].dt.tz_convert("UTC").dt.tz_localize(None).astype("datetime64[us]").astype("int64") / 1e6
    lines = [line(row, float(second[row]) + 1.0, 7.0) for row in range(500, 510)]
    lines += [line(row, float(second[row]) + 30 * 86_400.0, 8.0) for row in range(510, 520)]
    # The label is known after six hours: who asks then may have seen it.
    lines += [line(row, float(second[row]) + 6 * 3_600.0 + 1.0, 9.0) for row in range(520, 530)]
    lines += [line(row, float(second[row]) + 1.0, 9.5, late=120) for row in range(530, 540)]
    lines += [line(row, float(second[row]) + 30.0, 6.0, late=20) for row in range(540, 550)]
    # The period ends with the 26th, some hours before the last labels are known.
    ends = pd.Timestamp("2026-01-26", tz="Europe/Oslo").timestamp()
    lines += [line(row, ends + 600.0, 8.5) for row in range(596, 600)]
    (folder / "00000001.jsonl").write_bytes(b"".join(lines))
    wild.operate(app, rule=rules.Every(1), begin="2026-01-21", store=tmp_path)
    logged = log_of(tmp_path).set_index("_event")
    assert logged.loc[500:509, "x"].tolist() == [7.0] * 10
    assert logged.loc[510:539, "x"].to_numpy() == pytest.approx(x[510:540], abs=0)
    assert logged.loc[540:549, "x"].tolist() == [6.0] * 10
    assert logged.loc[596:599, "x"].to_numpy() == pytest.approx(x[596:600], abs=0)


def test_events_whose_times_are_dates_are_taken_over_too(tmp_path):
    n = 600
    x = np.random.default_rng(0).normal(size=n)
    day = np.datetime64("2026-01-01") + np.arange(n) // 6
    rows = pa.table({"id": np.arange(n), "on": pa.array(day.tolist(), pa.date32()), "x": x, "y": 2 * x})
    app = wild.App(
        name="dated", data=lambda: rows, time="on", label="y", delay="3D", key="id", loss="absolute", every="10D",
        start="2026-01-21", features=lambda frame: frame.select(["x"]),
        models={"none": lambda X, y: lambda X: np.zeros(len(X))}, logged=wild.Stored("log", tmp_path / "warehouse"),
    )  # fmt: skip
    folder = tmp_path / "operate" / "dated" / "served"
    folder.mkdir(parents=True)

    def line(row, days=0):
        """Log an answer that was given at nine on the event's day; its date may be said otherwise."""
        said = int(day[row].astype(int))
        answer = {"predictions": [{"value": 0.0, "vintage": "1", "status": "normal"}]}
        event = {"id": row, "on": said + days, "x": float(x[row])}
        asked = [{"key": row, "arm": "champion", "event": event, "features": {"x": 7.0}}]
        return sealed(json.dumps({"id": "a", "at": said * 86_400.0 + 32_400, "rows": asked, "answer": answer}))

    lines = [*(line(row) for row in range(500, 510)), *(line(row, days=1) for row in range(510, 515))]
    (folder / "00000001.jsonl").write_bytes(b"".join(lines))
    wild.operate(app, rule=rules.Every(1), begin="2026-04-01", store=tmp_path)
    assert ledger_of(SimpleNamespace(app=app), tmp_path).of("observed")[0].body["served"] == {"served": 10, "unlike": 5}
    logged = log_of(tmp_path).set_index("_event").sort_index()
    assert logged.loc[500:509, "x"].tolist() == [7.0] * 10
    assert logged.loc[510:514, "x"].to_numpy() == pytest.approx(x[510:515], abs=0)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (1.5, 1.5), (float("nan"), None), (None, None), ("a", "a"), (True, True), (3, 3),
        (pd.Timestamp("1970-01-02").to_pydatetime(), 86_400_000_000),
        (pd.Timestamp("1970-01-01T01:00", tz="Europe/Oslo").to_pydatetime(), 0),
        (pd.Timestamp("1970-01-03").date(), 2),
    ],
)  # fmt: skip
def test_cells_are_compared_as_requests_give_them(cell, said):
    assert _wire(cell) == said


def test_where_times_have_no_zone_an_answer_is_dated_as_clocks_on_the_wall_were_then(tmp_path, monkeypatch):
    instants = [pd.Timestamp(one) for one in ("2026-07-01T10:00Z", "2026-10-25T00:30Z", "2026-12-01T10:00Z")]
    lines = b"".join(sealed(json.dumps({"at": one.timestamp()})) for one in instants)
    (tmp_path / "00000001.jsonl").write_bytes(lines)
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "Europe/Berlin")
        time.tzset()
        read = list(_lines(SimpleNamespace(clock=Clock("naive")), tmp_path, 0, 2**62))
    time.tzset()
    walls = [one.tz_convert("Europe/Berlin").tz_localize(None) for one in instants]
    assert [pd.Timestamp(at) for _, at in read] == walls
