"""What answers, for apps of all kinds: frames, labels, times, side tables, forecasts; bundled, loaded and asked."""

from __future__ import annotations

import pickle
from textwrap import dedent
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import mlwild as wild
from mlwild.answering import bundle, service_of
from mlwild.answering.bundle import load_bundle
from mlwild.errors import AppError, StoreError
from mlwild.rules import Every
from mlwild.triangle.survey import read_events, survey

HEAD = """
import numpy as np, pandas as pd, polars as pl, pyarrow as pa
from sklearn.linear_model import LogisticRegression, LinearRegression
from sklearn.tree import DecisionTreeClassifier
import mlwild as wild

N = 900
rng = np.random.default_rng(0)
x, z = rng.normal(size=(2, N))
hours = np.arange(N)
when = pd.Timestamp("2026-01-01") + pd.to_timedelta(hours, unit="h")
noise = rng.normal(size=N)
word = np.array(["a", "b", "c"])[np.clip(np.round(x + 0.3 * noise), -1, 1).astype(int) + 1]
common = dict(time="when", label="y", models={"model": MODEL}, loss="LOSS", every=EVERY, start=START,
              prices=wild.Prices(loss=1.0, retrain=0.0))
"""

KINDS = {
    "pandas": """
        def rows():
            return pd.DataFrame({"when": when, "x": x, "z": z, "y": x + 0.1 * noise})
        app = wild.App(name="kind", data=rows, delay="1h", **common)
    """,
    "polars": """
        def rows():
            return pl.DataFrame({"when": when.to_numpy(), "x": x, "z": z, "y": x + 0.1 * noise})
        def features(frame):
            return frame.select("x", "z")
        app = wild.App(name="kind", data=rows, delay="1h", features=features, **common)
    """,
    "arrow to numpy": """
        def rows():
            return pa.table({"when": when.to_numpy().astype("datetime64[us]"), "x": x, "z": z, "y": x + 0.1 * noise})
        def features(table):
            return np.column_stack([table["x"].to_numpy(), table["z"].to_numpy()])
        app = wild.App(name="kind", data=rows, delay="1h", features=features, **common)
    """,
    "words and probabilities": """
        def rows():
            zoned = when.tz_localize("Europe/Oslo", nonexistent="shift_forward")
            return pd.DataFrame({"when": zoned, "x": x, "z": z, "y": word})
        app = wild.App(name="kind", data=rows, delay="1h", **common)
    """,
    "classes": """
        def rows():
            return pd.DataFrame({"when": when, "x": x, "z": z, "y": word})
        app = wild.App(name="kind", data=rows, delay="1h", **common)
    """,
    "counted time": """
        def rows():
            return pd.DataFrame({"when": hours, "x": x, "z": z, "y": (x + noise > 0)})
        app = wild.App(name="kind", data=rows, delay=1, **common)
    """,
    "side table": """
        def rows():
            return pd.DataFrame({"when": when, "id": hours, "x": x, "y": x + z + 0.1 * noise})
        def weather():
            return pd.DataFrame({"at": when - pd.Timedelta("30min"), "z": z})
        def features(frame, tables):
            return pd.DataFrame({"x": frame["x"], "z": tables["weather"].asof(frame)["z"].to_numpy()})
        app = wild.App(name="kind", data=rows, delay="1h", key="id", features=features,
                       tables={"weather": wild.Table(weather, time="at", delay="10min")}, **common)
    """,
    "declared service": """
        def rows():
            return pd.DataFrame({"when": when, "x": x, "z": z, "y": x + 0.1 * noise})
        def features(frame):
            return frame[["x", "z"]]
        def served(model, row):
            return model.predict(row)
        app = wild.App(name="kind", data=rows, delay="1h", features=features,
                       serving=wild.Serving(predict=served), **common)
    """,
}
SAID = {
    "words and probabilities": ("LogisticRegression()", "log_loss"),
    "classes": ("DecisionTreeClassifier(max_depth=3)", "zero_one"),
    "counted time": ("LogisticRegression()", "brier"),
}


