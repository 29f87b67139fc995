"""Sketches hold the counts of every period after one pass over the data."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mlwild import monitors
from mlwild.auditions import audit_monitors
from mlwild.monitors import sketches
from mlwild.monitors.sketches import BINS, CATEGORIES, sketch
from mlwild.records import Vintage
from mlwild.stats.columns import compare_columns, presort
from mlwild.stats.distances import psi
from tests.monitors.planted import app_of, history, triangles_of

START = np.array([100, 200, 350, 500])
KEEP = np.arange(100, 500, 7)


def _made(column, **more):
    return sketch(pa.table({"x": column, **more}), START, KEEP)


def test_counts_are_those_of_the_rows():
    x = np.random.default_rng(0).normal(size=500)
    x[::9] = np.nan
    column = _made(x).columns[0]
    early = x[:100][~np.isnan(x[:100])]
    for k, (low, high) in enumerate(pairwise(START)):
        rows = x[low:high]
        assert column.counts[k].sum() == (~np.isnan(rows)).sum()
        assert column.missing[k] == np.isnan(rows).sum()
        scaled = (rows - early.mean()) / early.std()
        assert column.sums[k].sum() == pytest.approx(np.nansum(scaled))
    assert column.counts.shape[1] == BINS


def test_stability_index_is_that_of_rows_counted_directly():
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.normal(size=350), rng.normal(1, 2, size=150)])
    made = _made(x)
    (move,) = made.moved(slice(0, 2), 2, 2)
    cuts = np.unique(np.quantile(x[:100], np.arange(1, BINS) / BINS, method="inverted_cdf"))
    counts = [np.histogram(side, [-np.inf, *np.nextafter(cuts, np.inf), np.inf])[0] for side in (x[100:350], x[350:])]
    assert psi(move.reference, move.window).value == pytest.approx(psi(*counts).value)
    exact = compare_columns([presort(x[100:350])], [x[350:]])[0]
    drift = monitors.drift
    assert drift._ks(move) <= exact.ks + 1e-12
    assert drift._ks(move) > 0.8 * exact.ks
    assert drift._wasserstein(move) == pytest.approx(exact.wasserstein / x[:100].std(), rel=0.05)


def test_bins_of_kept_rows_agree_with_the_counts():
    x = np.random.default_rng(2).normal(size=500)
    made = _made(x)
    every = sketch(pa.table({"x": x}), START, np.arange(100, 500))
    assert (made.of(KEEP) == every.of(KEEP)).all()
    assert (
        np.bincount(every.of(np.arange(200, 350))[:, 0], minlength=BINS + 1)[1:].tolist()
        == made.columns[0].counts[1].tolist()
    )


@pytest.mark.parametrize("as_category", [False, True])
def test_new_categories_are_those_not_seen_before(as_category):
    words = np.array(["a", "b"] * 250, dtype=object)
    words[210] = "c"
    words[400:410] = "c"
    words[420:425] = "d"
    words[430] = None
    column = pd.Series(words).astype("category" if as_category else object)
    made = sketch(pa.table({"word": pa.Array.from_pandas(column)}), START, KEEP)
    assert made.moved(slice(0, 1), 2, 1)[0].new == 15  # c was first seen in period 1, d in period 2
    assert made.moved(slice(0, 1), 2, 2)[0].new == 5
    assert made.moved(slice(0, 1), 2, 3)[0].new == 0
    assert made.moved(slice(0, 1), 2, 1)[0].missing_window == 1


def test_what_comes_later_does_not_move_the_bins():
    rng = np.random.default_rng(3)
    x, words = rng.normal(size=500), rng.choice(list("abc"), 500).astype(object)
    changed, others = x.copy(), words.copy()
    changed[350:], others[350:] = 1e6, "zzz"
    table = [pa.table({"x": one, "w": pa.array(two)}) for one, two in ((x, words), (changed, others))]
    first, second = (sketch(one, START, KEEP) for one in table)
    for before, after in zip(first.columns, second.columns, strict=True):
        assert before.counts[:2].tolist() == after.counts[:2].tolist()
        assert before.sums[:2].tobytes() == after.sums[:2].tobytes()
        assert before.fresh[before.fresh[:, 0] < 2].tolist() == after.fresh[after.fresh[:, 0] < 2].tolist()


def test_odd_columns_are_named_and_do_not_crash():
    n = 500
    rng = np.random.default_rng(4)
    late = np.full(n, np.nan)
    late[300:] = 1.0
    wild_ones = rng.normal(size=n)
    wild_ones[::50] = np.inf
    constant = np.ones(n)
    constant[400:420] = 2.0
    made = sketch(
        pa.table(
            {
                "constant": constant,
                "empty": np.full(n, np.nan),
                "none": pa.nulls(n),
                "late": late,
                "wild": wild_ones,
                "flag": rng.random(n) < 0.5,
                "when": pd.date_range("2020-01-01", periods=n),
            }
        ),
        START,
        KEEP,
    )
    said = {column.name: column.remark for column in made.columns}
    assert said["constant"] == "is constant before the first cutoff"
    assert said["empty"] == said["late"] == "has no value before the first cutoff"
    assert "no value" in said["none"]
    assert said["wild"] == said["flag"] == said["when"] == ""
    moves = {move.name: move for move in made.moved(slice(0, 2), 2, 2)}
    assert not moves["empty"].comparable
    assert moves["constant"].window.tolist() == [0, 130, 20]
    assert moves["late"].missing_reference == 200
    assert moves["late"].missing_window == 0


def test_a_column_of_100_000_categories_is_counted_and_said():
    n = 120_000
    words = pa.array([f"id{k}" for k in range(n)])
    start = np.array([100_000, 110_000, 120_000])
    made = sketch(pa.table({"id": words}), start, np.arange(100_000, 120_000, 10))
    column = made.columns[0]
    assert column.counts.shape == (2, CATEGORIES + 1)
    assert "100,000 categories" in column.remark
    assert made.moved(slice(0, 1), 1, 1)[0].new == 10_000


def test_one_pass_serves_every_monitor_of_every_cell(tmp_path, monkeypatch):
    read, kept = [], sketches._read
    monkeypatch.setattr(sketches, "_read", lambda column: read.append(1) or kept(column))
    frame = history("covariate", 77, delay=1)
    app = app_of(
        frame, features=lambda rows: rows[["a", "b", "word"]].assign(word=rows["word"].astype("category").cat.codes)
    )
    triangle = triangles_of(app, tmp_path)[0]
    cells = [(i, j) for i in range(12) for j in range(i, 12)]
    for monitor in monitors.standard(app.loss_):
        for i, j in cells:
            triangle.signal(Vintage(i), j + 1, monitor)
    assert len(read) == 3  # columns
    audit_monitors([triangle], monitors.standard(app.loss_), start=Vintage(0))
    assert len(read) == triangle.scenes.sketches.reads == 3
