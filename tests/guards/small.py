"""A small guard of one model, made in a moment."""

import pyarrow as pa

from mlwild.guards import Candidate, Known, learn_guard
from mlwild.losses import named

N = 1200


def made(table, labels, predict, loss="absolute", **more):
    """Return the guard of one model of some rows."""
    known = Known(
        table.slice(0, N // 2),
        labels[: N // 2],
        table.slice(N // 2),
        labels[N // 2 :],
        "pandas",
        named(loss),
        "value",
        0,
    )
    return learn_guard(known, [Candidate("model", "1", predict)], **more)


def two(rng):
    """Return two columns that say nearly the same, and the first of them."""
    a = rng.normal(size=N)
    return pa.table({"a": a, "b": a + 0.1 * rng.normal(size=N)}), a