def written(folder, kind, more=""):
    model, loss = SAID.get(kind, ("LinearRegression()", "squared"))
    every, start = ("120", "240") if kind == "counted time" else ('"5D"', '"2026-01-11"')
    if kind == "words and probabilities":
        start = '"2026-01-11T00:00+01:00"'
    text = HEAD.replace("MODEL", model).replace("LOSS", loss).replace("EVERY", every).replace("START", start)
    file = folder / "kind.py"
    file.write_text(text + dedent(KINDS[kind]) + more)
    return file


def answering(file):
    store, key, digest = bundle(file, store=file.parent / ".mlwild")
    return service_of(store, load_bundle(store, key, digest))


def asked(app, service, n):
    """Return the newest rows as a request gives them."""
    table = service.bundle.columns
    events = read_events(app)[0]
    frame = events.frame.to_arrow()
    first = frame.num_rows - n
    columns = {}
    for column in table.needed:
        values = frame.column(column.name).slice(first)
        if column.kind == "time":
            values = values.cast(pa.timestamp("us", values.type.tz)).cast("int64")
        columns[column.name] = values.to_pylist()
    return columns, first


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_is_what_the_model_says_of_the_features(kind, tmp_path):
    file = written(tmp_path, kind)
    app = wild.load_app(file)
    wild.operate(app, rule=Every(1), store=tmp_path / ".mlwild", jobs=1)
    service = answering(file)
    columns, first = asked(app, service, 40)
    found = service.answer(columns)
    read = survey(app)
    rows = read.features.slice(first)
    from mlwild import frames, models

    expected = models.predict(service.fitted[0], frames.from_arrow(rows, read.kind, "features"), read.ask, read.classes)
    normal = np.array([one == "normal" for one in found.status])
    assert normal.mean() > 0.8
    np.testing.assert_allclose(found.value[normal], expected[normal], rtol=1e-6)
    one = service.answer({name: values[:1] for name, values in columns.items()})
    np.testing.assert_allclose(one.value[0], found.value[0], rtol=1e-6)
    assert set(found.features) == set(rows.column_names)
    # Times are counted as those that the guard learned from, and one hour on the other.
    assert service.maker.times(columns).tolist() == read.time[first:].tolist()
    assert service.maker.times({name: values for name, values in columns.items() if name != app.time}) is None
    assert service.maker.times(columns | {app.time: [None, *columns[app.time][1:]]}) is None
    assert (service.bundle.guard.fences.lasting > 0).all()
    assert found.likely.shape == (40, 3 if read.ask == "probabilities" else 2 if read.ask == "probability" else 0)
    # Nothing at all is answered too, and told.
    nothing = service.answer({name: [None] for name in columns} | {app.time: columns[app.time][:1]})
    assert nothing.status[0] in ("degraded", "fallback")
    assert nothing.cause[0]
    assert np.isfinite(nothing.value).all()
    # From the second stage on the champion is not asked.
    later = service.answer(columns, stage=1)
    assert "champion" not in later.stage
    assert "champion did not answer in time" in later.cause[0]
    assert np.isfinite(later.value).all()
    # That is not held against it where it was not asked: who stood by takes over when the other dies.
    for _ in range(10):
        service.answer(columns, stage=1)
    assert service.answer(columns).status == found.status


FORECAST = """
    def rows():
        return pd.DataFrame({"when": when, "said": x, "y": x + 0.1 * noise})
    common = common | {"models": {"model": wild.Forecast("said")}}
    app = wild.App(name="kind", data=rows, delay="1h", **common)
"""


def test_a_published_forecast_is_answered_as_it_is_given(tmp_path, monkeypatch):
    monkeypatch.setitem(KINDS, "forecast", FORECAST)
    file = written(tmp_path, "forecast")
    wild.operate(wild.load_app(file), rule=Every(1), store=tmp_path / ".mlwild", jobs=1)
    service = answering(file)
    found = service.answer({"when": [0, 0], "said": [0.25, None]})
    assert found.value[0] == 0.25
    assert found.status == ["normal", "fallback"]
    assert np.isfinite(found.value[1])
    assert found.stage == ["champion", "constant"]


#: An app whose features cannot be made of some rows.
RAISES = dedent("""
    def guarded(frame):
        if (frame["x"] == 0.123456).any():
            raise KeyError("secret")
        return frame[["x", "z"]]
    import dataclasses
    app = dataclasses.replace(app, features=guarded)
""")


