"""Labels as a table of their own: they meet their events, late or changed or strange, and what counts when is said."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import mlwild as wild
from mlwild import rules
from mlwild.errors import AppError, DataError
from mlwild.frames import eager
from mlwild.labels import with_labels
from mlwild.ledger import Ledger
from mlwild.operating import operate
from mlwild.operating.lived import lived
from mlwild.triangle.survey import read_events
from mlwild.warehouse import Stored, add
from tests.support import Line


def rows(n=700, seed=0):
    """Return events and, apart, their labels, which come 40 ticks later; one in ten never."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=n)
    slope = np.where(np.arange(n) < n // 2, 1.0, 2.5)
    events = pd.DataFrame({"id": [f"e{k}" for k in range(n)], "when": np.arange(n), "a": a})
    labels = pd.DataFrame({"id": events["id"], "y": slope * a + 0.3 * rng.normal(size=n), "at": np.arange(n) + 40})
    return events, labels[rng.uniform(size=n) < 0.9].sample(frac=1.0, random_state=seed, ignore_index=True)


def app_of(events, table, **more):
    fields = {"data": (lambda: events), "labels": (lambda: table), "features": (lambda rows: rows[["a"]])} | more
    return wild.App(
        name="apart", time="when", label="y", known_at="at", key="id", models={"line": Line()}, loss="squared",
        every=50, start=100, prices=wild.Prices(loss=1.0, retrain=20.0), **fields,
    )  # fmt: skip


def whole_of(events, labels):
    return events.merge(labels, how="left", on="id")


def test_labels_apart_give_the_sheet_of_labels_beside_their_events(tmp_path):
    events, labels = rows()
    beside = app_of(whole_of(events, labels), None, labels=None)
    sheets = [
        {name: value for name, value in wild.rehearse(one, store=tmp_path / str(k), jobs=1).sheet.items()
         if name not in ("seconds", "fits", "made_of")}
        for k, one in enumerate([beside, app_of(events, labels)])
    ]  # fmt: skip
    assert sheets[0] == sheets[1]


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_any_kind_of_table_will_do_and_the_events_keep_theirs(kind):
    events, labels = rows(60)
    turned = {"pandas": lambda f: f, "polars": pl.from_pandas, "pyarrow": pa.Table.from_pandas}[kind](events)
    found, _ = read_events(app_of(turned, labels, features=None))
    assert type(found.frame.to_native()).__module__.startswith(kind)
    want = whole_of(events, labels)
    assert found.label[found.labelled].tolist() == want["y"].dropna().tolist()
    assert found.known_at[found.labelled].tolist() == want["at"].dropna().astype(int).tolist()


@pytest.mark.parametrize(("events", "labels"), [("int64", "uint64"), ("uint64", "int64"), ("int32", "uint64")])
def test_great_numbers_with_a_sign_and_without_name_the_same_events(events, labels):
    names = np.arange(60) + (0 if events == "int32" else 2**62)
    mine = pd.DataFrame({"id": names.astype(events), "when": np.arange(60), "a": 0.0})
    theirs = pd.DataFrame({"id": names.astype(labels), "y": np.arange(60) * 10.0, "at": np.arange(60) + 5})
    found, _ = read_events(app_of(mine, theirs))
    assert found.label.tolist() == theirs["y"].tolist()


@pytest.mark.parametrize(
    "name", [lambda k: f"{k:04d}", str, lambda k: float(k) + 0.5], ids=["padded", "text", "fraction"]
)
def test_where_no_label_is_of_an_event_it_is_said_how_both_are_named(name):
    """A gap makes fractions of the whole numbers of a pandas frame; some export pads them with zeros."""
    events = pd.DataFrame({"id": [np.nan, *range(1, 60)], "when": np.arange(60), "a": 0.0})
    labels = pd.DataFrame({"id": [name(k) for k in range(1, 60)], "y": 1.0, "at": 100})
    said = f"none of 59 labels is of an event that is there: by 'id' the events are named as 1.0 is, and the labels as {name(1)!r}"
    with pytest.raises(DataError, match=re.escape(said)):
        read_events(app_of(events, labels))
    both = (eager(events, "data"), eager(labels, "labels"))
    told = with_labels(*both, key="id", label="y", known_at="at", until=100)[1]
    assert told.strange == 59  # they may come yet


def mended(labels):
    """Return labels of which some change, and some of events that are not there."""
    some = labels.sort_values("at").iloc[100:140:4].copy()
    later = some.assign(y=some["y"] + 5.0, at=some["at"] + 120)
    strange = pd.DataFrame({"id": ["x1", "x2"], "y": [0.0, 1.0], "at": [300, 305]})
    return pd.concat([labels, later, labels.iloc[:7], strange], ignore_index=True), set(later["id"])


def test_the_value_known_last_counts_and_from_when_it_was(tmp_path):
    events, labels = rows()
    table, changed = mended(labels)
    app = app_of(events, table)
    whole, _ = read_events(app)
    assert (whole.told.changed, whole.told.strange, whole.told.example) == (len(changed), 2, "x1")
    by_id = labels.set_index("id")
    for instant in (150, 250, 330, 10_000):
        found, _ = read_events(app, instant)
        ids = found.frame["id"].to_list()
        for place, name in enumerate(ids):
            if name not in by_id.index or by_id["at"][name] > instant:
                assert not found.labelled[place]
                continue
            late = name in changed and by_id["at"][name] + 120 <= instant
            assert found.label[place] == by_id["y"][name] + 5.0 * late
            assert found.known_at[place] == by_id["at"][name] + 120 * late


def test_each_tick_sees_what_was_known_and_counts_what_changed(tmp_path):
    events, labels = rows()
    table, changed = mended(labels)
    operate(app_of(events, table), rule=rules.Every(2), begin=250, store=tmp_path / "once")
    # Ticked as time goes by, on tables that hold no row of later: the same life.
    for moment in (*range(251, 700, 50), 700):
        now = app_of(events[events["when"] < moment], table[table["at"] < moment])
        operate(now, rule=rules.Every(2) if moment == 251 else None, begin=250 if moment == 251 else None,
                store=tmp_path / "live")  # fmt: skip
    ledgers = [Ledger(tmp_path / name / "operate" / "apart" / "ledger.jsonl") for name in ("once", "live")]
    kept = [[(one.kind, one.cutoff, dict(one.body)) for one in ledger.facts] for ledger in ledgers]
    assert kept[0] == kept[1]
    observed = [one.body for one in lived(ledgers[0]).facts if one.kind == "observed"]
    assert [one["strange_labels"] for one in observed][-1] == 2
    counts = [one["changed_labels"] for one in observed]
    assert counts[0] == 0
    assert counts[-1] == len(changed)
    assert counts == sorted(counts)


def test_a_strange_label_counts_when_its_event_comes():
    events, labels = rows(60)
    without = events[events["id"] != "e7"]
    first, _ = read_events(app_of(without, labels))
    assert first.told.strange == int("e7" in set(labels["id"]))
    second, _ = read_events(app_of(events, labels))
    assert second.told.strange == 0


def test_stored_labels_are_read_as_they_were_known(tmp_path):
    events, labels = rows(400)
    add("events", pa.Table.from_pandas(events), key="id", time="when", warehouse=tmp_path)
    numbered = labels.assign(n=[f"{key}-1" for key in labels["id"]])
    add("labels", pa.Table.from_pandas(numbered), key="n", time="at", known="at", warehouse=tmp_path)
    app = app_of(None, None, data=Stored("events", tmp_path), labels=Stored("labels", tmp_path))
    operate(app, rule=rules.Every(2), begin=250, store=tmp_path / "a")
    operate(app_of(events, labels), rule=rules.Every(2), begin=250, store=tmp_path / "b")
    kept = []
    for name in ("a", "b"):
        facts = Ledger(tmp_path / name / "operate" / "apart" / "ledger.jsonl").facts
        kept.append([(f.kind, f.cutoff, {k: v for k, v in dict(f.body).items() if k != "tables"}) for f in facts])
    assert kept[0] == kept[1]
    assert Ledger(tmp_path / "a" / "operate" / "apart" / "ledger.jsonl").of("observed")[0].body["tables"] == {
        "events": 1,
        "labels": 1,
    }


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda t: t.assign(y=np.nan), "is missing in row"),
        (lambda t: t.assign(at=100), "known before their event"),
        (lambda t: pd.concat([t, t.assign(n="twice", y=9.0)]), "has two labels"),
    ],
)
def test_a_label_that_was_refused_and_is_corrected_does_not_block_the_ticks_of_its_time(harm, said, tmp_path):
    """What is caught up as of then counts it as not known then, and says so."""
    events, labels = rows(400)
    numbered = labels.assign(n=[f"{key}-1" for key in labels["id"]])
    bad = numbered["id"] == labels["id"][(labels["at"] > 255) & (labels["at"] < 290)].iloc[0]
    add("events", pa.Table.from_pandas(events), key="id", time="when", warehouse=tmp_path)
    add("labels", pa.Table.from_pandas(numbered[~bad], preserve_index=False), key="n", time="at", warehouse=tmp_path)
    app = app_of(None, None, data=Stored("events", tmp_path), labels=Stored("labels", tmp_path))
    operate(app, rule=rules.Every(2), begin=250, at=250, store=tmp_path)
    wrong = pa.Table.from_pandas(harm(numbered[bad]), preserve_index=False)
    add("labels", wrong, known="at", warehouse=tmp_path)
    with pytest.raises(DataError, match=said):
        operate(app, store=tmp_path)
    right = numbered[bad].assign(at=380)  # comes after the cutoffs at 300 and 350
    more = [right.assign(n="twice")] if wrong.num_rows > 1 else []
    mended = pa.Table.from_pandas(pd.concat([right, *more]), preserve_index=False)
    add("labels", mended, known="at", correct=True, warehouse=tmp_path)
    operate(app, store=tmp_path)
    seen = Ledger(tmp_path / "operate" / "apart" / "ledger.jsonl").of("observed")
    assert [fact.body.get("unsound_labels", 0) for fact in seen] == [0, *([wrong.num_rows] * (len(seen) - 1))]
    # Then as now it is as if the label had come when it was corrected.
    whole = Stored("labels", tmp_path)().to_pandas()
    counted = [fact.body["labels"] for fact in seen]
    assert counted == [int(((whole["at"] > cut - 50) & (whole["at"] <= cut)).sum()) for cut in (250, 300, 350)]


