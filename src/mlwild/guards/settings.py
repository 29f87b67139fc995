"""What a user may say about a guard."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real

from mlwild.errors import AppError
from mlwild.guards.exploring import Explore


@dataclass(frozen=True)
class Guard:
    """
    How careful answers are.

    Parameters
    ----------
    level : float
        Share of outcomes that intervals, and sets of classes, are to hold; in (0, 1).
    run_length : float
        Requests until the stream of inputs is taken for strange by mistake, on average, at least; above 1.
    fdr : float
        Share of rows called strange, in a batch, that are not; in (0, 1). Below one over the rows it was calibrated
        on, it goes by how the tail of their scores goes on, and is no promise.
    stuck : bool
        Whether a feature that stands still for far longer than it ever did, and than rows of the history would in any
        order, counts as broken: for so many rows, and for so much time, as more requests may come than the history has
        rows. Say no where times of the history are coarser than that (dates, and a thousand requests a day for one).
    refuse : float, optional
        Expected loss above which no answer is given; default none, so that every request is answered.
    risk : float, optional
        Share of answers that may be wrong, in (0, 1): whose likeliest class is not the one that came. Rows of which a
        stage is less sure than that takes are not answered, nor rows without several features by a stage that learned
        from the history's latest: of those it knows the answer. How sure it must be is learned, so that the promise
        holds with a chance of 95 % for rows that come as the history's latest did. Only where a loss asks for
        probabilities.
    explore : Explore, optional
        In fallback, draw a share of the answers at random, so that what comes of other answers is seen too.
    low, high : float, optional
        No outcome lies beyond, as none of a count lies below 0: intervals end there, or at the answer where that lies
        beyond. Only for numbers.

    Raises
    ------
    AppError
        If a field is wrong; the message begins with its name.

    Examples
    --------
    >>> Guard(level=0.8).level
    0.8
    """

    level: float = 0.9
    run_length: float = 1_000_000.0
    fdr: float = 1e-4
    stuck: bool = True
    refuse: float | None = None
    risk: float | None = None
    explore: Explore | None = None
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        """Check the fields."""
        for name in ("level", "fdr"):
            value = getattr(self, name)
            if not (_number(value) and 0 < value < 1):
                raise AppError(f"guard.{name}: {value!r} is not a share between 0 and 1.")
        if not (_number(self.run_length) and 1 < self.run_length < float("inf")):
            raise AppError(f"guard.run_length: {self.run_length!r} is not a number of requests above 1.")
        if not isinstance(self.stuck, bool):
            raise AppError(f"guard.stuck: {self.stuck!r} is neither True nor False.")
        if self.refuse is not None and not (_number(self.refuse) and abs(self.refuse) < float("inf")):
            raise AppError(f"guard.refuse: {self.refuse!r} is not a finite loss.")
        if self.risk is not None and not (_number(self.risk) and 0 < self.risk < 1):
            raise AppError(f"guard.risk: {self.risk!r} is not a share between 0 and 1.")
        if self.explore is not None and not isinstance(self.explore, Explore):
            raise AppError(f"guard.explore: {self.explore!r} is no Explore(...). Write wild.Explore(0.1).")
        for name in ("low", "high"):
            value = getattr(self, name)
            if value is not None and not (_number(value) and abs(value) < float("inf")):
                raise AppError(f"guard.{name}: {value!r} is not a finite number.")
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise AppError(f"guard.low: {self.low:g} is not below high, {self.high:g}.")
        if self.explore is not None and self.risk is not None:
            raise AppError("guard.explore: answers that are drawn keep no promise of a risk. Declare one of the two.")


def _number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)  # those of NumPy too, as the least of some labels is
