"""Shares of labels arrived by lag: a published run-off triangle, a plain loop, and a law that is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwild.stats.lateness import arrived_share

# Taylor and Ashe (1983), as in Mack (1993): cumulated claims of ten years, and the factors published for them.
TAYLOR_ASHE = [
    [357848, 1124788, 1735330, 2218270, 2745596, 3319994, 3466336, 3606286, 3833515, 3901463],
    [352118, 1236139, 2170033, 3353322, 3799067, 4120063, 4647867, 4914039, 5339085],
    [290507, 1292306, 2218525, 3235179, 3985995, 4132918, 4628910, 4909315],
    [310608, 1418858, 2195047, 3757447, 4029929, 4381982, 4588268],
    [443160, 1136350, 2128333, 2897821, 3402672, 3873311],
    [396132, 1333217, 2180715, 2985752, 3691712],
    [440832, 1288463, 2419861, 3483130],
    [359480, 1421128, 2864498],
    [376686, 1363294],
    [344014],
]
FACTORS = [3.4906, 1.7473, 1.4574, 1.1739, 1.1038, 1.0863, 1.0539, 1.0766, 1.0177]


def _cells(triangle):
    lag, room, counts = [], [], []
    for row in triangle:
        for place, count in enumerate(np.diff([0, *row])):
            lag.append(place)
            room.append(len(row) - 1)
            counts.append(count)
    return np.array(lag), np.array(room), np.array(counts)


def test_shares_are_those_of_the_published_chain_ladder():
    found = arrived_share(*_cells(TAYLOR_ASHE))
    published = 1 / np.append(np.cumprod(FACTORS[::-1])[::-1], 1.0)
    assert found == pytest.approx(published, rel=2e-4)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(1, 50)), min_size=1, max_size=40))
def test_shares_are_what_a_plain_loop_finds(drawn):
    lag = np.array([min(one[:2]) for one in drawn])
    room = np.array([max(one[:2]) for one in drawn])
    counts = np.array([one[2] for one in drawn])
    expected = np.ones(room.max() + 1)
    for at in range(room.max() - 1, -1, -1):
        could = room >= at + 1
        upto, before = counts[could & (lag <= at + 1)].sum(), counts[could & (lag <= at)].sum()
        expected[at] = expected[at + 1] * (before / upto if upto else 1.0)
    assert arrived_share(lag, room, counts) == pytest.approx(expected)


def test_no_label_has_no_share():
    assert arrived_share(*[np.empty(0, np.int64)] * 3).shape == (0,)


def test_geometric_delays_are_found_although_young_periods_show_early_labels_only():
    """2,000 draws of 20 periods with 40 labels each; the naive share of the seen ones is far too high."""
    rng, draws, periods, each, p = np.random.default_rng(5), 2000, 20, 40, 0.4
    found, naive = np.empty((draws, 3)), np.empty(draws)
    room = np.repeat(periods - 1 - np.arange(periods), each)
    for draw in range(draws):
        lag = rng.geometric(p, periods * each) - 1
        seen = lag <= room
        found[draw] = arrived_share(lag[seen], room[seen], np.ones(int(seen.sum()), np.int64))[:3]
        naive[draw] = (lag[seen] == 0).mean()
    truth = 1 - (1 - p) ** np.arange(1, 4)
    error = found.std(axis=0) / np.sqrt(draws)
    assert np.all(np.abs(found.mean(axis=0) - truth) < 4 * error + 2e-3)
    assert naive.mean() > p + 0.02
