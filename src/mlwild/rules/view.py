"""What a rule may see at a cutoff, and what it may answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import LookAheadError
from mlwild.monitors import Monitor, Signal
from mlwild.records import Action, Prices, Vintage

Floats = NDArray[np.float64]


class Known(Protocol):
    """What can be known at a cutoff: the door through which a view reads the triangle."""

    def totals(self, vintage: Vintage, cutoff: int) -> tuple[Floats, Floats]:
        """Return total loss and weight by period of the labels known at the cutoff."""
        ...

    def fresh_totals(self, window: str, cutoff: int, since: int, every: int) -> tuple[Floats, Floats]:
        """Return the same for the freshest shadow challenger of each period since one."""
        ...

    def gap_squares(self, vintage: Vintage, other: Vintage | None, window: str, span: tuple[int, int, int]) -> Floats:
        """Return the sums of squared row gaps by period known in span (since, cutoff, every)."""
        ...

    def arrivals(self, vintage: Vintage, cutoff: int, since: int) -> Floats:
        """Return row losses, in order of arrival, of the labels that arrived in the last period."""
        ...

    def signal(self, vintage: Vintage, cutoff: int, monitor: Monitor) -> Signal:
        """Return what a monitor says of a vintage's last finished period, before its labels."""
        ...

    def looks_per_year(self) -> float | None:
        """Return the number of cutoffs in a year; None where time is counted in integers."""
        ...

    def usable(self, vintage: Vintage) -> bool:
        """Say whether a vintage could be made."""
        ...


@dataclass(frozen=True)
class Curtain:
    """
    A door that opens on the past only: it passes questions on, and refuses those about later.

    Parameters
    ----------
    cutoff : int
        Nothing after it can be asked for.
    """

    cutoff: int
    _behind: Known = field(repr=False)

    def _past(self, cutoff: int) -> Known:
        if cutoff > self.cutoff:
            raise LookAheadError(
                f"A rule at cutoff {self.cutoff} asked for what is known at cutoff {cutoff}. Ask the view instead."
            )
        return self._behind

    def totals(self, vintage: Vintage, cutoff: int) -> tuple[Floats, Floats]:
        """Return total loss and weight by period of the labels known at the cutoff."""
        return self._past(cutoff).totals(vintage, cutoff)

    def fresh_totals(self, window: str, cutoff: int, since: int, every: int) -> tuple[Floats, Floats]:
        """Return the same for the freshest shadow challenger of each period since one."""
        return self._past(cutoff).fresh_totals(window, cutoff, since, every)

    def gap_squares(self, vintage: Vintage, other: Vintage | None, window: str, span: tuple[int, int, int]) -> Floats:
        """Return the sums of squared row gaps by period known in span (since, cutoff, every)."""
        return self._past(span[1]).gap_squares(vintage, other, window, span)

    def arrivals(self, vintage: Vintage, cutoff: int, since: int) -> Floats:
        """Return row losses, in order of arrival, of the labels that arrived in the last period."""
        return self._past(cutoff).arrivals(vintage, cutoff, since)

    def signal(self, vintage: Vintage, cutoff: int, monitor: Monitor) -> Signal:
        """Return what a monitor says of a vintage's last finished period, before its labels."""
        return self._past(cutoff).signal(vintage, cutoff, monitor)

    def looks_per_year(self) -> float | None:
        """Return the number of cutoffs in a year; None where time is counted in integers."""
        return self._behind.looks_per_year()

    def usable(self, vintage: Vintage) -> bool:
        """Say whether a vintage could be made."""
        return self._past(vintage.cutoff).usable(vintage)


