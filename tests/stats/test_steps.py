"""Step functions: one place and many are one, and the definition holds."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlwild.stats.steps import MOST, Steps

PLACES = st.floats(min_value=5e-324, max_value=1.7976931348623157e308)


@settings(max_examples=300, deadline=None)
@given(edges=st.lists(PLACES, max_size=30), more=st.lists(PLACES, max_size=20), data=st.data())
@example(edges=[1.0] * 3 + [2.0] * 20, more=[0.5, 3.0], data=None)
@example(edges=[1.0 + 1e-9 * place for place in range(3 * MOST)], more=[0.5, 1.0 + 2.5e-9, 3.0], data=None)
def test_a_step_function_is_the_search_wherever_edges_lie(edges, more, data):
    edges = sorted(edges)
    values = (
        [float(place) for place in range(len(edges) + 1)]
        if data is None
        else data.draw(st.lists(st.sampled_from([1.0, 2.0, 3.0]), min_size=len(edges) + 1, max_size=len(edges) + 1))
    )
    made = Steps(np.array(edges), np.array(values))
    places = np.array([*edges, *np.nextafter(edges, 0.0), *more])
    places = places[places > 0]
    wanted = [values[bisect_left(edges, one)] for one in places.tolist()]
    assert made.over(places).tolist() == wanted
    assert [made.at(one) for one in places.tolist()] == wanted
