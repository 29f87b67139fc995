"""What a test may see: a candidate, rows it did not learn from, the champion, and the past; nothing later than now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mlwild.clock import Clock
from mlwild.frames import Frame
from mlwild.gate.fitted import Fitted
from mlwild.gate.held import Held
from mlwild.losses import Loss
from mlwild.side_tables import SideTable

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Timeline:
    """
    Every row of the history up to now, and which labels were known when.

    Parameters
    ----------
    time, known_at : ndarray of int64, shape (n_rows,)
        When each row was asked for, and when its label arrived; ``mlwild.clock.NEVER`` where it is not known now.
    labels : ndarray of shape (n_rows,)
        Numbers, or class numbers; meaningless where the label is not known now.
    entity : ndarray of shape (n_rows,) or None
        Whom each row is about, as numbers.
    clock : Clock
        What the times mean.
    """

    time: Ints
    known_at: Ints
    labels: NDArray[Any]
    entity: Ints | None
    clock: Clock


@dataclass(frozen=True, eq=False)
class History:
    """
    What went live so far, by period, over the labels that are known now.

    Parameters
    ----------
    period : ndarray of int64, shape (n_periods,)
    loss : ndarray of float64, shape (n_periods,)
        Mean loss of what was live; NaN where no label is known.
    weight : ndarray of float64, shape (n_periods,)
        Number (weight) of labelled rows.
    settled : ndarray of bool, shape (n_periods,)
        Whether about all labels of the period that ever come have come.
    live : sequence of str
        What was live.
    begins : sequence of str
        When each period began.
    """

    period: Ints
    loss: Floats
    weight: Floats
    settled: NDArray[np.bool_]
    live: Sequence[str]
    begins: Sequence[str]


@dataclass(frozen=True, eq=False)
class Served:
    """
    Some rows as the service would have answered them, one request at a time.

    Parameters
    ----------
    rows : Held
        As the rehearsal has them.
    table : pyarrow.Table of shape (n, n_features)
        The features that the service would have computed.
    predictions : ndarray of shape (n,) or (n, n_classes)
        What it would have answered.
    declared : bool
        Whether the app says how it serves; otherwise its own features and model were called request by request.
    why : str
        What the model raised where it could not answer; its predictions are NaN there.
    """

    rows: Held
    table: Any
    predictions: Floats
    declared: bool
    why: str = ""


@dataclass(frozen=True)
class Reread:
    """
    The app's data and features, read once more.

    Parameters
    ----------
    rows : int
        Rows that were compared.
    differs : tuple of str
        What was not the same, in sentences.
    """

    rows: int
    differs: tuple[str, ...]


class Harm(Protocol):
    """A fault at a severity: what became of the rows that came while it lasted; see `mlwild.drilling.Cell`."""

    @property
    def fault(self) -> str:
        """Its name."""
        ...

    @property
    def severity(self) -> float:
        """How much of `of` it befell."""
        ...

    @property
    def of(self) -> str:
        """What the severity is a share of."""
        ...

    @property
    def available(self) -> float:
        """Share of rows that got an answer, or a refusal in words."""
        ...

    @property
    def loss(self) -> float:
        """Mean loss of answered rows; NaN where none was answered."""
        ...

    @property
    def clean(self) -> float:
        """Mean loss of the same rows without the fault."""
        ...

    @property
    def constant(self) -> float:
        """Mean loss if the constant had answered them."""
        ...

    @property
    def oracle(self) -> float:
        """Mean loss if the guard were told what is broken in them; NaN if that was not tried."""
        ...

    @property
    def bare(self) -> float:
        """Mean loss of the model alone, without a guard, on the rows that it answers; NaN where it answers none."""
        ...

    @property
    def gain(self) -> float:
        """By how much guarded answers lose less than it on the rows that both answer; below 0 the guard costs."""
        ...

    @property
    def n(self) -> int:
        """Rows."""
        ...

    @property
    def held(self) -> float:
        """Share of the answers whose interval or set held the outcome; NaN where there are none."""
        ...


@dataclass(frozen=True)
class Drilled:
    """
    What the candidate's guard made of faults in the events.

    Parameters
    ----------
    cells : sequence of Harm
        By fault and severity, the one that costs most first.
    clean_rows : int
        Rows without a fault that were answered.
    trips : int
        How often the guard took them for faulty.
    scale : float
        What losses range over.
    level : float
        Share of outcomes that intervals, and sets of classes, are to hold.
    """

    cells: Sequence[Harm]
    clean_rows: int
    trips: int
    scale: float
    level: float = 0.9


class Finding(Protocol):
    """What a check of the app's honesty found."""

    @property
    def check(self) -> str:
        """Name of the check."""
        ...

    @property
    def verdict(self) -> str:
        """One of "pass", "fail", "note", "undecided"."""
        ...

    @property
    def said(self) -> str:
        """A sentence."""
        ...


