"""The classifier two-sample test, valid whenever one looks: guess, bet, learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import AppError, DataError
from mlwild.frames import learnable
from mlwild.monitors.shifts.read import Tables
from mlwild.stats.distances import Discrepancy
from mlwild.stats.distances import mmd as mmd_of
from mlwild.wording import number

Floats = NDArray[np.float64]

#: Stakes of the bets, as shares of the capital.
STAKES = (0.1, 0.2, 0.4, 0.8)
#: Pairs before the first guess, and pairs that are used at most.
FIRST, MOST = 64, 20_000


@dataclass(frozen=True)
class ClassifierTest:
    """
    Evidence that a classifier can tell the window's rows from the reference's.

    Parameters
    ----------
    e_value : float
        Mean capital of the bets; at any time it exceeds 1 / alpha with chance alpha at most if rows are
        exchangeable.
    found_at : int or None
        Number of pairs after which it had passed 1 / alpha.
    alpha : float
    accuracy : float
        Share of pairs guessed right after the first look; one half if nothing tells them apart.
    explained_by : tuple of (str, float)
        Columns by how much accuracy is lost when they are shuffled, greatest first.
    n : int
        Pairs that were bet on.
    said : str
    """

    e_value: float
    found_at: int | None
    alpha: float
    accuracy: float
    explained_by: tuple[tuple[str, float], ...]
    n: int
    said: str


def classifier_test(reference: Any, window: Any, *, alpha: float = 0.01, seed: int = 0) -> ClassifierTest:
    """
    Bet on which row of a pair is the window's, with a classifier that learns as it goes.

    Rows are drawn in pairs, one of each side in random order. A boosted classifier that has seen earlier
    pairs only guesses which is which; if rows are exchangeable every guess is right with chance one half,
    whatever the classifier, so that the capital of the bets is a test martingale.

    Parameters
    ----------
    reference, window : frame
        The same columns.
    alpha : float
        Chance of a false finding at any time, at most.
    seed : int

    Returns
    -------
    ClassifierTest

    Raises
    ------
    AppError, DataError
        If the tables do not match or there are fewer than 128 rows on a side.

    References
    ----------
    .. [1] Lopez-Paz, D., & Oquab, M. (2017). Revisiting classifier two-sample tests. ICLR.
    .. [2] Podkopaev, A., & Ramdas, A. (2023). Sequential predictive two-sample and independence testing.
       NeurIPS 36.

    Examples
    --------
    >>> import pyarrow as pa
    >>> rng = np.random.default_rng(0)
    >>> old, new = rng.normal(size=(2, 2000))
    >>> found = classifier_test(pa.table({"x": old, "y": new}), pa.table({"x": old + 1, "y": new[::-1]}))
    >>> found.found_at is not None, found.explained_by[0][0]
    (True, 'x')
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    if not 0 < alpha < 1:
        raise AppError(f"alpha: {alpha} must lie in (0, 1).")
    tables = Tables.of(reference, window)
    n = min(tables.reference.num_rows, tables.window.num_rows, MOST)
    if n < 2 * FIRST:
        raise DataError(f"window: {n} rows on the smaller side; the classifier test takes {2 * FIRST}.")
    rng = np.random.default_rng(seed)
    order = [rng.permutation(table.num_rows)[:n] for table in (tables.reference, tables.window)]
    sides = tables.rows(*order).matrices()
    log_capital, stakes = np.zeros(len(STAKES)), np.array(STAKES)
    best, found_at, right, at = 0.0, None, [], FIRST
    model: Any = None
    while at < n:
        stop = min(2 * at, n)
        learned = np.concatenate([sides[0][:at], sides[1][:at]])
        model = HistGradientBoostingClassifier(max_iter=40, max_leaf_nodes=15, early_stopping=False, random_state=0)
        with threadpool_limits(limits=1):
            model.fit(learnable(learned), np.repeat([0, 1], at))
            ahead = model.decision_function(sides[1][at:stop]) - model.decision_function(sides[0][at:stop])
        bets = np.sign(ahead)  # a tie is no bet
        right.append((bets + 1) / 2)
        walk = log_capital[:, None] + np.cumsum(np.log1p(stakes[:, None] * bets[None, :]), axis=1)
        mixed = np.logaddexp.reduce(walk, axis=0) - np.log(len(STAKES))
        if found_at is None and (mixed >= -np.log(alpha)).any():
            found_at = at + int(np.argmax(mixed >= -np.log(alpha))) + 1
        log_capital, best, last, at = walk[:, -1], float(mixed[-1]), (at, stop), stop
    accuracy = float(np.concatenate(right).mean())
    explained = _explained(model, sides, last, tables.names, rng) if found_at is not None else ()
    e_value = float(np.exp(min(best, 700.0)))
    if found_at is None:
        said = (
            f"Rows of the window cannot be told from the reference's (evidence {number(e_value, 2)} of {1 / alpha:g})."
        )
    else:
        shown = ", ".join(repr(name) for name, lost in explained[:3] if lost > 0)
        said = f"Rows of the window can be told from the reference's after {found_at:,} pairs, mostly by {shown}."
    return ClassifierTest(e_value, found_at, alpha, accuracy, explained, n - FIRST, said)


def _explained(
    model: Any,
    sides: Sequence[Floats],
    span: tuple[int, int],
    names: tuple[str, ...],
    rng: np.random.Generator,
) -> tuple[tuple[str, float], ...]:
    old, new = (side[span[0] : span[1]][:2000] for side in sides)

    def accuracy(a: Floats, b: Floats) -> float:
        return float((model.decision_function(b) > model.decision_function(a)).mean())

    whole, lost = accuracy(old, new), []
    for column, name in enumerate(names):
        both = np.concatenate([old[:, column], new[:, column]])
        rng.shuffle(both)
        mixed = [side.copy() for side in (old, new)]
        mixed[0][:, column], mixed[1][:, column] = both[: len(old)], both[len(old) :]
        lost.append((name, whole - accuracy(*mixed)))
    return tuple(sorted(lost, key=lambda item: -item[1]))


def mmd(reference: Any, window: Any, *, block: int = 32, seed: int = 0) -> Discrepancy:
    """
    Return the maximum mean discrepancy of the numeric columns of two tables, each scaled by the reference.

    Parameters
    ----------
    reference, window : frame
        The same columns; those of words are left out, and gaps are filled with the reference's median.
    block : int
        See `mlwild.stats.distances.mmd`.
    seed : int

    Raises
    ------
    DataError
        If no column holds numbers, or there are too few rows.

    Examples
    --------
    >>> import pyarrow as pa
    >>> rng = np.random.default_rng(0)
    >>> old, new = rng.normal(size=(2, 2000))
    >>> mmd(pa.table({"x": old}), pa.table({"x": new + 0.5})).p < 0.001
    True
    """
    tables = Tables.of(reference, window)
    sides: list[list[Floats]] = [[], []]
    for pair in tables:
        if pair.categories is not None:
            continue
        old, new = (np.asarray(values, dtype=np.float64) for values in (pair.reference, pair.window))
        known = old[np.isfinite(old)]
        if not len(known):
            continue
        middle, spread = float(np.median(known)), float(known.std()) or 1.0
        for side, values in zip(sides, (old, new), strict=True):
            side.append(np.where(np.isfinite(values), (values - middle) / spread, 0.0))
    if not sides[0]:
        raise DataError("reference: no column holds numbers; the maximum mean discrepancy needs some.")
    return mmd_of(np.column_stack(sides[0]), np.column_stack(sides[1]), block=block, seed=seed)
