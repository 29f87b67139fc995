"""How a guard is learned: limits from what models learned from, losses from rows that they did not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.contracts import Column
from mlwild.errors import AppError, DataError
from mlwild.guards.alike import groups_of
from mlwild.guards.encoding import Encoding
from mlwild.guards.exploring import learn_draws
from mlwild.guards.fences import SHORTEST_RUN, learn_fences
from mlwild.guards.filling import learn_filler
from mlwild.guards.following import follow, looks, numbers_of
from mlwild.guards.guarded import Guarded
from mlwild.guards.mean_losses import best_constant
from mlwild.guards.origins import learn_stream
from mlwild.guards.outcomes import scores_of
from mlwild.guards.runs import longest_runs
from mlwild.guards.settings import Guard
from mlwild.guards.stages import CONSTANT, Predict, Sample, Stage, best
from mlwild.losses import Loss
from mlwild.stats.local_radii import Radii

Floats = NDArray[np.float64]

#: Labels that the constant is made of: the latest.
RECENT = 20_000
#: Rows on which losses without a feature are measured, evenly spaced over those that were not learned from.
SAMPLED = 1000
#: Rows that get their radii together, where nobody says when outcomes were known.
STRETCH = 50


@dataclass(frozen=True, eq=False)
class Candidate:
    """
    A model that is to be a stage.

    Parameters
    ----------
    name : str
    vintage : str
        Who answers.
    predict : callable
        Answers of a stand-in that did not learn from the rows that losses are measured on.
    radii : Radii, optional
        How far off its answers may be, as its life so far showed. Default: as the stand-in's answers to the held rows
        show.
    apart : bool
        Whether who answers learned from none of those rows, as the stand-in did not.
    """

    name: str
    vintage: str
    predict: Predict
    radii: Radii | None = None
    apart: bool = True


@dataclass(frozen=True, eq=False)
class Known:
    """
    What a guard is learned from.

    Parameters
    ----------
    learned : pyarrow.Table of n_learned
        Features that models learned from, in order of time.
    past : ndarray of shape (n_learned,)
        Their labels: numbers, or class numbers.
    held : pyarrow.Table of n_held
        Features of later rows, with labels.
    labels : ndarray of shape (n_held,)
        Of those.
    kind : str
        Kind of frame that models are given.
    loss : Loss
    ask : str
        What models are asked for.
    classes : int
        Number of classes; 0 for numbers.
    period, told : ndarray of int, shape (n_held,), optional
        Of each held row: at which cutoff its radius was fixed, and the first later one at which its outcome was known.
        Default: every fifty rows, of what came before.
    times : ndarray of shape (n_learned,), optional
        Of the rows that models learned from.
    past_weights, weights : ndarray of shape (n_learned,) and (n_held,), optional
        What each row counts where labels are seen selectively: one over the chance that its label was seen.
    """

    learned: Any
    past: NDArray[Any]
    held: Any
    labels: NDArray[Any]
    kind: str
    loss: Loss
    ask: str
    classes: int
    period: NDArray[np.int64] | None = None
    told: NDArray[np.int64] | None = None
    times: Floats | None = None
    past_weights: Floats | None = None
    weights: Floats | None = None

    @cached_property
    def numbers(self) -> Floats:
        """The features of the held rows as numbers, once for all stages."""
        return numbers_of(self.held)

    def radii(self, value: Floats, level: float) -> Radii:
        """Return how far off answers as those to the held rows may be."""
        if self.ask == "class":
            return Radii(math.inf)
        scores = scores_of(self.ask, self.labels, value)
        period = np.arange(len(scores)) // STRETCH if self.period is None else self.period
        told = period + 1 if self.told is None else self.told
        seen = looks(self.ask, self.numbers, value)
        return follow(seen, scores, period, told, level=level, weights=self.weights)[0].fixed()


def learn_guard(
    known: Known,
    chain: Sequence[Candidate],
    settings: Guard | None = None,
    terms: Mapping[str, Column] | None = None,
) -> Guarded:
    """
    Learn a guard.

    Parameters
    ----------
    known : Known
    chain : sequence of Candidate
        The champion first; the constant is added.
    settings : Guard, optional
    terms : mapping of str to Column, optional
        What the app's contract says of features.

    Returns
    -------
    Guarded

    Raises
    ------
    DataError
        If there is no labelled row that models did not learn from.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from mlwild.losses import named
    >>> x = np.arange(600.0) % 97
    >>> table = pa.table({"x": x})
    >>> y = 2 * x
    >>> parts = table.slice(0, 300), y[:300], table.slice(300), y[300:]
    >>> known = Known(*parts, "numpy", named("absolute"), "value", 0)
    >>> double = Candidate("double", "3", lambda X: 2 * X[:, 0])
    >>> guard = learn_guard(known, [double])
    >>> [round(stage.loss, 1) for stage in guard.stages]
    [0.0, 49.1]
    >>> said = guard.answer(np.array([[5.0], [5e6]]), [double.predict], guard.watch())
    >>> said.value.round(1).tolist(), said.words
    ([10.0, 93.0], ['normal', 'fallback'])
    """
    n = len(known.labels)
    if settings is not None and settings.risk is not None and not known.ask.startswith("probab"):
        raise AppError("guard.risk: this loss asks for no probabilities of classes, so that nobody knows what is sure.")
    if settings is not None and (settings.low, settings.high) != (None, None) and known.ask != "value":
        raise AppError("guard.low, high: this loss asks for classes, and intervals are for numbers.")
    if not n:
        raise DataError("guard: there is no labelled row that the models did not learn from. Wait for labels.")
    settings = settings or Guard()
    history = _history(known)
    encoding = Encoding.of(history, known.kind)
    fences = learn_fences(history, encoding, terms, known.times)
    filler = learn_filler(encoding, known.learned)
    picked = np.linspace(0, n - 1, min(n, SAMPLED)).round().astype(np.int64)
    weights = None if known.weights is None else known.weights[picked]
    few = known.held.take(picked), known.labels[picked]
    sample = Sample(*few, known.kind, known.loss, filler, settings.risk, weights)
    whole = replace(sample, table=known.held, labels=known.labels, weights=known.weights)
    alike = groups_of(encoding, known.held.take(picked))
    stages = [
        *(_stage(one, known, (sample, whole), settings, alike) for one in chain),
        _constant(known, sample, whole, settings),
    ]
    stream, going = learn_stream(_finite(encoding.matrix(history)[0]), fences.typical, settings, fences.going)
    fences = replace(fences, going=going)
    draws = learn_draws(settings.explore, known.ask, known.classes, whole, settings.refuse)
    return Guarded(encoding, fences, stream, tuple(stages), sample, known.ask, known.classes, settings, draws)


def _history(known: Known) -> Any:
    """Return all rows that are known, in order of time: who lives has learned from the held ones too, or will soon."""
    import pyarrow as pa

    return pa.concat_tables([known.learned, known.held.cast(known.learned.schema)]).unify_dictionaries()


def _stage(
    one: Candidate, known: Known, samples: tuple[Sample, Sample], settings: Guard, alike: Sequence[frozenset[str]]
) -> Stage:
    sample, whole = samples
    predictions = whole.answers(one.predict)
    names = known.learned.column_names
    if predictions is None:
        raise DataError(f"guard: {one.name!r} gives no answer to rows of the history, and can be no stage of a chain.")
    before = sample.answers(one.predict)
    assert before is not None
    off = sample.off(before)
    each = {name: sample.ways(one.predict, (name,), off) for name in names}
    nothing = sample.answers(one.predict, names)
    blind = nothing is not None and bool(np.array_equal(nothing, before))
    together = [] if blind else [(group, sample.ways(one.predict, sorted(group), off)) for group in alike]
    low, high = _range(known, predictions)
    first = np.asarray(predictions if predictions.ndim == 1 else predictions[:, 0], dtype=np.float64)
    seen = float(longest_runs(first[:, None])[0])
    varies = not blind and seen < len(first) / 10
    return Stage(
        one.name,
        one.vintage,
        whole.lost(predictions),
        len(known.labels),
        {name: best(ways) for name, ways in each.items()},
        known.radii(np.asarray(predictions, dtype=np.float64), settings.level) if one.radii is None else one.radii,
        blind,
        low,
        high,
        max(5.0 * SHORTEST_RUN, 3 * seen) if varies else math.inf,
        blocks=sample.blocks(before),
        sure=whole.sure(predictions),
        ways={fill: {name: ways[fill] for name, ways in each.items()} for fill in sample.filler.ways},
        alike=tuple(together),
        nothing=None if blind else best(sample.ways(one.predict, names, off)),
        apart=one.apart,
        off=off,
    )


def _range(known: Known, predictions: NDArray[Any]) -> tuple[float, float]:
    """Return between what sane answers lie: as far outside as all that was seen is wide."""
    if known.ask.startswith("probab"):
        return 0.0, 1.0
    if known.ask == "class":
        return 0.0, float(known.classes - 1)
    low = min(float(known.labels.min()), float(predictions.min()))
    high = max(float(known.labels.max()), float(predictions.max()))
    wide = high - low
    return low - wide, high + wide


def _constant(known: Known, sample: Sample, whole: Sample, settings: Guard) -> Stage:
    weights = None if known.past_weights is None else known.past_weights[-RECENT:]
    answer = best_constant(known.loss, known.past[-RECENT:], known.ask, known.classes, weights)
    same, few = (np.broadcast_to(answer, (len(one.labels), *answer.shape)) for one in (whole, sample))
    return Stage(
        CONSTANT,
        "",
        whole.lost(same),
        len(known.labels),
        radii=known.radii(same, settings.level),
        blind=True,
        constant=answer,
        blocks=sample.blocks(few),
        sure=whole.sure(same),
    )


def _finite(rows: Floats) -> Floats:
    return np.where(np.isfinite(rows) & (np.abs(rows) < 1e150), rows, np.nan)