class Trial(Protocol):
    """
    One candidate before the gate.

    The **candidate** was made some periods ago, so that there are rows with known labels that it did not learn
    from: what goes live is the same recipe on everything known now. The **champion** is what was live when the
    candidate was made. Everything is as it was known at the trial's own time; a trial in the past sees no more.
    """

    @property
    def app(self) -> Any:
        """The app's declaration."""
        ...

    @property
    def loss(self) -> Loss:
        """The app's loss."""
        ...

    @property
    def model(self) -> Fitted:
        """The candidate."""
        ...

    @property
    def recipe(self) -> Any:
        """The candidate's model before it is fitted: an estimator or a function that trains."""
        ...

    @property
    def made_at(self) -> int:
        """Instant at which the candidate was made: it learned from labels that were known then."""
        ...

    @property
    def champion(self) -> Fitted | None:
        """What was live when the candidate was made; None where nothing was."""
        ...

    @property
    def events(self) -> Held:
        """Rows of the last settled periods, which the candidate did not learn from, with their labels."""
        ...

    @property
    def unanswered(self) -> Held:
        """Rows of the same periods that got no answer: one that the model refuses silences all that come with it."""
        ...

    @property
    def learned(self) -> Held:
        """Rows that the candidate learned from."""
        ...

    @property
    def history(self) -> History:
        """What went live so far."""
        ...

    @property
    def timeline(self) -> Timeline:
        """Every row up to now."""
        ...

    @property
    def rehearsal(self) -> Any:
        """The whole rehearsal; None for a trial of the past."""
        ...

    @property
    def seed(self) -> int:
        """Seed of the candidate."""
        ...

    @property
    def said(self) -> str:
        """What is on trial, in a sentence."""
        ...

    def fit(
        self,
        learned: Held | None = None,
        *,
        labels: NDArray[Any] | None = None,
        seed: int | None = None,
        fresh: bool = False,
    ) -> Fitted:
        """
        Fit the candidate's recipe again: on its own rows or others, with its own labels and seed or others.

        `labels` are numbers or class numbers, one for each row. A fit that was made before is read from what was
        kept, unless it is to be `fresh`.
        """
        ...

    def changed(self, rows: Held, raw: Frame) -> Held:
        """Return rows with their raw columns changed, and the features that are then computed of them."""
        ...

    def without_feed(self, rows: Held, name: str, kept: Callable[[SideTable], NDArray[np.bool_]]) -> Held:
        """Return rows with the features that are computed where some rows of a side table never came."""
        ...

    def delivered(self, rows: Held, order: Ints) -> Held:
        """Return rows with the features that are computed where they come in another order, or more than once."""
        ...

    def reread(self) -> Reread:
        """Read the app's data and compute its features once more."""
        ...

    def reloaded(self) -> str:
        """Say what differs when the app's file is run once more; nothing where it is the same or has no file."""
        ...

    def findings(self) -> Sequence[Finding]:
        """Return what `mlwild check` finds."""
        ...

    def served(self, most: int) -> Served:
        """Return at most so many of the events as the service would have answered them."""
        ...

    def drilled(self, seeds: int) -> Drilled:
        """Return what the candidate's guard makes of faults in the events, at so many draws of each."""
        ...

    def earlier(self) -> Sequence[Trial]:
        """Return the trials of earlier times, oldest first: the past of this one."""
        ...

    def remember(self, key: object, make: Callable[[], float]) -> float:
        """Return a number that was made of this trial before under a key, else make it."""
        ...