def test_features_that_raise_are_answered_for_and_only_at_their_rows(tmp_path, capfd):
    file = written(tmp_path, "pandas", RAISES)
    wild.operate(wild.load_app(file), rule=Every(1), store=tmp_path / ".mlwild", jobs=1)
    service = answering(file)
    x = [0.1, 0.2, 0.123456, 0.4, 0.5]
    found = service.answer({"when": [0] * 5, "x": x, "z": [0.0, 0.1, 0.2, 0.3, 0.4]})
    assert [one == "fallback" for one in found.status] == [False, False, True, False, False]
    assert found.cause[2] == "features raised KeyError"
    assert np.isfinite(found.value).all()
    assert len(found.features["x"]) == 5
    assert "secret" in capfd.readouterr().err  # for the operator


def test_rows_whose_features_cannot_be_made_cost_no_others_theirs_however_many_they_are(tmp_path):
    """A word that the function knows nothing of, in one row of thirty: alone, all others are answered by the model."""
    file = written(tmp_path, "pandas", RAISES)
    wild.operate(wild.load_app(file), rule=Every(1), store=tmp_path / ".mlwild", jobs=1)
    service = answering(file)
    rng, n = np.random.default_rng(0), 600
    x, bad = rng.uniform(-1, 1, n), rng.permutation(n) < n // 30
    x[bad] = 0.123456
    rows = {"when": [0] * n, "x": x.tolist(), "z": rng.uniform(-1, 1, n).tolist()}
    found = service.answer(rows)
    assert [one == "features raised KeyError" for one in found.cause] == bad.tolist()
    assert {one for one, broken in zip(found.stage, bad, strict=True) if not broken} == {"champion"}
    # Where nearly all rows are so, they are not asked for one by one.
    calls, maker = [], service.maker
    service.maker = SimpleNamespace(make=lambda *given: calls.append(1) or maker.make(*given))
    service.answer({"when": [0] * n, "x": [0.123456] * n, "z": [0.1] * n})
    assert len(calls) < 140
    # Where somebody waits, it takes no more calls than at first once the time for it is up.
    calls.clear()
    service.maker, service.haste = SimpleNamespace(**{name: getattr(maker, name) for name in ("overdue", "times")}), 0.0
    service.maker.make = lambda *given: calls.append(1) or maker.make(*given)
    assert set(service.answer(rows).stage) == {"champion", "constant"}
    assert len(calls) < 90


def test_a_bundle_is_made_once_and_again_when_what_is_live_changes(tmp_path):
    file = written(tmp_path, "pandas")
    app, store = wild.load_app(file), tmp_path / ".mlwild"
    wild.operate(app, rule=Every(1), begin="2026-01-26", at="2026-01-31", store=store, jobs=1)
    first = bundle(file, store=store)
    noted = first[0].payload(first[1], "bundle").stat().st_ino  # another file, if it were written again
    assert bundle(file, store=store)[1:] == first[1:]
    assert first[0].payload(first[1], "bundle").stat().st_ino == noted
    wild.operate(app, store=store, jobs=1)
    assert bundle(file, store=store)[1] != first[1]


def test_a_guard_that_was_edited_counts_when_answering_begins_anew(tmp_path):
    """No new life is opened for it; the bundle of the older guard answered on until the next tick, and said nothing."""
    file, store = written(tmp_path, "pandas"), tmp_path / ".mlwild"
    wild.operate(wild.load_app(file), rule=Every(1), store=store, jobs=1)
    first = bundle(file, store=store)
    text = file.read_text()
    file.write_text(text + "\nimport dataclasses\napp = dataclasses.replace(app, guard=wild.Guard(refuse=1e-9))\n")
    again = bundle(file, store=store)
    assert again[1] != first[1]
    service = service_of(again[0], load_bundle(*again))
    assert service.answer({"when": [0], "x": [0.1], "z": [0.2]}).status == ["refused"]
    file.write_text(text)
    assert bundle(file, store=store)[1:] == first[1:]