@dataclass(frozen=True)
class View:
    """
    The world as a rule sees it at a cutoff; nothing in it is later than the cutoff.

    Parameters
    ----------
    cutoff : int
        Number of the cutoff; periods before it are past.
    now : int
        Its instant.
    live : Vintage
        What is in place.
    since : int
        Cutoff at which it was put in place.
    deployed : tuple of Vintage
        All that were ever in place, in order; the last is live.
    windows : tuple of str
        The app's training windows.
    can_update : bool
        Whether the app says how to update.
    prices : Prices or None
    """

    cutoff: int
    now: int
    live: Vintage
    since: int
    deployed: tuple[Vintage, ...]
    windows: tuple[str, ...]
    can_update: bool
    prices: Prices | None
    known: Known = field(repr=False)

    @property
    def age(self) -> int:
        """Number of periods since the live vintage last learned."""
        return self.cutoff - self.live.cutoff

    def losses(self, vintage: Vintage) -> tuple[Floats, Floats]:
        """
        Return what is known of a vintage's loss.

        Returns
        -------
        total, weight : ndarray of shape (cutoff,)
            Sum of losses and number (weight) of rows, by period, over the labels known by now; 0
            before the vintage was made.
        """
        return self.known.totals(vintage, self.cutoff)

    def staleness(self, window: str | None = None, every: int = 1) -> Floats:
        """
        Return what fresher vintages would have saved, by period since the live one was put in place.

        Parameters
        ----------
        window : str, optional
            Training window of the shadow challengers; default the app's first.
        every : int
            A challenger is fitted at every so many cutoffs.

        Returns
        -------
        ndarray of shape (cutoff - since,)
            Total loss of the live vintage less that of the freshest challenger of each period, over
            the labels known by now.
        """
        ours = self.losses(self.live)[0][self.since :]
        theirs = self.known.fresh_totals(window or self.windows[0], self.cutoff, self.since, every)[0]
        return ours - theirs

    def staleness_squares(self, window: str | None = None, every: int = 1) -> Floats:
        """
        Return the variance of each period's staleness if the vintages were equally good.

        Returns
        -------
        ndarray of shape (cutoff - since,)
            Sums of the squared differences of rows.
        """
        span = (self.since, self.cutoff, every)
        return self.known.gap_squares(self.live, None, window or self.windows[0], span)

    def advantage(self, vintage: Vintage) -> tuple[float, float]:
        """Return what another vintage would have saved since the live one came, and its standard error."""
        ours = self.losses(self.live)[0][self.since :]
        theirs = self.losses(vintage)[0][self.since :]
        span = (self.since, self.cutoff, 1)
        error = float(np.sqrt(self.known.gap_squares(self.live, vintage, self.windows[0], span).sum()))
        return float((ours - theirs).sum()), error

    def signal(self, monitor: Monitor) -> Signal:
        """Return what a monitor says of the live vintage in the last finished period, before its labels."""
        return self.known.signal(self.live, self.cutoff, monitor)

    @property
    def looks_per_year(self) -> float | None:
        """Number of cutoffs in a year; None where time is counted in integers."""
        return self.known.looks_per_year()

    def arrived(self) -> Floats:
        """Return the live vintage's row losses whose labels arrived in the last period, in order."""
        return self.known.arrivals(self.live, self.cutoff, self.since)


@dataclass(frozen=True)
class Decision:
    """
    A rule's answer.

    Parameters
    ----------
    action : Action
        Keep, retrain, update or fall back.
    reason : str
        Why, in a few words.
    memory : object
        What the rule wants to be given at the next cutoff; plain data.
    shadows : int
        Shadow fits that the decision rests on, made at this cutoff.
    """

    action: Action
    reason: str = ""
    memory: Any = None
    shadows: int = 0


class Rule(Protocol):
    """
    A rule decides at a cutoff what to do with the live vintage.

    A correct rule is a pure function of the view and of its own memory: the same inputs give the
    same answer.
    """

    @property
    def name(self) -> str:
        """Name in tables; unique in an app."""
        ...

    def decide(self, view: View, memory: Any) -> Decision:
        """Decide; `memory` is what the last decision returned, None at first."""
        ...
