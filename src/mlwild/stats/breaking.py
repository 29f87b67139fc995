"""A circuit breaker whose opening and closing are bets: it opens seldom without cause, and closes on few probes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from mlwild.errors import DataError

State = Literal["closed", "open", "half-open"]

#: Stakes of the bets, as shares of the most that can be staked: great ones for a stage that fails altogether.
STAKES = (0.9, 0.5, 0.2, 0.05)


@dataclass(frozen=True)
class Breaker:
    """
    A circuit breaker of one stage; a value, moved on by `feed` and `at`.

    - **closed**: calls go through. A Shiryaev-Roberts e-detector bets that they fail more often than is tolerated
      and opens the breaker. A stage is called for as long as the service lives, so that a chance "ever" would have
      to be spent on all of that time, and the capital of one long bet would be lost in a calm year; an opening
      without cause costs one back-off, so that what counts is how seldom it happens: the run length.
    - **open**: nothing goes through until the back-off is over. What is fed is ignored: calls that were under way.
    - **half-open**: calls go elsewhere; probes of the stage, on copies of them, are fed. Two bets run: that the
      stage fails less often than halfway between what is tolerated and how often it failed (then it closes), and
      that it fails more often than is tolerated (then it opens again, for twice as long).

    Promises, whatever the order and dependence of failures, as long as each fails with the stated chance given
    those before:

    - at most `tolerated`: mean number of calls until it opens is `run_length` at least;
    - at most `tolerated`, half-open: it is sent back with a chance of `alpha` at most;
    - at least `bar`, half-open: it closes with a chance of `alpha` at most.

    Failures on end open it after about ``log(4 run_length) / log(0.9 / tolerated)`` calls: five as it is set.

    Parameters
    ----------
    tolerated : float
        Share of calls that may fail (raise, come late, be refused by a check), in (0, 0.5].
    run_length : float
        Mean number of calls until it opens without cause, at least; above 1.
    alpha : float
        Chance that probes mislead, at most; in (0, 1).
    backoff, longest : float
        The first and the longest back-off, in seconds; above 0.
    state : {"closed", "open", "half-open"}
    since : float
        When the state began, in seconds of the caller's clock.
    doublings : int
        How often the back-off was doubled. It starts anew when the breaker opens after it was closed for longer than
        the last back-off.
    value : tuple of float
        Each bet that it fails too often.
    recovery : tuple of float
        Each bet that it has recovered, while half-open.
    lead : float
        Gain of the most cautious bet since the trouble began; below 1 where there is none.
    calls, failures : int
        Since then.
    rate : float
        Share of calls that failed when it opened.

    References
    ----------
    .. [1] Nygard, M. (2007). Release it! Pragmatic Bookshelf, section 5.2 (the pattern).
    .. [2] Shin, J., Ramdas, A., & Rinaldo, A. (2024). E-detectors: a nonparametric framework for
       sequential change detection. New England Journal of Statistics in Data Science, 2(2).
    .. [3] Waudby-Smith, I., & Ramdas, A. (2024). Estimating means of bounded random variables by
       betting. JRSS-B, 86(1), 1-27.

    Examples
    --------
    >>> breaker = Breaker()
    >>> for second in range(5):
    ...     breaker = breaker.feed(failed=True, now=second)
    >>> breaker.state, breaker.retry_at
    ('open', 5.0)
    >>> breaker = breaker.at(6.0)
    >>> breaker.state
    'half-open'
    >>> for _ in range(6):
    ...     breaker = breaker.feed(failed=False, now=6.0)
    >>> breaker.state
    'closed'
    """

    tolerated: float = 0.05
    run_length: float = 100_000.0
    alpha: float = 0.05
    backoff: float = 1.0
    longest: float = 300.0
    state: State = "closed"
    since: float = -math.inf
    doublings: int = 0
    value: tuple[float, ...] = (0.0,) * len(STAKES)
    recovery: tuple[float, ...] = ()
    lead: float = 0.0
    calls: int = 0
    failures: int = 0
    rate: float = 0.0

    def __post_init__(self) -> None:
        """Check the settings."""
        if not 0 < self.tolerated <= 0.5 or not 0 < self.alpha < 1 or not self.run_length > 1:
            raise DataError(
                f"tolerated is {self.tolerated}, alpha {self.alpha} and run_length {self.run_length}; "
                "they need (0, 0.5], (0, 1) and above 1."
            )
        if not 0 < self.backoff <= self.longest < math.inf:
            raise DataError(
                f"backoff is {self.backoff} and longest {self.longest}; need seconds, the longest the longer."
            )

    @property
    def wait(self) -> float:
        """The back-off as it stands, in seconds."""
        return min(self.backoff * 2.0 ** min(self.doublings, 1000), self.longest)

    @property
    def retry_at(self) -> float | None:
        """When the back-off is over, by the caller's clock; None unless open."""
        return self.since + self.wait if self.state == "open" else None

    @property
    def bar(self) -> float:
        """The share of failures that must be refuted before it closes: halfway from what is tolerated to what was."""
        return (self.tolerated + max(self.rate, self.tolerated)) / 2

    def at(self, now: float) -> Breaker:
        """
        Return the breaker at a time: half-open where its back-off is over.

        Parameters
        ----------
        now : float
            Seconds by the caller's clock, one that never goes back.
        """
        if self.state != "open" or now < self.since + self.wait:
            return self
        ones = (1.0,) * len(STAKES)
        return replace(self, state="half-open", since=now, value=ones, recovery=ones)

    def feed(self, *, failed: bool, now: float) -> Breaker:
        """
        Return the breaker after a call, or after a probe while it is half-open; a few microseconds.

        Parameters
        ----------
        failed : bool
            It raised, came late, or was refused by a check of what it gave.
        now : float
            Seconds by the caller's clock.

        Raises
        ------
        DataError
            If the time is not finite.
        """
        if not math.isfinite(now):
            raise DataError(f"now is {now}, needs to be a number of seconds.")
        if self.state == "closed":
            return self._called(failed, now)
        return self if self.state == "open" else self._probed(failed, now)

    def _called(self, failed: bool, now: float) -> Breaker:
        """Move the detector on by a call."""
        gain = 1 / self.tolerated - 1 if failed else -1.0
        value = tuple([(old + 1) * (1 + stake * gain) for old, stake in zip(self.value, STAKES, strict=True)])
        # The product of the most cautious bet since the trouble began: where it has lost, the trouble was none.
        lead = max(self.lead, 1.0) * (1 + STAKES[-1] * gain)
        calls, failures = (self.calls + 1, self.failures + failed) if lead > 1 else (0, 0)
        if sum(value) < self.run_length * len(STAKES):
            moved = (value, lead, calls, failures) != (self.value, self.lead, self.calls, self.failures)
            # Long after the last failure a success moves nothing.
            return replace(self, value=value, lead=lead, calls=calls, failures=failures) if moved else self
        again = self.doublings + 1 if now - self.since <= self.wait else 0
        opened = replace(self, state="open", since=now, doublings=again, rate=failures / calls if calls else 1.0)
        return replace(opened, value=(0.0,) * len(STAKES), lead=0.0, calls=0, failures=0)

    def _probed(self, failed: bool, now: float) -> Breaker:
        """Move both bets on by a probe."""
        gain, bar = 1 / self.tolerated - 1 if failed else -1.0, self.bar
        value = tuple([old * (1 + stake * gain) for old, stake in zip(self.value, STAKES, strict=True)])
        gain = -1.0 if failed else bar / (1 - bar)
        recovery = tuple([old * (1 + stake * gain) for old, stake in zip(self.recovery, STAKES, strict=True)])
        enough, none = len(STAKES) / self.alpha, (0.0,) * len(STAKES)
        if sum(value) >= enough:
            return replace(self, state="open", since=now, doublings=self.doublings + 1, value=none, recovery=())
        if sum(recovery) >= enough:
            return replace(self, state="closed", since=now, value=none, recovery=())
        return replace(self, value=value, recovery=recovery)