def test_an_event_whose_label_was_refused_and_is_corrected_does_not_block_the_ticks_of_its_time(tmp_path):
    events, labels = rows(400)
    both = whole_of(events, labels)
    late = both.index == both.index[(both["when"] > 255) & (both["when"] < 290) & both["y"].notna()][0]
    add("both", pa.Table.from_pandas(both[~late], preserve_index=False), key="id", time="when", warehouse=tmp_path)
    app = app_of(None, None, data=Stored("both", tmp_path), labels=None)
    operate(app, rule=rules.Every(2), begin=250, at=250, store=tmp_path)
    wrong = both[late].assign(y=np.inf)
    add("both", pa.Table.from_pandas(wrong, preserve_index=False), known="when", warehouse=tmp_path)
    with pytest.raises(DataError, match="infinite"):
        operate(app, store=tmp_path)
    right = pa.Table.from_pandas(both[late], preserve_index=False)
    add("both", right, correct=True, known="now", warehouse=tmp_path)  # as late as the last row, in ticks
    done = operate(app, store=tmp_path)
    assert [one.facts["observed"]["unsound_labels"] for one in done.ticks] == [1, 1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: pd.concat([t, t.iloc[:1].assign(y=9.0)]), "has two labels, both known at"),
        (lambda t: t.assign(id=t["id"].where(t.index != 3)), "'id' is missing in row 3"),
        (lambda t: t.assign(at=t["at"].astype("Int64").mask(t.index == 5)), "'at' is missing in row 5"),
        (lambda t: t.assign(at=t["at"] - 100), "are known before their event"),
        (lambda t: t.drop(columns="at"), "at"),
        (lambda t: t.assign(id=np.arange(len(t))), "hold other kinds of values"),
        (lambda t: t.iloc[:0], "has no row"),
    ],
)
def test_what_is_wrong_with_labels_is_said(change, said):
    events, labels = rows(60)
    with pytest.raises(DataError, match=said):
        read_events(app_of(events, change(labels)))


