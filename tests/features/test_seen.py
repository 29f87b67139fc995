"""What events see of rows, against plain loops over random stretches."""

from __future__ import annotations

import numpy as np
import pytest

from mlwild.clock import NEVER
from mlwild.joins import Asked
from mlwild.joins.seen import Seen, stable_order


@pytest.mark.parametrize("seed", range(40))
def test_counts_kinds_and_the_topmost_are_those_of_plain_loops(seed):
    rng = np.random.default_rng(seed)
    n, m = int(rng.integers(1, 60)), int(rng.integers(0, 40))
    low = rng.integers(0, n, m)
    high = np.minimum(low + rng.integers(1, rng.choice([3, n + 2]), m), n)
    seen, code, rank = Seen(np.arange(m), low, high, n), rng.integers(0, 4, m), rng.permutation(m)
    inside = [(low <= event) & (event < high) for event in range(n)]
    assert seen.count().tolist() == [int(one.sum()) for one in inside]
    assert seen.kinds(code).tolist() == [len(set(code[one])) for one in inside]
    assert seen.topmost(rank).tolist() == [max(rank[one], default=-1) for one in inside]


@pytest.mark.parametrize("seed", range(40))
def test_a_row_is_seen_from_one_instant_on_until_another(seed):
    rng = np.random.default_rng(seed)
    n, m = int(rng.integers(0, 30)), int(rng.integers(0, 30))
    asked = Asked(rng.integers(0, 3, n), rng.integers(0, 12, n) if seed % 2 else np.sort(rng.integers(0, 12, n)))
    key, begins = rng.integers(-1, 3, m), rng.integers(-2, 14, m)
    begins[rng.random(m) < 0.1] = NEVER
    ends = np.where(rng.random(m) < 0.3, NEVER, begins.clip(max=99) + rng.integers(0, 6, m))
    seen = Seen.of(asked, key, begins, ends)
    expected = [
        int(((key == k) & (begins <= t) & (t < ends)).sum()) for k, t in zip(asked.key, asked.time, strict=True)
    ]
    assert asked.restored(seen.count()).tolist() == expected
    assert (np.diff(asked.places) >= 0).all()


def test_great_codes_are_put_in_order():
    codes = np.random.default_rng(0).integers(0, 2**40, 2000)
    codes[::7] = codes[0]
    assert stable_order(codes).tolist() == np.argsort(codes, kind="stable").tolist()
