"""Figures of one scheme's audition, and who was best at what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.auditions.intervals import Bounds
from mlwild.auditions.promises import Promises
from mlwild.errors import DataError
from mlwild.splits import DEFAULT, OfFolds
from mlwild.stats.block_means import FEWEST_BLOCKS, FewBlocksError
from mlwild.stats.bootstrap import Interval, block_length, block_positions, mean_interval
from mlwild.stats.many import model_confidence_set
from mlwild.stats.proportions import wilson
from mlwild.wording import between, number

Floats = NDArray[np.float64]

#: Cutoffs below which schemes are not told apart.
FEWEST_CUTOFFS = 8
_REPS = 1000


def _pieces(interval: Interval | None, prefix: str, *, bounds_only: bool = False) -> dict[str, Any]:
    values = (None, None, None) if interval is None else (interval.estimate, interval.low, interval.high)
    made = {f"{prefix}_low": values[1], f"{prefix}_high": values[2]}
    if not bounds_only:
        made[prefix] = values[0]
    return {key: value if value is not None and np.isfinite(value) else None for key, value in made.items()}


def facts(made: Promises, place: int, bounds: Sequence[Bounds], level: float) -> dict[str, Any]:
    """
    Return the record of one scheme.

    Errors are means over models and windows, then over cutoffs; `error` is the mean absolute error,
    `excess` what of it sampling alone does not explain, `error_of_default` that of the default scheme at
    the same cutoffs, `rank_models` the rank correlation across
    models (does it choose right?), `rank_time` the one over time (does it warn?).
    """
    scheme = made.schemes[place]
    promised, came = made.made[place], made.came
    gap = promised - came
    judged = ~np.isnan(gap).any(axis=0)
    gap = gap[:, judged]
    n = int(judged.sum())
    size = np.abs(gap).mean(axis=0)
    floor = made.floor[:, judged].mean(axis=0)
    low, high = np.array([b.low for b in bounds]), np.array([b.high for b in bounds])
    bounded = ~np.isnan(low) & ~np.isnan(came)
    inside = ((low <= came) & (came <= high))[bounded]
    # Models share their periods: the count behind a coverage is that of cutoffs.
    cutoffs = int(bounded.any(axis=0).sum())
    covered = wilson(round(float(inside.mean()) * cutoffs), cutoffs, level=level) if cutoffs else None
    regret = None
    if len(made.procedures) > 1 and n:
        chosen = promised[:, judged].argmin(axis=0)
        regret = mean_interval(came[:, judged][chosen, np.arange(n)] - came[:, judged].min(axis=0), level=level)
    return {
        "name": scheme.name,
        "meaning": scheme.meaning,
        "fits": isinstance(scheme, OfFolds),
        "estimate": _known(made.next[place]),
        "low": _known(bounds[0].next_low),
        "high": _known(bounds[0].next_high),
        "n": n,
        "method": "adaptive conformal over past cutoffs",
        "why": _why(gap, size, floor, n),
        **_pieces(mean_interval(gap.mean(axis=0), level=level) if n else None, "bias"),
        **_pieces(mean_interval(size, level=level) if n else None, "error"),
        "error_of_default": _default_error(made, judged),
        **_pieces(mean_interval(size - floor, level=level) if n and not np.isnan(floor).any() else None, "excess"),
        **_pieces(_across_models(promised[:, judged], came[:, judged], level), "rank_models"),
        **_pieces(_over_time(promised[:, judged], came[:, judged], level), "rank_time"),
        **_pieces(regret, "regret"),
        **_pieces(covered, "coverage"),
        "width": float((high - low)[bounded].mean()) if bounded.any() else None,
    }


def _default_error(made: Promises, judged: NDArray[np.bool_]) -> float | None:
    """Return the mean absolute error of the default scheme at the same cutoffs."""
    names = [scheme.name for scheme in made.schemes]
    if DEFAULT.name not in names or not judged.any():
        return None
    return _known(float(np.abs(made.made[names.index(DEFAULT.name)] - made.came)[:, judged].mean()))


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _why(gap: Floats, size: Floats, floor: Floats, n: int) -> str:
    if not n:
        return "no cutoff at which it could be held against what came"
    said = f"off by {number(float(size.mean()), 2)} on average over {n} cutoffs"
    if not np.isnan(floor).any():
        said += f", of which chance alone explains {number(float(floor.mean()), 2)}"
    lean = float(gap.mean())
    return said + f"; it promised {number(abs(lean), 2)} too {'much' if lean > 0 else 'little'} loss"


def _correlation(a: Floats, b: Floats) -> Floats:
    """Return Spearman's rank correlation along the last axis; NaN where one side does not vary."""
    from scipy.stats import rankdata  # it takes a third of a second to import

    x, y = rankdata(a, axis=-1), rankdata(b, axis=-1)
    x, y = x - x.mean(axis=-1, keepdims=True), y - y.mean(axis=-1, keepdims=True)
    scale = np.sqrt((x * x).sum(axis=-1) * (y * y).sum(axis=-1))
    product = np.asarray((x * y).sum(axis=-1))
    return np.asarray(np.divide(product, scale, out=np.full(product.shape, np.nan), where=scale > 0))


