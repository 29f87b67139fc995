"""SliceLine: the same as a look at every slice, whatever the bound leaves out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwild.errors import DataError
from mlwild.stats.slices import lattice, members, sliceline
from mlwild.stats.slices.rows import prepared
from mlwild.stats.slices.scores import MeanTest, SliceLineScore
from tests.stats.slices.brute import every_slice, sliceline_scores

ERRORS = {
    "0 and 1": lambda rng, n: (rng.random(n) < 0.3).astype(float),
    "0 and 2.5": lambda rng, n: 2.5 * (rng.random(n) < 0.3),
    "whole": lambda rng, n: rng.integers(0, 4, n).astype(float),
    "skewed": lambda rng, n: rng.lognormal(size=n),
    "some none": lambda rng, n: rng.exponential(size=n) * (rng.random(n) < 0.5),
}


def _table(rng, n, features=5, most=3):
    return np.column_stack([rng.integers(0, rng.integers(1, most + 1), n) for _ in range(features)])


# -- worked by hand ------------------------------------------------------------------------------


def test_scores_are_those_of_the_paper():
    # 8 rows, mean error 1/4. Slice (0, 1): 4 rows, mean 1/2; score .9 (2 - 1) - .1 (2 - 1) = .8.
    codes = np.array([[0, 0]] * 2 + [[0, 1]] * 2 + [[1, 0]] * 2 + [[1, 1]] * 2)
    errors = np.array([0, 0, 0, 0, 0, 0, 1, 1.0])
    found = sliceline(codes, errors, alpha=0.9, support=1, k=2)
    assert found.mean == 0.25
    assert [one.conditions for one in found.slices] == [((0, 1), (1, 1)), ((0, 1),)]
    # Slice (0, 1) and (1, 1): 2 rows, mean 1; score .9 (4 - 1) - .1 (4 - 1) = 2.4.
    assert [one.score for one in found.slices] == pytest.approx([2.4, 0.8])
    assert [(one.size, one.mean) for one in found.slices] == [(2.0, 1.0), (4.0, 0.5)]
    assert found.searched == 4 + 4
    assert found.ties == 1  # (1, 1) scores as high as (0, 1)


@pytest.mark.parametrize("alpha", [0.6, 0.9, 0.95])
def test_a_slice_scores_above_zero_only_with_its_share_of_all_errors(alpha):
    # The more so, the larger it is: (1 - alpha) / alpha is for the smallest.
    least = (1 - alpha) / alpha + 0.1 * (2 * alpha - 1) / alpha
    codes = np.repeat([[0], [1]], [100, 900], axis=0)
    for share, some in ((least - 0.01, 0), (least + 0.01, 1)):
        # The slice holds this share of the sum of errors.
        errors = np.where(codes[:, 0] == 0, share / 100, (1 - share) / 900)
        found = sliceline(codes, errors, alpha=alpha, support=1)
        assert sum(one.conditions == ((0, 0),) for one in found.slices) == some, share


# -- against every slice -------------------------------------------------------------------------


@settings(max_examples=120, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    kind=st.sampled_from(sorted(ERRORS)),
    n=st.integers(2, 150),
    k=st.integers(1, 15),
    levels=st.integers(1, 4),
    support=st.integers(1, 12),
    alpha=st.sampled_from([0.3, 0.6, 0.9, 0.95, 0.99, 1.0]),
)
def test_the_best_are_those_of_a_look_at_every_slice(seed, kind, n, k, levels, support, alpha):
    rng = np.random.default_rng(seed)
    codes, errors = _table(rng, n), ERRORS[kind](rng, n)
    found = sliceline(codes, errors, alpha=alpha, k=k, levels=levels, support=support)
    if not errors.any():
        assert found.slices == ()
        return
    every = sliceline_scores(codes, errors, alpha=alpha, levels=levels, support=support)
    assert [one.score for one in found.slices] == pytest.approx(sorted(every.values(), reverse=True)[:k], abs=1e-9)
    for one in found.slices:
        rows = members(codes, one.conditions)
        assert one.score == pytest.approx(every[one.conditions], abs=1e-9)
        assert one.size == rows.sum()
        assert one.mean == pytest.approx(errors[rows].mean())
    assert len({one.conditions for one in found.slices}) == len(found.slices)
    assert found.counted <= found.searched


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32), kind=st.sampled_from(sorted(ERRORS)), alpha=st.sampled_from([0.6, 0.95, 1.0]))
def test_a_weighted_row_is_so_many_rows(seed, kind, alpha):
    rng = np.random.default_rng(seed)
    n = 80
    codes, errors, weights = _table(rng, n), ERRORS[kind](rng, n), rng.integers(0, 4, n)
    if not (weights * errors).any():
        return
    found = sliceline(codes, errors, weights=weights, alpha=alpha, k=8, support=5)
    copied = sliceline(codes.repeat(weights, axis=0), errors.repeat(weights), alpha=alpha, k=8, support=5)
    assert [one.score for one in found.slices] == pytest.approx([one.score for one in copied.slices], abs=1e-9)
    every = sliceline_scores(codes, errors, alpha=alpha, levels=3, support=5, weights=weights)
    for one in found.slices:
        assert one.score == pytest.approx(every[one.conditions], abs=1e-9)
        assert one.size == weights[members(codes, one.conditions)].sum()


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    kind=st.sampled_from(sorted(ERRORS)),
    k=st.integers(1, 10),
    levels=st.integers(1, 4),
    support=st.integers(1, 12),
)
def test_the_mean_test_finds_its_best_too(seed, kind, k, levels, support):
    rng = np.random.default_rng(seed)
    n = 100
    codes, errors = _table(rng, n), ERRORS[kind](rng, n)
    if not np.ptp(errors):
        return
    handicaps = (0.0, 0.5, 0.5, 2.0)
    rows = prepared(codes, errors, support=support)
    best, _ = lattice.search(rows, MeanTest(float(errors.mean()), float(errors.std()), handicaps), k=k, levels=levels)
    every = [
        (errors[inside].mean() - errors.mean()) * np.sqrt(inside.sum()) / errors.std() - handicaps[len(conditions) - 1]
        for conditions, inside in every_slice(codes, levels)
        if inside.sum() >= support and errors[inside].any()
    ]
    found = [one.score for one in best.ranked(rows)[0]]
    assert found == pytest.approx(sorted(every, reverse=True)[:k], abs=1e-9)


@settings(max_examples=500, deadline=None)
@given(
    errors=st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0, 3.0]), min_size=3, max_size=30),
    inside=st.integers(0, 2**30),
    support=st.integers(1, 6),
    alpha=st.floats(0.05, 1.0),
    mean=st.floats(0.05, 2.0),
)
def test_no_slice_inside_another_exceeds_its_bound(errors, inside, support, alpha, mean):
    errors = np.array(errors)
    part = errors[[bool(inside >> place & 1) for place in range(len(errors))]]
    if len(part) < support or not part.any():
        return
    for score in (SliceLineScore(alpha, 50.0, mean), MeanTest(mean, 0.7, (0.0, 0.3))):
        own = score.score(np.array([float(len(part))]), np.array([part.sum()]), 2)[0]
        counts = (np.array([one]) for one in (float(len(errors)), errors.sum(), errors.max()))
        bound = score.bound(*counts, support=float(support), level=2)[0]
        assert own <= bound + 1e-9


# -- what must not matter ------------------------------------------------------------------------


def _planted(n=4000, seed=0):
    rng = np.random.default_rng(seed)
    codes = np.column_stack([rng.integers(0, size, n) for size in (4, 5, 10, 3, 6)])
    worse = (codes[:, 0] == 1) & (codes[:, 1] == 2)
    return codes, (rng.random(n) < np.where(worse, 0.6, 0.1)).astype(float), rng


def test_pruning_leaves_most_uncounted():
    codes, errors, _ = _planted()
    quick = sliceline(codes, errors, alpha=0.95, k=5)
    assert quick.counted < quick.searched / 4


@pytest.mark.parametrize("kind", sorted(ERRORS))
@pytest.mark.parametrize("alpha", [0.8, 0.95, 0.99])
def test_pruning_changes_nothing(kind, alpha, monkeypatch):
    found = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        codes = np.column_stack([rng.choice(4, 1500, p=[0.6, 0.2, 0.1, 0.1]) for _ in range(6)])
        errors = ERRORS[kind](rng, 1500) * (1 + members(codes, [(0, 0), (1, 0), (2, 0)]))
        found.append([sliceline(codes, errors, alpha=alpha, k=k, support=10) for k in (1, 4, 20)])
        with monkeypatch.context() as patch:
            patch.setattr(SliceLineScore, "bound", lambda self, sizes, *rest, **more: np.full(len(sizes), np.inf))
            whole = [sliceline(codes, errors, alpha=alpha, k=k, support=10) for k in (1, 4, 20)]
        assert [(one.slices, one.ties) for one in found[-1]] == [(one.slices, one.ties) for one in whole]
        assert all(one.counted <= other.counted for one, other in zip(found[-1], whole, strict=True))
    assert alpha == 0.8 or any(one.slices for some in found for one in some)


@pytest.mark.parametrize("worth", [0.0, 2.0])
def test_copying_rows_of_promising_cells_changes_nothing(worth, monkeypatch):
    codes, errors, rng = _planted()
    for losses in (errors, errors * rng.lognormal(size=len(errors))):
        before = sliceline(codes, losses, alpha=0.95, k=5, levels=4)
        monkeypatch.setattr(lattice, "WORTH", worth)
        assert sliceline(codes, losses, alpha=0.95, k=5, levels=4) == before
        monkeypatch.undo()


def test_order_of_rows_and_names_of_bins_do_not_matter():
    codes, errors, rng = _planted()
    plain = sliceline(codes, errors, alpha=0.95, k=6)
    order = rng.permutation(len(errors))
    assert sliceline(codes[order], errors[order], alpha=0.95, k=6) == plain
    names = np.array([3, 2_000_000, 7, 11, 5, 13, 1 << 40, 17, 19, 23])
    renamed = sliceline(names[codes], errors, alpha=0.95, k=6)
    told = [tuple((feature, int(names[place])) for feature, place in one.conditions) for one in plain.slices]
    assert [one.conditions for one in renamed.slices] == told
    for kind in (np.uint8, np.int16, np.uint32):
        assert sliceline(codes.astype(kind), errors, alpha=0.95, k=6) == plain


def test_of_equal_slices_the_shorter_comes_first_and_ties_are_counted():
    codes, errors, _ = _planted()
    doubled = np.column_stack([codes[:, :2], codes[:, :2]])  # every slice has copies
    found = sliceline(doubled, errors, alpha=0.95, k=1)
    best = found.slices[0]
    assert best.conditions == ((0, 1), (1, 2))
    # Feature 2 for 0, 3 for 1, or both; and any of these with a third, implied condition.
    every = sliceline_scores(doubled, errors, alpha=0.95, levels=3, support=40)
    assert found.ties == sum(abs(score - best.score) < 1e-12 for score in every.values()) - 1
    assert found.ties > 5


def test_no_slice_where_there_is_no_error_or_no_support():
    codes = np.zeros((50, 2), dtype=int)
    assert sliceline(codes, np.zeros(50)).slices == ()
    few = sliceline(np.arange(50)[:, None], np.ones(50))
    assert (few.slices, few.searched, few.counted) == ((), 0, 0)
    assert sliceline(np.zeros((50, 0), dtype=int), np.ones(50)).slices == ()
    assert sliceline(codes, np.ones(50), support=1).slices == ()  # as bad as all rows: a score of zero


# -- what is refused -----------------------------------------------------------------------------

CODES, FINE = np.zeros((3, 2), dtype=int), np.ones(3)


@pytest.mark.parametrize(
    ("given_", "more", "message"),
    [
        ((CODES.astype(float), FINE), {}, "hold float64, need whole numbers"),
        ((CODES[:, 0], FINE), {}, r"codes of shape \(3,\)"),
        ((CODES[:0], FINE[:0]), {}, r"codes of shape \(0, 2\)"),
        ((np.array([[0, 1], [2, -3]]), FINE[:2]), {}, "codes is -3 in row 1 of feature 1"),
        ((CODES, [1.0, np.nan, 0.0]), {}, "errors is nan in row 1"),
        ((CODES, [1.0, -0.5, 0.0]), {}, "errors is -0.5 in row 1, needs to be 0 or more"),
        ((CODES, FINE[:2]), {}, "errors has 2 rows, codes 3"),
        ((CODES, FINE), {"weights": [1.0, np.inf, 1.0]}, "weights is inf in row 1"),
        ((CODES, FINE), {"weights": np.zeros(3)}, "weights are all 0"),
        ((CODES, FINE), {"alpha": 0.0}, "alpha is 0.0"),
        ((CODES, FINE), {"k": 0}, "k is 0"),
        ((CODES, FINE), {"levels": 5}, "levels is 5, needs to lie between 1 and 4"),
        ((CODES, FINE), {"support": np.nan}, "support is nan"),
    ],
)
def test_wrong_input_is_refused(given_, more, message):
    with pytest.raises(DataError, match=message):
        sliceline(*given_, **more)


def test_tables_that_would_not_fit_are_refused(monkeypatch):
    monkeypatch.setattr(lattice, "MOST_CELLS", 1000)
    codes = np.random.default_rng(0).integers(0, 100, size=(5000, 2))
    with pytest.raises(DataError, match="features 0, 1 make over 1,000 slices of 5 rows or more"):
        sliceline(codes, np.ones(5000) + (codes[:, 0] == 1), alpha=0.99, support=5)
