"""Declared randomisation in fallback: a share of answers is drawn, so that the next model can learn what they do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import AppError
from mlwild.guards.answers import DRAWN, FALLBACK, Answers
from mlwild.guards.stages import Sample

if TYPE_CHECKING:
    from mlwild.guards.watch import Watch

Floats = NDArray[np.float64]

_WIDE = 2.0**64
#: Who answered where it was drawn.
AT_RANDOM = "at random"


@dataclass(frozen=True)
class Explore:
    """
    In fallback, draw a share of the answers at random.

    Where the outcome depends on the answer (who was refused a loan never pays it back), a rule that always says the
    same shows nothing of other answers, and no model can be learned from what it collects. Each answer is given with
    the probability that it had (`Answers.chance`), so that outcomes can be weighted by its inverse.

    Parameters
    ----------
    share : float
        Share of the answers that are drawn, in (0, 1].
    values : sequence of float, or of sequences of float
        What is drawn, each alike: numbers, probabilities, or rows of one probability a class, in the form that the
        loss asks for. Empty: every class, where the loss asks for a class; else it has to be declared.

    Raises
    ------
    AppError
        If a field is wrong; the message begins with its name.

    References
    ----------
    .. [1] Horvitz, D. G., & Thompson, D. J. (1952). A generalization of sampling without replacement from a finite
       universe. Journal of the American Statistical Association, 47(260), 663-685.
    .. [2] Bottou, L., et al. (2013). Counterfactual reasoning and learning systems. Journal of Machine Learning
       Research, 14, 3207-3260.

    Examples
    --------
    >>> Explore(0.1, values=(0.2, 0.8)).share
    0.1
    """

    share: float
    values: Sequence[float] | Sequence[Sequence[float]] = ()

    def __post_init__(self) -> None:
        """Check the fields."""
        share, number = self.share, isinstance(self.share, int | float) and not isinstance(self.share, bool)
        if not (number and 0 < share <= 1):
            raise AppError(f"explore.share: {share!r} is not a share above 0, and 1 at most.")
        said = (
            "explore.values: need two different numbers, or rows of numbers of one length, at least. Write (0.2, 0.8)."
        )
        try:
            values = np.asarray(self.values, dtype=np.float64)
        except (TypeError, ValueError) as problem:
            raise AppError(said) from problem
        if values.size == 0:
            object.__setattr__(self, "values", ())
            return
        if values.ndim not in (1, 2) or not np.isfinite(values).all() or len(np.unique(values, axis=0)) < 2:
            raise AppError(said)
        object.__setattr__(self, "values", _tuples(values.tolist()))


@dataclass(frozen=True, eq=False)
class Draws:
    """
    What answers are drawn among, and what such answers lose.

    Parameters
    ----------
    share : float
    values : ndarray of shape (n_values,) or (n_values, n_classes)
    loss : float
        Mean loss of answers that are drawn.
    """

    share: float
    values: Floats
    loss: float

    def among(self, made: Answers, rows: Floats | None, watch: Watch) -> Answers:
        """
        Draw a share of the answers that are fallbacks; `made` and `watch` are changed in place.

        A draw is a keyed digest of the row and of the number of draws before it, salted by whoever asks: the same in a
        replay, and as good as independent of all that a request can hold.

        Parameters
        ----------
        made : Answers
        rows : ndarray of shape (n_rows, n_features) or None
            None: they are not known.
        watch : Watch

        Examples
        --------
        >>> from types import SimpleNamespace
        >>> from mlwild.guards.answers import no_answers
        >>> made = no_answers(2, 0, matrix=False)
        >>> made.status[:], made.value[:] = (0, 2), 5.0
        >>> draws = Draws(1.0, np.array([1.0, 2.0]), 0.3)
        >>> said = draws.among(made, np.zeros((2, 1)), SimpleNamespace(drawn=0, salt=b""))
        >>> float(said.value[0]), said.value[1] in (1.0, 2.0), said.chance.tolist(), said.cause[1]
        (5.0, True, [1.0, 0.5], 'drawn at random, as a share of 1 of fallbacks is')
        """
        for row in np.flatnonzero(made.status == FALLBACK).tolist():
            seen = b"" if rows is None else np.ascontiguousarray(rows[row]).tobytes()
            drawn = blake2b(seen, digest_size=16, key=watch.drawn.to_bytes(8, "little"), salt=watch.salt).digest()
            watch.drawn += 1
            of, which = int.from_bytes(drawn[:8], "little"), int.from_bytes(drawn[8:], "little")
            before = made.value[row].copy()
            if of < self.share * _WIDE:
                made.value[row] = self.values[which * len(self.values) >> 64]
                made.stage[row], made.expected[row] = DRAWN, self.loss
                said = f"drawn at random, as a share of {self.share:g} of fallbacks is"
                made.cause[row] = "; ".join(filter(None, (made.cause[row], said)))
            made.chance[row] = (1 - self.share) * self._same(made.value[row], before) + self.share * float(
                np.mean([self._same(made.value[row], one) for one in self.values])
            )
        return made

    @staticmethod
    def _same(one: Any, other: Any) -> bool:
        return bool(np.array_equal(one, other))


def values_of(explore: Explore, ask: str, classes: int) -> Floats:
    """
    Return what is drawn, in the form that a loss asks for.

    Raises
    ------
    AppError
        If the values are of another form.

    Examples
    --------
    >>> values_of(Explore(0.1), "class", 3).tolist()
    [0.0, 1.0, 2.0]
    """
    values = np.asarray(explore.values, dtype=np.float64)
    if ask == "class":
        if values.size:
            raise AppError("explore.values: this loss asks for a class, and every class is drawn. Leave them out.")
        return np.arange(classes, dtype=np.float64)
    if not values.size:
        raise AppError("explore.values: this loss asks for numbers. Declare which are drawn, as in (0.2, 0.8).")
    chances = ask.startswith("probab")
    shape = (classes,) if ask == "probabilities" else ()
    if values.shape[1:] != shape or (chances and (values.min() < 0 or values.max() > 1)):
        want = {"value": "numbers", "probability": "probabilities"}.get(ask, f"rows of {classes} probabilities")
        raise AppError(f"explore.values: this loss asks for {want}. Declare such.")
    return values


def learn_draws(
    explore: Explore | None, ask: str, classes: int, sample: Sample, refuse: float | None = None
) -> Draws | None:
    """
    Return what is drawn, with what it lost on labelled rows; None where nothing is to be.

    Raises
    ------
    AppError
        If the values are not what the loss asks for, it is infinite for one of them, or what is drawn loses more than
        an answer may.
    """
    if explore is None:
        return None
    values = values_of(explore, ask, classes)
    drawn = random_answers(values, len(sample.labels))
    loss = sample.lost(drawn)
    check_loss(loss, sample.loss.name, refuse)
    return Draws(float(explore.share), values, loss)


def check_loss(loss: float, name: str, refuse: float | None) -> None:
    """
    Check that what is drawn may be given.

    Parameters
    ----------
    loss : float
        What draws lose on average; infinite where they do for one of the values.
    name : str
        Of the loss.
    refuse : float or None
        What an answer may lose.

    Raises
    ------
    AppError
        If it may not.
    """
    if not math.isfinite(loss):
        raise AppError(f"explore.values: {name} is infinite for some of them. Keep probabilities off 0 and 1.")
    if refuse is not None and loss > refuse:
        raise AppError(
            f"explore.values: what is drawn loses {loss:.4g} on average, and no answer is to be given above "
            f"refuse={refuse:g}. Declare others."
        )


def random_answers(values: Floats, n: int) -> Floats:
    """Return n answers drawn among some; always the same."""
    return np.asarray(values[np.random.default_rng(0).integers(len(values), size=n)])


def _tuples(values: Any) -> Any:
    return tuple(tuple(one) if isinstance(one, list) else one for one in values)
