"""
What a guard costs: one row of twenty features, and a batch of a thousand, beyond the bare call of the model.

Asked: under 150 microseconds a row in the median, and under 10 % of a batch. The model is a boosting of 100 trees, on
one core, as a worker of the server asks it. Answers that ask the model are timed against bare calls of it, some of each
in turn: in life too each answer comes after one call of the model, and the caches are to be filled anew. What answers
cost one right after the other, the model's values at hand, is told beside it, so that a guard that is slow is told from
a machine that is busy; and what they cost so where no loop is compiled.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from mlwild.guards import Candidate, Known, learn_guard
from mlwild.losses import named
from mlwild.stats import kernels

FEATURES, LEARNED, HELD, ROWS, BATCH = 20, 4000, 2000, 400, 1000
#: Calls of one kind on end; the first comes after another kind, and does not count.
TURN = 11
#: What a batch may cost of a call of the model.
SHARE = 0.1


def seconds(call: Callable[[], Any]) -> float:
    """Return how long a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _same(values: Any, _: Any) -> Any:
    return values


def main() -> None:
    """Measure both kinds of frames."""
    print("loops are compiled" if kernels.compiled else "no loop is compiled")
    rng = np.random.default_rng(0)
    mixed = np.eye(FEATURES) + 0.3 * rng.normal(size=(FEATURES, FEATURES))
    X = rng.normal(size=(LEARNED + HELD, FEATURES)) @ mixed
    y = X[:, 0] + np.sin(X[:, 1]) + 0.1 * rng.normal(size=len(X))
    names = [f"x{place}" for place in range(FEATURES)]
    table = pa.table(dict(zip(names, X.T.copy(), strict=True)))
    for kind in ("numpy", "pandas"):
        frame = X if kind == "numpy" else pd.DataFrame(X, columns=names)
        model = HistGradientBoostingRegressor(max_iter=100, early_stopping=False).fit(frame[:LEARNED], y[:LEARNED])
        parts = table.slice(0, LEARNED), y[:LEARNED], table.slice(LEARNED), y[LEARNED:]
        known = Known(*parts, kind, named("absolute"), "value", 0)
        chain = [Candidate("boosting", "0", model.predict)]
        learning = seconds(partial(learn_guard, known, chain))
        guard = learn_guard(known, chain)
        for said, size, times in (("row", 1, ROWS), ("batch", BATCH, 200)):
            watch, guarded, bare = guard.watch(), list[float](), list[float]()
            for turn in range(2 * times // (TURN - 1)):
                each = [frame[(turn * TURN + place) * size % LEARNED :][:size] for place in range(TURN)]
                if turn % 2:
                    bare += [seconds(partial(model.predict, rows)) for rows in each][1:]
                else:
                    guarded += [seconds(partial(guard.answer, rows, [model.predict], watch)) for rows in each][1:]
            beyond = median(guarded) - median(bare)
            values = model.predict(each[0])
            ready = [partial(_same, values)]  # the model's answer is there already: what is left is the guard
            again = partial(seconds, partial(guard.answer, each[0], ready, watch))
            hot, compiled = [again() for _ in range(times)], kernels.compiled
            kernels.compiled = None
            plain = [again() for _ in range(times)]
            kernels.compiled = compiled
            print(
                f"{kind:7s} {said:5s} of {size:5,}: {1e6 * beyond:8,.0f} us beyond the model's "
                f"{1e6 * median(bare):8,.0f} us ({beyond / median(bare):.1%}, and under {SHARE:.0%} of a model "
                f"that takes {1e3 * beyond / SHARE:,.1f} ms); one after the other {1e6 * median(hot):,.0f} us, "
                f"by NumPy alone {1e6 * median(plain):,.0f} us"
            )
        print(f"{kind:7s} learned in {learning:.1f} s")


if __name__ == "__main__":
    with threadpool_limits(limits=1):
        main()
