"""Proxies of generalisation that need no labels: each armed only by its own record on this history."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import AppError, MlwildError
from mlwild.gate.held import Held
from mlwild.gate.outcome import Outcome
from mlwild.gate.trial import Trial
from mlwild.stressors import Noise, Situation
from mlwild.stressors.columns import numbers
from mlwild.wording import between, number

Floats = NDArray[np.float64]

#: Rows that proxies are computed on, evenly spaced; newest rows that their refits learn from.
ROWS, LEARNED = 2_000, 10_000
#: Fewest past trials that a record is made of; fewest that can call a value unusual at 5 %.
FEWEST, UNUSUAL = 8, 19


def _rows(trial: Trial) -> Held:
    held = trial.events
    return held if len(held) <= ROWS else held.where(np.linspace(0, len(held) - 1, ROWS).round().astype(np.int64))


def _newest(trial: Trial) -> Held:
    held = trial.learned
    return held if len(held) <= LEARNED else held.where(np.arange(len(held) - LEARNED, len(held)))


def _gap(one: Floats, other: Floats) -> float:
    """Return the mean absolute difference of two predictions; half the sum over classes."""
    if one.ndim == 2:
        return float(np.abs(one - other).sum(axis=1).mean() / 2)
    return float(np.abs(one - other).mean())


def seed_disagreement(trial: Trial) -> float:
    """Return how far the recipe's predictions are from each other with two other seeds."""
    rows, learned = _rows(trial), _newest(trial)
    one, other = (trial.fit(learned, seed=trial.seed + step).predictions(rows) for step in (1, 2))
    return _gap(one, other)


def bootstrap_churn(trial: Trial) -> float:
    """Return how far predictions are from each other after fits on two resamples of what was learned from."""
    rows, learned = _rows(trial), _newest(trial)
    rng = np.random.default_rng(0)
    made = []
    for _ in range(2):
        picked = np.sort(rng.integers(0, len(learned), len(learned)))
        made.append(trial.fit(learned.where(picked)).predictions(rows))
    return _gap(made[0], made[1])


def perturbation_stability(trial: Trial) -> float:
    """Return how far predictions move when a tenth of a standard deviation of noise is put on every number."""
    rows = _rows(trial)
    calm = Situation(trial, trial.model, rows)
    under = calm
    for place, name in enumerate(numbers(rows)):
        under = Noise((0.1,)).apply(under, name, 0.1, np.random.default_rng(place))
    return _gap(under.model.predictions(under.held), calm.model.predictions(rows))