@pytest.mark.parametrize("which", ["events", "labels"])
def test_whole_numbers_that_a_frame_holds_as_fractions_name_the_same_events(which):
    events, labels = (one.assign(id=one["id"].str[1:].astype(int)) for one in rows())
    plain = read_events(app_of(events, labels))[0]
    if which == "labels":
        labels = labels.assign(id=labels["id"].astype(float))
    else:  # an event without a name has no label
        named = events["id"] != labels["id"].iloc[-1]
        events, labels = events.assign(id=events["id"].where(named)), labels.iloc[:-1]
        plain = read_events(app_of(events.assign(id=events["id"].astype("Int64")), labels))[0]
    found = read_events(app_of(events, labels))[0]
    assert np.array_equal(found.known_at, plain.known_at)
    assert found.frame["y"].to_list() == pytest.approx(plain.frame["y"].to_list(), nan_ok=True)
    halves = {"events": events, "labels": labels}
    halves[which] = halves[which].assign(id=halves[which]["id"] + 0.5)
    with pytest.raises(DataError, match="hold other kinds of values"):
        read_events(app_of(*halves.values()))


def test_what_is_declared_wrongly_is_said():
    events, labels = rows(60)
    with pytest.raises(AppError, match="the events have a column 'y' too"):
        read_events(app_of(whole_of(events, labels), labels))
    app = app_of(events, labels)
    with pytest.raises(AppError, match="name the column of their events"):
        replace(app, key=None)
    with pytest.raises(AppError, match="from when they are known"):
        replace(app, known_at=None, delay=5)
    with pytest.raises(AppError, match="neither a function"):
        replace(app, labels=labels)


