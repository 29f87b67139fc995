"""The recipe learns: on a small batch that is plain to see it does far better than a constant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlwild import frames
from mlwild.errors import DataError
from mlwild.gate.fitted import Fitted
from mlwild.gate.held import Held
from mlwild.gate.outcome import Outcome
from mlwild.gate.ready.code.sameness import published
from mlwild.gate.trial import Trial
from mlwild.wording import count, number

Floats = NDArray[np.float64]

#: Rows that two clusters are sought among; rows of a cluster.
SOUGHT, CLUSTER = 400, 32
#: Most rows of a batch that has as many as the candidate learned from.
MOST = 20_000


@dataclass(frozen=True)
class OverfitsSmallBatch:
    """
    The recipe learns a small batch; one that was never fitted, or fits something else, does not.

    A batch is two clusters of real rows that lie far apart, copied until there are `rows` of them, so that leaves of a
    least size have enough; one cluster gets one answer, the other another. Whatever learns at all tells them apart.
    Each batch is learned with the answers one way round and the other, so that predictions that do not come from
    the labels gain nothing. What is measured is the squared error of the predictions, as the share of the best
    constant's that learning removes: 1 where it learns all. The limit is low, because a strongly regularised model
    learns a small batch but a little, and what does not learn removes nothing. A recipe that misses it is tried
    with as many rows as it learned from, since a penalty may be meant for many.

    Parameters
    ----------
    rows : int
        Rows of a batch, copies included; more than twice the least size of a leaf.
    batches : int
        Batches, each of other rows; each is learned twice.
    share : float
        Least share that is to be removed.
    owner : str
        Who is to be asked.

    References
    ----------
    .. [1] Karpathy, A. (2019). A recipe for training neural networks: "overfit a single batch".

    Examples
    --------
    >>> OverfitsSmallBatch().name, OverfitsSmallBatch().family
    ('overfits small batch', 'code')
    """

    rows: int = 512
    batches: int = 2
    share: float = 0.05
    owner: str = ""
    name: str = "overfits small batch"
    family: str = "code"

    def objection(self, trial: Trial) -> str:
        """Say why it does not apply."""
        return published(trial.model)

    def judge(self, trial: Trial) -> Outcome:
        """Judge the candidate's recipe."""
        if len(trial.learned) < 2:
            return Outcome("underpowered", "fewer than 2 rows to make a batch of", n=len(trial.learned))
        pair = two_answers(trial.learned)
        if pair is None:
            return Outcome("underpowered", "all labels that it learned from are the same", n=len(trial.learned))
        removed = self._removed(trial, pair, self.rows)
        rows = self.rows
        if removed < self.share and len(trial.learned) > self.rows:
            # A penalty that suits many rows weighs more on few: try with as many as it learned from.
            rows = min(len(trial.learned), MOST)
            removed = self._removed(trial, pair, rows)
        said = (
            f"on {count(self.batches)} batches of {count(rows)} rows in two plain clusters the recipe removes "
            f"{number(removed, 3)} of the squared error of the best constant; the least is {number(self.share, 2)}"
        )
        evidence = {"n": self.batches * rows, "estimate": -removed, "limit": -self.share}
        if removed >= self.share:
            return Outcome("pass", said, **evidence)  # type: ignore[arg-type]
        more = ": is it fitted at all?" if removed > -0.01 else ": what it answers does not follow the labels"
        return Outcome("fail", said + more, **evidence)  # type: ignore[arg-type]

    def _removed(self, trial: Trial, pair: NDArray[np.float64], rows: int) -> float:
        """Return the share of the best constant's squared error that learning removes."""
        left, constant = 0.0, 0.0
        for held, second in _batches(trial.learned, rows, self.batches):
            for labels in (pair[second], pair[1 - second]):
                wanted = _wanted(labels, trial.model)
                predicted = _fit(trial, held, labels).predict(held.features)
                left += float(((predicted - wanted) ** 2).sum())
                constant += float(((wanted - wanted.mean(axis=0)) ** 2).sum())
        return 1.0 - left / constant


def _fit(trial: Trial, held: Held, labels: NDArray[np.float64]) -> Fitted:
    """Fit a batch; without its copies where the model cannot be fitted with them, as a Gaussian process cannot."""
    try:
        return trial.fit(held, labels=labels)
    except Exception:  # the user's model may raise anything: the second try tells whether copies are the reason
        distinct = np.sort(np.unique(held.rows, return_index=True)[1])
        if len(distinct) == len(held):
            raise
        return trial.fit(held.where(distinct), labels=labels[distinct])


def two_answers(learned: Held) -> NDArray[np.float64] | None:
    """Return two labels that are far apart and often there, or None where there is one only."""
    if learned.classes is not None:
        counts = np.bincount(learned.labels, minlength=len(learned.classes))
        if (counts > 0).sum() < 2:
            return None
        return np.sort(np.argsort(-counts, kind="stable")[:2])
    values = np.unique(learned.labels)
    ends = np.quantile(learned.labels, [0.1, 0.9], method="nearest")
    if ends[0] < ends[1]:
        return np.asarray(ends)
    return np.array([values[0], values[-1]]) if len(values) > 1 else None


def _batches(learned: Held, rows: int, batches: int) -> Iterator[tuple[Held, NDArray[np.int64]]]:
    """Yield rows of two clusters, and which row is of the second."""
    for place in range(batches):
        part = learned.where(np.arange(place, len(learned), batches)).evenly(SOUGHT)
        if not len(part):
            raise DataError(f"learned: {len(learned)} rows are too few for {batches} batches.")
        ones, others = _far_apart(ranks(part))
        copies = max(rows // (len(ones) + len(others)), 1)
        picked = np.tile(np.concatenate([ones, others]), copies)
        second = np.tile(np.repeat([0, 1], [len(ones), len(others)]), copies)
        yield part.where(picked), second


def ranks(held: Held) -> Floats:
    """Return the features as ranks from 0 to 1: no scale and no outlier decides what is far; missing is a half."""
    from scipy.stats import rankdata

    numbers = frames.matrix(held.table)
    made = np.full(numbers.shape, 0.5)
    for place in range(numbers.shape[1]):
        known = np.isfinite(numbers[:, place])
        if known.sum() > 1:
            made[known, place] = (rankdata(numbers[known, place]) - 1) / (known.sum() - 1)
    return made


def _far_apart(points: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return two clusters of equal size around two points far apart: each the farthest from the other."""
    from scipy.spatial.distance import cdist

    one = int(cdist(points, points.mean(axis=0)[None], "cityblock").argmax())
    other = int(cdist(points, points[[one]], "cityblock").argmax())
    # How much nearer each point is to the one than to the other.
    nearer = (cdist(points, points[[other]], "cityblock") - cdist(points, points[[one]], "cityblock")).ravel()
    order = np.argsort(-nearer, kind="stable")
    size = max(min(CLUSTER, len(points) // 4), 1)
    return order[:size], order[-size:]


def _wanted(labels: NDArray[np.float64], model: Fitted) -> Floats:
    """Return what a model that has learned the labels predicts."""
    if model.ask == "probabilities":
        assert model.classes is not None
        return np.asarray(np.arange(len(model.classes))[None, :] == labels[:, None], dtype=np.float64)
    if model.ask == "probability":
        assert model.classes is not None
        return np.asarray(labels == len(model.classes) - 1, dtype=np.float64)
    return np.asarray(labels, dtype=np.float64)
