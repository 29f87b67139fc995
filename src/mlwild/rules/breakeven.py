"""Break-even: retrain when staleness has cost as much as a retrain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mlwild.records import FallBack, Keep, Retrain, Update, Vintage
from mlwild.rules.view import Decision, Floats, View

#: The guard against noise asks for at most this multiple of the price.
MOST_PATIENCE = 2.0


def _costliest(staleness: Floats) -> tuple[int, int]:
    """Return the ends of the stretch with the greatest sum."""
    walk = np.concatenate([[0.0], np.cumsum(staleness)])
    rise = walk - np.minimum.accumulate(walk)
    last = int(np.argmax(rise))
    return int(np.argmin(walk[: last + 1])), last


@dataclass(frozen=True)
class BreakEven:
    """
    Retrain when staleness since the last retrain has cost as much as a retrain.

    What counts is the costliest stretch of periods since then: a good spell before or after it does
    not pay for it. A shadow challenger is fitted at every cutoff (or every `shadow_every`) and only compared. Where
    a newer vintage is never worse and labels come within L periods, the cost above the unavoidable
    is at most ``2 + (L + 1) * (greatest staleness of a period) / (price of a retrain)`` times that
    of the best decisions in hindsight; two is the best factor that any rule without a coin can have.

    Parameters
    ----------
    multiple : float
        Retrain at this multiple of the price; 1 is break-even.
    shadow_every : int
        Periods between two shadow fits.
    noise : float
        The staleness must also exceed so many standard errors of itself: measured on few rows it
        is a random walk even where there is no drift. The guard asks for no more than twice the
        price, so that it cannot put off a retrain for ever. 0 switches it off.
    rollback : bool
        Also fall back to an older vintage that was in place before, when it has been better than
        the live one by more than its price and the noise.
    update : bool
        Update the live vintage instead of retraining, when staleness has cost an update.
    price : float, optional
        Cost of a retrain in units of total loss, for apps without prices.
    window : str, optional

    References
    ----------
    .. [1] Karlin, A. R., Manasse, M. S., Rudolph, L., & Sleator, D. D. (1988). Competitive snoopy
       caching. Algorithmica, 3, 79-119 (the ski-rental argument that the factor 2 rests on).

    Examples
    --------
    >>> BreakEven().name, BreakEven(2, shadow_every=4).name, BreakEven(rollback=True).name
    ('break-even', 'break-even x2, shadow every 4', 'break-even, rollback')
    """

    multiple: float = 1.0
    shadow_every: int = 1
    noise: float = 2.0
    rollback: bool = False
    update: bool = False
    price: float | None = None
    window: str | None = None

    @property
    def name(self) -> str:
        """Name in tables."""
        parts = ["break-even" + " update" * self.update + (f" x{self.multiple:g}" if self.multiple != 1 else "")]
        if self.price is not None:
            parts.append(f"at {self.price:g}")
        if self.shadow_every != 1:
            parts.append(f"shadow every {self.shadow_every}")
        if self.noise != type(self).noise:
            parts.append(f"noise {self.noise:g}" if self.noise else "unguarded")
        if self.rollback:
            parts.append("rollback")
        return ", ".join(parts) + (f" ({self.window})" if self.window else "")

    def decide(self, view: View, memory: Any) -> Decision:
        """Compare the staleness so far with the price."""
        since = view.cutoff - view.since
        shadows = int(since > 0 and since % self.shadow_every == 0)
        value = 1.0 if self.price is not None or view.prices is None else view.prices.loss
        if self.price is not None:
            price = self.price
        elif view.prices is not None:
            price = view.prices.update_price if self.update else view.prices.retrain
        else:
            return Decision(Keep(), "there is no price to break even with")
        if self.rollback:
            back = self._better_older(view, value)
            if back is not None:
                return Decision(FallBack(back[0]), back[1], shadows=shadows)
        staleness = view.staleness(self.window, self.shadow_every)
        first, last = _costliest(staleness)
        spent = value * float(staleness[first:last].sum())
        bar = self.multiple * price
        if spent < bar * (1 - 1e-12) or spent <= 0:  # what only rounding keeps below the price
            return Decision(Keep(), shadows=shadows)
        if self.noise:
            squares = view.staleness_squares(self.window, self.shadow_every)[first:last]
            if spent < min(self.noise * value * float(np.sqrt(squares.sum())), MOST_PATIENCE * bar):
                return Decision(Keep(), "staleness may be noise", shadows=shadows)
        action = Update() if self.update else Retrain(self.window)
        return Decision(action, f"staleness has cost {spent:.4g}", shadows=shadows)

    def _better_older(self, view: View, value: float) -> tuple[Vintage, str] | None:
        price = view.prices.rollback if view.prices is not None and self.price is None else 0.0
        best: tuple[float, Vintage] | None = None
        for older in dict.fromkeys(view.deployed[:-1]):
            if older == view.live:
                continue
            saved, error = view.advantage(older)
            if value * saved > max(price, self.noise * value * error) and (best is None or saved > best[0]):
                best = (saved, older)
        if best is None:
            return None
        return best[1], f"vintage {best[1]} would have saved {value * best[0]:.4g}"
