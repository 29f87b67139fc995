"""Shortest paths through a triangle: against all paths there are, and without the optimism of hindsight."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwild.stats.paths import Path, crossfitted_path_cost, frontier, shortest_path


def _all_paths(born, parent, start, periods):
    """Yield every path that the rules of the triangle allow, as a list of vintages by period."""

    def onward(path):
        k = len(path)
        if k == periods:
            yield path
            return
        yield from onward([*path, path[-1]])
        for to in range(len(born)):
            if born[to] == k and (parent[to] < 0 or parent[to] == path[-1]):
                yield from onward([*path, to])

    yield from onward([start] * (int(born[start]) + 1))


def _price(path, parent, first, retrain, update):
    moves = [(path[k - 1], path[k]) for k in range(first + 1, len(path))]
    return sum((update if parent[b] >= 0 else retrain) for a, b in moves if a != b)


@st.composite
def triangles(draw, updates=True):
    """A small triangle: some fits at each cutoff, perhaps updates of earlier vintages."""
    periods = draw(st.integers(1, 5))
    first = draw(st.integers(0, min(1, periods - 1)))
    born, parent = [first], [-1]
    for k in range(first + 1, periods):
        for _ in range(draw(st.integers(0, 2))):
            born.append(k)
            parent.append(-1)
        if updates and draw(st.booleans()):
            earlier = [v for v in range(len(born)) if born[v] < k]
            born.append(k)
            parent.append(draw(st.sampled_from(earlier)))
    loss = np.array([[float(draw(st.integers(0, 9))) for _ in range(periods)] for _ in born])
    for v, k in enumerate(born):
        loss[v, :k] = np.nan if v else 0.0  # anything: nobody may look
    order = draw(st.permutations(range(len(born))))
    place = {old: new for new, old in enumerate(order)}
    return (
        loss[list(order)],
        np.array([born[v] for v in order]),
        np.array([-1 if parent[v] < 0 else place[parent[v]] for v in order]),
        place[0],
    )


def _loss_of(path, loss, first):
    return sum(loss[path[k], k] for k in range(first, len(path)))


# -- the shortest path ---------------------------------------------------------------------------


def test_path_by_hand():
    loss = np.array([[1.0, 4.0, 9.0], [0.0, 1.0, 2.0], [0.0, 0.0, 1.0]])
    for price, live, cost in ((0.5, [0, 1, 2], 4.0), (2.0, [0, 1, 1], 6.0), (11.0, [0, 0, 0], 14.0)):
        path = shortest_path(loss, np.arange(3), start=0, retrain=price)
        assert path.live.tolist() == live
        assert path.cost(loss) == cost
        assert path.moves.sum() == price * len(set(live) - {0})


@settings(max_examples=300, deadline=None)
@given(triangle=triangles(), retrain=st.integers(0, 6), update=st.integers(0, 6))
def test_path_is_the_cheapest_of_all_paths(triangle, retrain, update):
    loss, born, parent, start = triangle
    first, periods = int(born[start]), loss.shape[1]
    path = shortest_path(loss, born, start=start, retrain=retrain, parent=parent, update=update)
    allowed = list(_all_paths(born, parent, start, periods))
    assert path.live.tolist() in allowed
    assert path.moves.sum() == _price(path.live, parent, first, retrain, update)
    assert (path.moves[: first + 1] == 0).all()
    costs = [_loss_of(p, loss, first) + _price(p, parent, first, retrain, update) for p in allowed]
    assert _loss_of(path.live, loss, first) + path.moves.sum() == pytest.approx(min(costs), abs=1e-9)
    assert path.cost(loss) == pytest.approx(min(costs), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(triangle=triangles(updates=False))
def test_update_edges_that_do_not_exist_change_nothing(triangle):
    loss, born, parent, start = triangle
    plain = shortest_path(loss, born, start=start, retrain=1.0)
    told = shortest_path(loss, born, start=start, retrain=1.0, parent=parent, update=0.1)
    assert plain.live.tolist() == told.live.tolist()
    assert plain.moves.tolist() == told.moves.tolist()


def test_update_is_reached_from_its_parent_only():
    # Vintage 2 is an update of 1, and perfect; from 0 it cannot be had without paying for 1 first.
    loss = np.array([[1.0, 1.0, 5.0], [0.0, 1.0, 5.0], [0.0, 0.0, 0.0]])
    born, parent = np.array([0, 1, 2]), np.array([-1, -1, 1])
    path = shortest_path(loss, born, start=0, retrain=2.0, parent=parent, update=0.5)
    assert path.live.tolist() == [0, 1, 2]
    assert path.moves.tolist() == [0.0, 2.0, 0.5]
    dear = shortest_path(loss, born, start=0, retrain=9.0, parent=parent, update=0.5)
    assert dear.live.tolist() == [0, 0, 0]


def test_cost_of_a_path_is_its_losses_and_moves():
    path = Path(np.array([0, 1, 1]), np.array([0.0, 2.0, 0.0]))
    assert path.cost(np.array([[1.0, 9.0, 9.0], [9.0, 3.0, 4.0]])) == 10.0


# -- the frontier --------------------------------------------------------------------------------


def _hull(loss, born, parent, start):
    """The corners of the lower hull of (retrains, loss) over all paths, by their definition."""
    first = int(born[start])
    least: dict[int, float] = {}
    for path in _all_paths(born, parent, start, loss.shape[1]):
        count = sum(path[k] != path[k - 1] for k in range(first + 1, len(path)))
        least[count] = min(least.get(count, math.inf), _loss_of(path, loss, first))
    points = sorted(least.items())
    corners = []
    for c, value in points:
        left = [(a, v) for a, v in points if a < c]
        right = [(b, v) for b, v in points if b > c]
        better = all(value < v for _, v in left)
        below = all(value < va + (vb - va) * (c - a) / (b - a) - 1e-9 for a, va in left for b, vb in right)
        if better and below:
            corners.append((c, value))
    return corners


@settings(max_examples=300, deadline=None)
@given(triangle=triangles(updates=False))
def test_frontier_is_the_lower_hull_over_all_paths(triangle):
    loss, born, parent, start = triangle
    found = frontier(loss, born, start=start, within=0.0)
    expected = _hull(loss, born, parent, start)
    assert [moves for moves, _ in found] == [moves for moves, _ in expected]
    assert [value for _, value in found] == pytest.approx([value for _, value in expected])


def test_frontier_does_not_count_retrains_that_save_nothing():
    # Two vintages born at 1 are equal there; the one that lasts needs no successor.
    loss = np.array([[0.0, 3.0, 3.0], [0.0, 0.0, 5.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    for order in ([0, 1, 2, 3], [0, 2, 1, 3]):
        found = frontier(loss[order], np.array([0, 1, 1, 2]), start=0, within=0.0)
        assert found == [(0, 6.0), (1, 0.0)]


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), periods=st.integers(2, 60), within=st.sampled_from([1e-3, 1e-2, 0.1]))
def test_corners_left_out_of_the_frontier_save_no_more_than_promised(seed, periods, within):
    rng = np.random.default_rng(seed)
    age = np.clip(np.arange(periods)[None, :] - np.arange(periods)[:, None], 0, None)
    loss = 1 - np.exp(-age / 10) + rng.normal(0, 0.05, (periods, periods))
    whole = frontier(loss, np.arange(periods), start=0, within=0.0)
    some = frontier(loss, np.arange(periods), start=0, within=within)
    assert len(some) <= len(whole)
    assert some[0] == whole[0]
    counts, values = np.array(some).T
    lost = [np.interp(moves, counts, values) - value for moves, value in whole]
    assert max(lost) <= within * (whole[0][1] - whole[-1][1]) + 1e-9
    slopes = np.diff(values) / np.diff(counts)
    assert (slopes < 0).all()
    assert (np.diff(slopes) > 0).all()


# -- without the optimism of hindsight -----------------------------------------------------------


def _noise_halves(rng, periods, level=0.3):
    """Two halves of a triangle without drift: each period has its difficulty, each cell its noise."""
    difficulty = rng.random(periods)
    return (difficulty + rng.normal(0, level, (2, periods, periods))) / 2


@pytest.mark.parametrize("draws", [300, pytest.param(3_000, marks=pytest.mark.slow)])
def test_crossfitted_regret_of_never_is_zero_without_drift_where_the_naive_one_is_not(draws):
    periods = 15
    naive, fair = [], []
    for i in range(draws):
        halves = _noise_halves(np.random.default_rng([1, i]), periods)
        whole = halves.sum(axis=0)
        never = whole[0].sum()
        naive.append(never - shortest_path(whole, np.arange(periods), start=0, retrain=0.0).cost(whole))
        fair.append(never - crossfitted_path_cost(halves, np.arange(periods), start=0, retrain=0.0).sum())
    assert np.mean(fair) == pytest.approx(0.0, abs=3 * np.std(fair) / math.sqrt(draws))
    assert np.mean(naive) > 20 * np.std(naive) / math.sqrt(draws)
    assert np.mean(naive) > 1.0  # of losses that sum to 7.5 on average


@pytest.mark.parametrize("draws", [300, pytest.param(3_000, marks=pytest.mark.slow)])
def test_crossfitted_path_gains_nothing_from_the_moves_it_pays_for_without_drift(draws):
    periods, price = 15, 0.4
    gains, naive = [], []
    for i in range(draws):
        halves = _noise_halves(np.random.default_rng([2, i]), periods)
        never = halves.sum(axis=0)[0].sum()
        fair = crossfitted_path_cost(halves, np.arange(periods), start=0, retrain=price).sum()
        moves = [shortest_path(2 * half, np.arange(periods), start=0, retrain=price).moves.sum() for half in halves]
        gains.append(never - (fair - np.mean(moves)))
        whole = halves.sum(axis=0)
        naive.append(never - shortest_path(whole, np.arange(periods), start=0, retrain=price).cost(whole))
    assert np.mean(gains) == pytest.approx(0.0, abs=3 * np.std(gains) / math.sqrt(draws))
    assert np.mean(naive) > 5 * np.std(naive) / math.sqrt(draws)


@pytest.mark.parametrize("draws", [300, pytest.param(3_000, marks=pytest.mark.slow)])
def test_true_saving_lies_between_the_crossfitted_and_the_naive_one_under_drift(draws):
    # A model ages by 0.1 a period; the best path of the noiseless triangle is the truth.
    periods, price = 15, 0.4
    age = np.clip(np.arange(periods)[None, :] - np.arange(periods)[:, None], 0, None)
    truth = shortest_path(0.1 * age, np.arange(periods), start=0, retrain=price).cost(0.1 * age)
    naive, fair = [], []
    for i in range(draws):
        noise = np.random.default_rng([3, i]).normal(0, 0.1, (2, periods, periods))
        halves = (0.1 * age + noise) / 2
        whole = halves.sum(axis=0)
        naive.append(shortest_path(whole, np.arange(periods), start=0, retrain=price).cost(whole))
        fair.append(crossfitted_path_cost(halves, np.arange(periods), start=0, retrain=price).sum())
    assert np.mean(naive) < truth - 3 * np.std(naive) / math.sqrt(draws)
    assert np.mean(fair) > truth - 3 * np.std(fair) / math.sqrt(draws)
    assert abs(np.mean(fair) - truth) < abs(np.mean(naive) - truth)


@settings(max_examples=50, deadline=None)
@given(triangle=triangles(), retrain=st.integers(0, 6))
def test_equal_halves_cost_what_the_whole_costs(triangle, retrain):
    loss, born, parent, start = triangle
    first = int(born[start])
    both = crossfitted_path_cost(
        np.stack([loss, loss]) / 2, born, start=start, retrain=retrain, parent=parent, update=1.0
    )
    path = shortest_path(loss, born, start=start, retrain=retrain, parent=parent, update=1.0)
    assert both[first:].sum() == pytest.approx(_loss_of(path.live, loss, first) + path.moves.sum())
