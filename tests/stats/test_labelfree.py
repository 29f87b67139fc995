"""When labelled rows support an estimate."""

from __future__ import annotations

import math

from mlwild.stats.labelfree import verdict


def test_what_is_unknown_is_weak_at_best():
    assert verdict(1e6, math.nan) == "weak"
    assert verdict(10.0, math.nan) == "none"