def test_check_tells_what_changed_and_what_is_strange():
    events, labels = rows()
    table, changed = mended(labels)
    found = {one.check: one for one in wild.check(app_of(events, table)).findings}
    assert found["labels"].verdict == "note"
    assert "2 labels are of an event that is not there, such as x1" in found["labels"].said
    assert f"{len(changed)} events have labels of several values" in found["labels"].said
    clean = {one.check: one for one in wild.check(app_of(events, labels)).findings}
    assert clean["labels"].verdict == "pass"


def test_an_event_without_a_name_has_no_label():
    events = pd.DataFrame({"id": pd.array([0, None, 2], dtype="Int64"), "when": [1, 2, 3], "a": [1.0, 2.0, 3.0]})
    labels = pd.DataFrame({"id": [0, 2], "y": [7.0, 8.0], "at": [5, 5]})
    found, _ = read_events(app_of(events, labels))
    assert found.labelled.tolist() == [True, False, True]


def test_a_first_label_before_its_event_is_refused_though_a_later_one_follows():
    events, labels = rows(60)
    early = labels.iloc[:1].assign(at=-5, y=0.0)
    with pytest.raises(DataError, match="1 labels are known before their event"):
        read_events(app_of(events, pd.concat([early, labels])))


def test_a_label_row_that_says_nothing_is_refused():
    events, labels = rows(60)
    with pytest.raises(DataError, match=r"'y' is missing in row 3 \(id=e\d+\): a label that is not known has no row"):
        read_events(app_of(events, labels.assign(y=labels["y"].where(labels.index != 3))))


def test_a_rehearsal_counts_a_changed_label_from_its_last_change_on():
    events, labels = rows()
    table, changed = mended(labels)
    whole, _ = read_events(app_of(events, table))
    at = dict(zip(whole.frame["id"].to_list(), whole.known_at.tolist(), strict=True))
    first = labels.set_index("id")["at"]
    assert all(at[name] == first[name] + 120 for name in changed)
