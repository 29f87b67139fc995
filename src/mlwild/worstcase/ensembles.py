"""Ensembles against their members, in the mean and in the worst case, with bias and variance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlwild.cells import kinds
from mlwild.gate.held import Held
from mlwild.gate.trial import Trial
from mlwild.losses import Loss
from mlwild.stats.bias_variance import BiasVariance, squared_bias_variance, zero_one_bias_variance

Floats = NDArray[np.float64]

#: Refits on resampled rows; rows that each learns from; rows that they answer.
REFITS, LEARNED, ROWS = 8, 10_000, 5_000
#: Fewest rows of a group or period that may be the worst.
FEWEST = 100


@dataclass(frozen=True)
class Member:
    """
    What a model, or several as one, lost.

    Parameters
    ----------
    name : str
    mean : float
        Mean loss of a row.
    worst : float
        Greatest mean loss over the periods and declared groups.
    where : str
        Where that was.
    """

    name: str
    mean: float
    worst: float
    where: str


@dataclass(frozen=True)
class Ensemble:
    """
    An ensemble and its members on the same rows.

    Parameters
    ----------
    of : str
        What the members are.
    ensemble : Member
        The mean of their predictions; the most frequent class where they answer with classes.
    members : tuple of Member
    parts : BiasVariance or None
        Of the members as refits of one recipe; of probabilities the squared error. None for members of several kinds.
    n : int
        Rows.
    """

    of: str
    ensemble: Member
    members: tuple[Member, ...]
    parts: BiasVariance | None
    n: int

    @property
    def middle(self) -> Member:
        """The member in the middle, by its worst case."""
        return sorted(self.members, key=lambda one: one.worst)[(len(self.members) - 1) // 2]


def bagged(trial: Trial, seed: int = 0) -> Ensemble:
    """
    Return the candidate's recipe fitted on resampled rows, each by itself and all as one.

    References
    ----------
    .. [1] Breiman, L. (1996). Bagging predictors. Machine Learning, 24(2), 123-140.
    """
    learned, rows = trial.learned, trial.events
    if len(learned) > LEARNED:
        learned = learned.where(np.arange(len(learned) - LEARNED, len(learned)))
    if len(rows) > ROWS:
        rows = rows.where(np.linspace(0, len(rows) - 1, ROWS).round().astype(np.int64))
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(REFITS):
        picked = np.sort(rng.integers(0, len(learned), len(learned)))
        made.append(trial.fit(learned.where(picked)).predictions(rows))
    stack = np.stack(made)
    named = {f"refit {place + 1}": stack[place] for place in range(REFITS)}
    return compared(f"{REFITS} refits on resampled rows", trial.loss, rows, named, _parts(stack, rows))


def _parts(stack: Floats, rows: Held) -> BiasVariance | None:
    if rows.classes is None:
        return squared_bias_variance(stack, rows.labels.astype(np.float64))
    if stack.ndim == 2 and not ((stack != np.round(stack)).any()):
        return zero_one_bias_variance(stack.astype(np.int64), rows.labels)
    if stack.ndim == 2:
        return squared_bias_variance(stack, (rows.labels > 0.5).astype(np.float64))
    return zero_one_bias_variance(stack.argmax(axis=2), rows.labels)


def compared(
    of: str, loss: Loss, rows: Held, predictions: Mapping[str, Floats], parts: BiasVariance | None = None
) -> Ensemble:
    """
    Return members and their mean as one, on the same rows.

    Parameters
    ----------
    of : str
    loss : Loss
        Of rows.
    rows : Held
    predictions : mapping of str to ndarray of shape (n,) or (n, n_classes)
    parts : BiasVariance, optional

    Returns
    -------
    Ensemble
    """
    stack = np.stack(list(predictions.values()))
    whole = together(stack, loss.predicts)
    cells = _cells(rows)
    members = tuple(_member(name, loss, rows, predicted, cells) for name, predicted in predictions.items())
    return Ensemble(of, _member("all as one", loss, rows, whole, cells), members, parts, len(rows))


def together(stack: Floats, ask: str) -> Floats:
    """
    Return the mean of predictions, or the most frequent class (of equally frequent ones the lowest).

    Examples
    --------
    >>> together(np.array([[0.0, 1.0], [1.0, 1.0], [1.0, 0.0]]), "class").tolist()
    [1.0, 1.0]
    """
    if ask != "class":
        return np.asarray(stack.mean(axis=0), dtype=np.float64)
    kinds = np.unique(stack)
    votes = (stack[None] == kinds[:, None, None]).sum(axis=1)
    return np.asarray(kinds[votes.argmax(axis=0)], dtype=np.float64)


def _cells(rows: Held) -> list[tuple[str, NDArray[np.bool_]]]:
    """Return the periods and the declared groups that have rows enough."""
    made = [
        (f"period {place + 1} of those on trial", rows.period == k) for place, k in enumerate(np.unique(rows.period))
    ]
    for name, values in rows.groups.items():
        words = kinds(values)
        made += [(f"{name} = {kind}", words == kind) for kind in np.unique(words)]
    return [(name, inside) for name, inside in made if inside.sum() >= min(FEWEST, len(rows) // 4)]


def _member(name: str, loss: Loss, rows: Held, predicted: Floats, cells: list[tuple[str, NDArray[np.bool_]]]) -> Member:
    lost = loss.rows(rows.labels, predicted)
    means = [float(np.average(lost[inside], weights=rows.weight[inside])) for _, inside in cells]
    place = int(np.argmax(means))
    return Member(name, float(np.average(lost, weights=rows.weight)), means[place], cells[place][0])
