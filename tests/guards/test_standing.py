"""How long features stand still is the same however rows come: one by one, in pieces, or all at once."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwild.guards.encoding import STRANGE
from mlwild.guards.fences import Runs

VALUES = st.sampled_from([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, np.nan, STRANGE, -1e308, 1e308])


def marked(pieces, longest):
    runs, made = Runs.of(len(longest)), []
    for piece in pieces:
        found = runs.feed(piece, longest)
        made.append(np.zeros(piece.shape, dtype=bool) if found is None else found)
    return np.concatenate(made).tolist(), runs.length.tolist()


@settings(max_examples=300, deadline=None)
@given(data=st.data(), n=st.integers(1, 40), columns=st.integers(1, 3), longest=st.integers(1, 4))
def test_however_rows_come(data, n, columns, longest):
    rows = np.array(data.draw(st.lists(st.lists(VALUES, min_size=columns, max_size=columns), min_size=n, max_size=n)))
    cuts = sorted(set(data.draw(st.lists(st.integers(1, n), max_size=8))) - {n})
    limits = np.full(columns, float(longest))
    whole = marked([rows], limits)
    assert marked(np.split(rows, cuts), limits) == whole
    assert marked(np.split(rows, n), limits) == whole