def learning_curve_slope(trial: Trial) -> float:
    """Return how far predictions still move when the newest half of what was learned from is added."""
    rows, learned = _rows(trial), _newest(trial)
    half = learned.where(np.arange(len(learned) // 2))
    return _gap(trial.fit(half).predictions(rows), trial.fit(learned).predictions(rows))


PROXIES: dict[str, Callable[[Trial], float]] = {
    "seed disagreement": seed_disagreement,
    "bootstrap churn": bootstrap_churn,
    "perturbation stability": perturbation_stability,
    "learning-curve slope": learning_curve_slope,
}


@dataclass(frozen=True)
class Record:
    """
    What a proxy said at past trials, and what the candidates lost on rows that they were tried on.

    Parameters
    ----------
    values, losses : ndarray of shape (n_trials,)
    correlation, low, high : float
        Rank correlation with its 90 % interval; NaN where there are too few trials.
    """

    values: Floats
    losses: Floats
    correlation: float
    low: float
    high: float


@dataclass(frozen=True)
class Proxy:
    """
    A proxy of generalisation is not unusually high: it needs no labels, and is believed only on its record.

    At every past trial the proxy was computed without labels, and the labels then told what the candidate lost.
    The proxy is **armed** only if the rank correlation of the two has a lower bound above zero; then it is red
    when it is greater than at all past trials by more than chance explains (a conformal p-value of at most 5 %).

    Parameters
    ----------
    kind : str
        "seed disagreement", "bootstrap churn", "perturbation stability" or "learning-curve slope".
    owner : str

    Raises
    ------
    AppError
        If the kind is not known.

    References
    ----------
    .. [1] Jiang, Y., et al. (2020). Fantastic generalization measures and where to find them. ICLR.
    .. [2] Dziugaite, G. K., et al. (2020). In search of robust measures of generalization. NeurIPS 33.

    Examples
    --------
    >>> Proxy("seed disagreement").name
    'proxy: seed disagreement'
    """

    kind: str
    owner: str = ""
    family: str = "proxies"

    def __post_init__(self) -> None:
        """Check the kind."""
        if self.kind not in PROXIES:
            raise AppError(f"tests: there is no proxy {self.kind!r}; there is {', '.join(PROXIES)}.")

    @property
    def name(self) -> str:
        """Name in tables."""
        return f"proxy: {self.kind}"

    def value(self, trial: Trial) -> float:
        """Return what the proxy says of a trial's candidate, NaN where that gives no answer; the trial keeps it."""
        return trial.remember(("proxy", self.kind), lambda: _told(PROXIES[self.kind], trial))

    def record(self, trial: Trial) -> Record:
        """Return the proxy's record at the trials before this one."""
        past = trial.earlier()
        values = np.array([self.value(one) for one in past])
        losses = np.array([_loss(one) for one in past])
        return record_of(values, losses)

    def objection(self, trial: Trial) -> str:
        """Say why it is not armed."""
        if trial.model.raw is None:
            return "a published forecast cannot be fitted here"
        if len(trial.earlier()) < FEWEST:
            return f"{len(trial.earlier())} past trials make no record; {FEWEST} at least"
        found = self.record(trial)
        if found.low > 0:
            return ""
        if len(found.values) < FEWEST:
            silent = len(trial.earlier()) - len(found.values)
            return f"not armed: the model gave it no answer at {silent} of {len(trial.earlier())} past trials"
        if math.isnan(found.correlation):
            return f"not armed: it says the same at all {len(found.values)} past trials"
        said = f"rank correlation with the loss {number(found.correlation, 2)} ({between(found.low, found.high, 2)})"
        return f"not armed: over {len(found.values)} past trials its {said}"

    def judge(self, trial: Trial) -> Outcome:
        """Judge the candidate."""
        found, value = self.record(trial), self.value(trial)
        n = len(found.values)
        facts: dict[str, Any] = {"n": n, "estimate": value, "limit": float(found.values.max())}
        if not math.isfinite(value):
            return Outcome("fail", f"the model gives no answer from which {self.kind} could be told", **facts)
        p_value = (1 + int((found.values >= value).sum())) / (n + 1)
        said = (
            f"{self.kind} is {number(value, 3)}, at {n} past trials {number(float(found.values.min()), 3)} to "
            f"{number(float(found.values.max()), 3)}; rank correlation with the loss {number(found.correlation, 2)} "
            f"({between(found.low, found.high, 2)})"
        )
        if p_value <= 0.05:
            return Outcome("fail", said, blocks_good=p_value, **facts)
        if value > found.values.max():  # greater than ever, on too few trials to call that unusual
            return Outcome("underpowered", f"{said}; greater than ever, and {UNUSUAL} trials could tell", **facts)
        return Outcome("pass", said, blocks_good=0.05 if n >= UNUSUAL else math.nan, **facts)


def _told(proxy: Callable[[Trial], float], trial: Trial) -> float:
    try:
        return proxy(trial)
    except (MlwildError, MemoryError):
        raise
    except Exception:  # noqa: BLE001  the user's model may raise anything under noise, or when it is fitted on few rows
        return math.nan


def _loss(trial: Trial) -> float:
    return trial.remember("loss", lambda: trial.model.mean_loss(trial.events))


def record_of(values: Floats, losses: Floats) -> Record:
    """
    Return a record with the interval of its rank correlation, by Fisher's transform with the variance for ranks.

    References
    ----------
    .. [1] Bonett, D. G., & Wright, T. A. (2000). Sample size requirements for estimating Pearson, Kendall and
       Spearman correlations. Psychometrika, 65(1), 23-28.

    Examples
    --------
    >>> found = record_of(np.arange(12.0), np.arange(12.0) ** 2)
    >>> round(found.correlation, 6), found.low > 0.5
    (1.0, True)
    """
    from scipy.stats import rankdata

    known = np.isfinite(values) & np.isfinite(losses)
    values, losses = values[known], losses[known]
    if len(values) < FEWEST or np.ptp(values) == 0 or np.ptp(losses) == 0:
        return Record(values, losses, math.nan, math.nan, math.nan)
    found = float(np.corrcoef(rankdata(values), rankdata(losses))[0, 1])
    centre = math.atanh(max(min(found, 0.999999), -0.999999))
    radius = 1.645 * math.sqrt((1 + found**2 / 2) / (len(values) - 3))
    return Record(values, losses, found, math.tanh(centre - radius), math.tanh(centre + radius))
