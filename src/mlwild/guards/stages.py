"""The stages of a fallback chain, and what each is known to lose, with and without each feature."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild import frames
from mlwild.guards.filling import IMPUTED, MISSING, USUAL, Filler
from mlwild.guards.mean_losses import mean_loss
from mlwild.guards.outcomes import likeliest_of
from mlwild.losses import Loss
from mlwild.models import refuse_unfinite
from mlwild.stats.local_radii import Radii
from mlwild.stats.selective import guaranteed_threshold

Floats = NDArray[np.float64]
#: Answers to the rows of a frame, as `mlwild.models.predict` gives them.
Predict = Callable[[Any], NDArray[Any]]

#: Stretches of the sample that losses are told of one by one.
BLOCKS = 4
#: Rows on which a model is asked whether it answers anything else than the same.
FEW = 64
#: The last stage of every chain: it reads nothing.
CONSTANT = "constant"


@dataclass(frozen=True)
class Gone:
    """
    What a stage does where a feature cannot be used.

    Parameters
    ----------
    loss : float
        Mean loss then; infinite where it gives no answer.
    fill : str
        What stands in its place, one of `FILLS`.
    wider : float
        Factor of the interval's width.
    blocks : tuple of float
        Mean loss in each of a few stretches of the sample: what is better on the whole may be far worse in a bad week.
    sure : float
        Probability of the likeliest class below which it does not answer; 0 where it answers all.
    """

    loss: float
    fill: str = MISSING
    wider: float = 1.0
    blocks: tuple[float, ...] = ()
    sure: float = 0.0

    def excess(self, other: Stage) -> float:
        """Return by how much it loses more than a stage that lacks nothing, in the stretch in which that is most."""
        pairs = zip(self.blocks, other.blocks, strict=True)
        # A loss of sets is not defined in a stretch of one class.
        return max((ours - theirs for ours, theirs in pairs if math.isfinite(theirs)), default=0.0)


@dataclass(frozen=True, eq=False)
class Stage:
    """
    One stage of a chain.

    Parameters
    ----------
    name : str
    vintage : str
        Who answers; empty for the constant.
    loss : float
        Mean loss on rows that it did not learn from.
    n : int
        How many those were.
    gone : mapping of str to Gone
        The same where a feature is missing, by its name.
    radii : Radii
        How far off it may be, row by row: absolute errors, or one less the probability of the class that came.
    blind : bool
        Whether it reads no feature.
    low, high : float
        No sane answer lies outside.
    still : float
        Most rows on end with the same answer; infinite where there is no limit.
    constant : ndarray of shape () or (n_classes,), optional
        The answer of a stage that is not asked.
    blocks : tuple of float
        Mean loss in each stretch of the sample.
    sure : float
        Probability of the likeliest class below which it does not answer; 0 where it answers all.
    ways : mapping of str to mapping of str to Gone
        As `gone`, by what stands in a feature's place.
    alike : tuple of (frozenset of str, mapping of str to Gone)
        Features that say nearly the same, and what it loses without all of them, by what stands in their place.
    nothing : Gone, optional
        What it loses without any feature.
    apart : bool
        Whether it learned from none of the rows that losses are measured on: else it is surer of them than of others.
    off : float
        What nine in ten errors on the sample stay within; NaN where nobody knows.
    """

    name: str
    vintage: str
    loss: float
    n: int
    gone: Mapping[str, Gone] = field(default_factory=dict)
    radii: Radii = field(default_factory=lambda: Radii(math.inf))
    blind: bool = False
    low: float = -math.inf
    high: float = math.inf
    still: float = math.inf
    constant: Floats | None = None
    blocks: tuple[float, ...] = ()
    sure: float = 0.0
    ways: Mapping[str, Mapping[str, Gone]] = field(default_factory=dict)
    alike: tuple[tuple[frozenset[str], Mapping[str, Gone]], ...] = ()
    nothing: Gone | None = None
    apart: bool = True
    off: float = math.nan

    @property
    def whole(self) -> Gone:
        """What it does where no feature is missing."""
        return Gone(self.loss, blocks=self.blocks, sure=self.sure)

    def foreseen(self, names: Sequence[str], unsaid: Mapping[str, float] | None = None) -> Gone:
        """
        Return what it will lose without several features, as far as what each of them costs shows it.

        Costs are added, and what stands in the features' places is what makes the sum least. Of features that say the
        same, two count as all of them; one that the others lead one to expect costs more the less of it they say, up to
        what it costs where its usual value stands for it. Without any feature it is the most.

        Parameters
        ----------
        names : sequence of str
        unsaid : mapping of str to float
            Of each feature, how much of what the others say of it they do not say without each other: 0 for nothing,
            1 for all. Default: all.

        Examples
        --------
        >>> gone = {"a": Gone(1.5), "b": Gone(1.0), "c": Gone(1.0)}
        >>> ways, alike = {"missing": gone}, ((frozenset("bc"), {"missing": Gone(3.0)}),)
        >>> stage = Stage("model", "1", 1.0, 100, gone, ways=ways, alike=alike, nothing=Gone(3.25))
        >>> [stage.foreseen(names).loss for names in ("ab", "bc", "abc")]
        [1.5, 3.0, 3.25]
        """
        if self.blind:
            return self.whole
        found = [self._sum(self._parts(names, fill, unsaid or {}), fill) for fill in self.ways]
        return min(found, key=lambda one: one.loss)

    def _parts(self, names: Sequence[str], fill: str, unsaid: Mapping[str, float]) -> list[Gone]:
        """Return what costs are added up."""
        each, left, parts = self.ways[fill], set(names), []
        for group, gone in self.alike:
            if fill != IMPUTED and len(group & left) > 1:
                parts.append(gone[fill])
                left -= group
            elif fill == IMPUTED and group <= left:
                # What the others say of it as a whole lies between what they say of each and nothing.
                share = sum(unsaid.get(name, 1.0) for name in group) / len(group)
                parts.append(_between(self._sum([each[name] for name in group], fill), gone[USUAL], share))
                left -= group
        if fill == IMPUTED:
            usual = self.ways[USUAL]
            return parts + [_between(each[name], usual[name], unsaid.get(name, 1.0)) for name in names if name in left]
        return parts + [each[name] for name in names if name in left]

    def _sum(self, parts: Sequence[Gone], fill: str) -> Gone:
        most = [*parts, self.nothing] if self.nothing is not None and math.isfinite(self.nothing.loss) else []
        return Gone(
            _summed(self.loss, [one.loss for one in parts], [one.loss for one in most]),
            fill,
            min(math.prod(one.wider for one in parts), max((one.wider for one in most), default=math.inf)),
            tuple(
                _summed(known, [one.blocks[place] for one in parts], [one.blocks[place] for one in most])
                for place, known in enumerate(self.blocks)
            )
            if all(one.blocks for one in (*parts, *most))
            else (),
            # How sure it must be is known of what was measured only.
            math.inf if self.sure or any(one.sure for one in parts) else 0.0,
        )


def _between(one: Gone, other: Gone, share: float) -> Gone:
    """Return what lies between two: of the second a share; what is more by the first alone stays."""
    if not share or not math.isfinite(one.loss) or not math.isfinite(other.loss):
        return one if not share or not math.isfinite(one.loss) else other
    pairs = zip(one.blocks, other.blocks, strict=True)
    return Gone(
        one.loss + share * max(other.loss - one.loss, 0.0),
        one.fill,
        one.wider + share * max(other.wider - one.wider, 0.0),
        tuple(here + share * max(there - here, 0.0) for here, there in pairs),
        max(one.sure, other.sure),
    )


def _summed(known: float, parts: Sequence[float], most: Sequence[float]) -> float:
    """Add what each part costs more, up to the greatest of some others."""
    return min(known + sum(max(one - known, 0.0) for one in parts), max(most, default=math.inf))


@dataclass(frozen=True, eq=False)
class Sample:
    """
    Rows with their labels on which losses are measured.

    Parameters
    ----------
    table : pyarrow.Table of n_rows
        Features.
    labels : ndarray of shape (n_rows,)
        Numbers, or class numbers.
    kind : str
        Kind of frame that models are given.
    loss : Loss
    filler : Filler
        What may stand where a value cannot be used.
    risk : float, optional
        Share of answers that may be wrong.
    weights : ndarray of shape (n_rows,), optional
        What each row counts in a mean loss; default: the same.
    """

    table: Any
    labels: NDArray[Any]
    kind: str
    loss: Loss
    filler: Filler
    risk: float | None = None
    weights: Floats | None = None

    @cached_property
    def numbers(self) -> Floats:
        """The rows as numbers."""
        return self.filler.encoding.matrix(self.table)[0]

    def sure(self, predictions: NDArray[Any]) -> float:
        """Return how sure a stage must be to be wrong as seldom as is asked; infinite where it never is."""
        if self.risk is None:
            return 0.0
        likeliest, sureness = likeliest_of(np.asarray(predictions, dtype=np.float64))
        wrong = (likeliest != self.labels).astype(np.float64)
        return guaranteed_threshold(sureness, wrong, risk=self.risk, weights=self.weights).value

    def lost(self, predictions: NDArray[Any]) -> float:
        """Return the mean loss of some predictions; infinite where it is not defined."""
        return mean_loss(self.loss, self.labels, predictions, self.weights)

    def blocks(self, predictions: NDArray[Any]) -> tuple[float, ...]:
        """Return the same of each stretch."""
        parts = np.array_split(np.arange(len(self.labels)), min(BLOCKS, len(self.labels)))
        heavy = self.weights
        return tuple(
            mean_loss(self.loss, self.labels[part], predictions[part], None if heavy is None else heavy[part])
            for part in parts
        )

    def answers(self, predict: Predict, names: Sequence[str] = (), fill: str = MISSING) -> NDArray[Any] | None:
        """Return predictions without some features; None where the model gives none."""
        table = self.table
        if names:
            gaps = np.broadcast_to([name in names for name in table.column_names], self.numbers.shape)
            table = self.filler.filled(table, self.numbers, gaps, fill)
        try:
            made = np.asarray(predict(frames.from_arrow(table, self.kind)))
            refuse_unfinite(made)
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001  a model may raise anything at a gap: that is what is asked here
            return None
        return made

    def varies(self, predict: Predict | None) -> bool:
        """Say whether a model answers some of the rows differently."""
        few = replace(self, table=self.table.take(np.linspace(0, len(self.labels) - 1, FEW).round().astype(np.int64)))
        made = None if predict is None else few.answers(predict)
        return made is not None and bool((made != made[0]).any())

    def off(self, predictions: NDArray[Any]) -> float:
        """Return what nine in ten errors stay within; NaN for classes, and where there are too few."""
        if predictions.ndim != 1 or len(self.labels) < 20:
            return math.nan
        return float(np.quantile(np.abs(self.labels - predictions), 0.9))

    def ways(self, predict: Predict, names: Sequence[str], off: float = math.nan) -> dict[str, Gone]:
        """
        Return what a stage loses without some features, by what stands in their place.

        Parameters
        ----------
        predict : callable
        names : sequence of str
        off : float
            What nine in ten errors stay within with all of them.
        """
        found = {}
        for fill in self.filler.ways:
            made = self.answers(predict, names, fill)
            loss = math.inf if made is None else self.lost(made)
            if made is None or not math.isfinite(loss):
                found[fill] = Gone(math.inf, fill)
                continue
            wider = max(self.off(made) / off, 1.0) if off > 0 else 1.0
            found[fill] = Gone(loss, fill, wider, self.blocks(made), self.sure(made))
        return found


def best(ways: Mapping[str, Gone]) -> Gone:
    """Return what loses least; of equals the plainest."""
    return min(ways.values(), key=lambda one: one.loss)


def measured(stage: Stage, sample: Sample, model: Predict, names: Sequence[str]) -> Gone:
    """Measure what a stage loses without several features together."""
    whole = sample.answers(model)
    if whole is None:
        return Gone(math.inf)
    found = best(sample.ways(model, names, stage.off))
    each = [stage.gone[name] for name in names]
    # Who learned from the sample knows the answers to its whole rows: beside those, gaps would cost far too much.
    rise = max(found.loss - (sample.lost(whole) if stage.apart else stage.loss), 0.0)
    loss = max(stage.loss + rise, *(one.loss for one in each))
    blocks: tuple[float, ...] = ()
    if math.isfinite(loss):
        before, after = sample.blocks(whole) if stage.apart else stage.blocks, found.blocks
        risen = [known + max(new - old, 0.0) for known, new, old in zip(stage.blocks, after, before, strict=True)]
        blocks = tuple(max(parts) for parts in zip(risen, *(one.blocks for one in each), strict=True))
    # How sure is sure enough is seen on rows that it did not learn from alone: of others it knows the answer.
    sure = found.sure if stage.apart or sample.risk is None else math.inf
    return Gone(loss, found.fill, max(found.wider, *(one.wider for one in each)), blocks, sure)