def _across_models(promised: Floats, came: Floats, level: float) -> Interval | None:
    """Return the rank correlation across models and windows, a mean over cutoffs."""
    if len(promised) < 2 or not promised.size:
        return None
    each = _correlation(promised.T, came.T)
    each = each[~np.isnan(each)]
    return mean_interval(each, level=level) if len(each) else None


def _over_time(promised: Floats, came: Floats, level: float) -> Interval | None:
    """Return the rank correlation over cutoffs, a mean over models, with blocks of cutoffs resampled."""
    n = promised.shape[1]
    if n < FEWEST_CUTOFFS:
        return None
    estimate = _mean_known(_correlation(promised, came)[None, :])[0]
    if np.isnan(estimate):
        return None
    positions = block_positions(n, block_length(came.mean(axis=0)), _REPS, np.random.default_rng(0))
    drawn = _mean_known(
        np.column_stack([_correlation(p[positions], c[positions]) for p, c in zip(promised, came, strict=True)])
    )
    drawn = drawn[~np.isnan(drawn)]
    if not len(drawn):
        return None
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(estimate), float(low), float(high), level, n)


def _mean_known(values: Floats) -> Floats:
    """Return the mean of what is known in each row; NaN for a row of nothing."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(axis=1)
    return np.asarray(np.divide(total, known.sum(axis=1), out=np.full(len(values), np.nan), where=known.any(axis=1)))


def best_scheme(losses: Floats, made: Promises, level: float, what: str) -> dict[str, Any]:
    """
    Name the scheme that was best, with all that cannot be told from it; or say that there is no difference.

    Parameters
    ----------
    losses : ndarray of shape (n_schemes, n_cutoffs)
        Absolute error or regret; NaN where a scheme was not asked.
    what : {"estimating", "choosing"}
    """
    names = [scheme.name for scheme in made.schemes]
    # Schemes with fits were asked at a few cutoffs; where these are too few, only the reads compete.
    whole = ~np.isnan(losses)
    rows = np.flatnonzero(whole.any(axis=1))
    columns = np.flatnonzero(whole[rows].all(axis=0))
    if len(columns) < FEWEST_CUTOFFS:
        rows = np.array([place for place in rows if not isinstance(made.schemes[place], OfFolds)], dtype=np.int64)
        columns = np.flatnonzero(whole[rows].all(axis=0)) if len(rows) else columns[:0]
    none = {"name": None, "among": [names[place] for place in rows], "n": len(columns)}
    if len(columns) < FEWEST_CUTOFFS or len(rows) < 2:
        return {**none, "why": f"{len(columns)} cutoffs are too few to tell schemes apart; it takes {FEWEST_CUTOFFS}"}
    table = losses[np.ix_(rows, columns)].T
    try:
        found = model_confidence_set(table, level=level)
    except FewBlocksError as problem:
        why = (
            f"they cannot be told apart: {len(columns)} cutoffs that resemble their neighbours tell as much as "
            f"{problem.blocks:.1f} that do not, and it takes {FEWEST_BLOCKS}; rehearse a longer history"
        )
        return {**none, "why": why}
    except DataError as problem:
        return {**none, "why": f"they cannot be told apart: {problem}"}
    best = int(table.mean(axis=0).argmin())
    among = [names[rows[place]] for place in found.included]
    distinct = {table[:, place].tobytes() for place in range(table.shape[1])}
    if len(found.included) == table.shape[1] or len(distinct) == 1:
        why = f"no difference: none of {len(rows)} can be told from the best at {level:.0%} over {len(columns)} cutoffs"
        return {**none, "among": among, "why": why}
    worst = int(table.mean(axis=0).argmax())
    gap = mean_interval(table[:, worst] - table[:, best], level=level)
    unit = "off by" if what == "estimating" else "regret of"
    why = (
        f"{unit} {number(float(table[:, best].mean()), 2)} on average over {len(columns)} cutoffs; "
        f"{len(among) - 1} of {len(rows) - 1} others cannot be told from it at {level:.0%}; the last, "
        f"{names[rows[worst]]!r}, is worse by {number(gap.estimate, 2)} ({between(gap.low, gap.high, 2)})"
    )
    return {"name": names[rows[best]], "among": among, "n": len(columns), "why": why}


def leak_meter(made: Promises, level: float) -> dict[str, Any] | None:
    """Return blocked less shuffled cross-validation: what leaks across time where rows are shuffled."""
    places = {
        scheme.kind: place
        for place, scheme in enumerate(made.schemes)
        if isinstance(scheme, OfFolds) and not scheme.weighted and scheme.kind in ("blocked", "shuffled")
    }
    if len(places) < 2:
        return None
    gap = (made.made[places["blocked"]] - made.made[places["shuffled"]]).mean(axis=0)
    gap = gap[~np.isnan(gap)]
    if not len(gap):
        return None
    interval = mean_interval(gap, level=level)
    return {
        "estimate": interval.estimate,
        "low": _known(interval.low),
        "high": _known(interval.high),
        "n": len(gap),
        "level": level,
    }