def test_what_was_changed_is_not_loaded(tmp_path):
    file = written(tmp_path, "pandas")
    wild.operate(wild.load_app(file), rule=Every(1), store=tmp_path / ".mlwild", jobs=1)
    store, key, digest = bundle(file, store=tmp_path / ".mlwild")
    path = store.payload(key, "bundle")
    held = path.read_bytes()
    path.write_bytes(pickle.dumps("something else"))
    with pytest.raises(StoreError, match="another digest"):
        load_bundle(store, key, digest)
    path.write_bytes(held)
    good = load_bundle(store, key, digest)
    file.write_text(file.read_text().replace("LinearRegression()", "LinearRegression(positive=True)"))
    with pytest.raises(AppError, match="is not what it was"):
        service_of(store, good)
    file.write_text(file.read_text().replace("LinearRegression(positive=True)", "LinearRegression()"))
    model = store.payload(good.parts[0].key, "model")
    model.unlink()
    with pytest.raises(StoreError, match="is gone"):
        service_of(store, good)


def test_with_too_few_labels_it_answers_without_a_guard_and_says_so(tmp_path, monkeypatch):
    from mlwild.answering import bundling
    from mlwild.errors import DataError

    def none(*_):
        raise DataError("guard: no labelled row has come.")

    monkeypatch.setattr(bundling, "chain_of", none)
    file = written(tmp_path, "pandas")
    wild.operate(wild.load_app(file), rule=Every(1), store=tmp_path / ".mlwild", jobs=1)
    service = answering(file)
    assert service.bundle.unguarded == "guard: no labelled row has come."
    found = service.answer({"when": [0], "x": [0.5], "z": [0.0]})
    assert (found.status, found.stage) == (["degraded"], ["champion"])
    assert "no guard" in found.cause[0]
    assert service.answer({"when": [0], "x": [0.5], "z": [0.0]}, stage=1).stage == ["constant"]


FILED = """
    from pathlib import Path
    def rows():
        return pd.read_parquet(Path(__file__).with_name("rows.parquet"))
    def features(frame):  # of all rows that it sees: later ones would show in earlier ones
        return frame[["x", "z"]] - frame[["x", "z"]].mean()
    app = wild.App(name="kind", data=rows, delay="1h", features=features, **common)
"""


def _radii(radii):
    """All that the widths of intervals come from, to the last bit."""
    hard = radii.difficulty
    parts = (hard.centre, hard.far, hard.side, radii.edges, radii.shares)
    return (radii.fixed, hard.intercept, hard.floor, *(part.tobytes() for part in parts))


@pytest.mark.parametrize("late", ["values", "labels"])
def test_what_answers_knows_nothing_after_the_tick_that_made_it(tmp_path, monkeypatch, late):
    monkeypatch.setitem(KINDS, "filed", FILED)
    file = written(tmp_path, "filed")
    rng = np.random.default_rng(0)
    when = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(900), unit="h")
    x, z = rng.normal(size=(2, 900))
    rows = pd.DataFrame({"when": when, "x": x, "z": z, "y": x + 0.1 * rng.normal(size=900)})
    rows.to_parquet(tmp_path / "rows.parquet")
    wild.operate(
        wild.load_app(file), rule=Every(1), begin="2026-01-26", at="2026-01-31", store=tmp_path / ".mlwild", jobs=1
    )
    found = []
    for _ in range(2):
        store, key, digest = bundle(file, store=tmp_path / ".mlwild")
        made = load_bundle(store, key, digest)
        found.append(
            (
                [(stage.loss, stage.n, _radii(stage.radii), dict(stage.gone)) for stage in made.guard.stages],
                made.guard.fences.low.tolist(),
                made.guard.fences.high.tolist(),
                made.constant.tolist(),
                made.guard.sample.labels.tolist(),
            )
        )
        store.payload(key, "bundle").unlink()
        # From the very instant of the tick on.
        after = rows["when"] >= pd.Timestamp("2026-01-31")
        assert after.sum() > 100
        rows.loc[after, ["x", "z", "y"] if late == "values" else ["y"]] = 1000.0
        rows.to_parquet(tmp_path / "rows.parquet")
    assert found[0] == found[1]
    assert len({stage[2] for stage in found[0][0]}) == len(found[0][0])
