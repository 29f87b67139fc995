"""The dated facts of a model's life, and the values they are made of."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

ALL = "all"


@dataclass(frozen=True, order=True)
class Vintage:
    """
    A model fitted at a cutoff, and perhaps updated at later ones.

    Parameters
    ----------
    fitted : int
        Number of the cutoff at which it was fitted.
    window : str
        Training window: ``"all"`` or a duration.
    updates : tuple of int
        Cutoffs at which it was updated since, in order.
    """

    fitted: int
    window: str = ALL
    updates: tuple[int, ...] = ()

    @property
    def cutoff(self) -> int:
        """Number of the cutoff that it last learned at."""
        return self.updates[-1] if self.updates else self.fitted

    def updated(self, cutoff: int) -> Vintage:
        """Return this vintage updated at a later cutoff."""
        return Vintage(self.fitted, self.window, (*self.updates, cutoff))

    def __str__(self) -> str:
        """Return a short name such as ``12``, ``12/28D`` or ``12+13+14``."""
        window = "" if self.window == ALL else f"/{self.window}"
        return str(self.fitted) + window + "".join(f"+{cutoff}" for cutoff in self.updates)


@dataclass(frozen=True)
class Keep:
    """Leave the live vintage in place."""

    name: Literal["keep"] = "keep"


@dataclass(frozen=True)
class Retrain:
    """Fit a new vintage on what is known now, and put it in place."""

    window: str | None = None
    name: Literal["retrain"] = "retrain"


@dataclass(frozen=True)
class Update:
    """Update the live vintage with the labels that arrived since it was made."""

    name: Literal["update"] = "update"


@dataclass(frozen=True)
class FallBack:
    """Put an older vintage, one that was live before, back in place."""

    vintage: Vintage
    name: Literal["fall back"] = "fall back"


Action = Keep | Retrain | Update | FallBack


@dataclass(frozen=True)
class Prices:
    """
    What things cost the user.

    Parameters
    ----------
    loss : float
        Value of one unit of loss on one event.
    retrain : float
        Cost of a retrain: compute, validation, approval, rollout.
    update : float, optional
        Cost of an update; default that of a retrain.
    shadow : float
        Cost of a fit that is only compared, not put in place.
    rollback : float
        Cost of putting an older vintage back in place.
    unit : str
        Currency, for the reader.

    Examples
    --------
    >>> Prices(loss=2.0, retrain=150.0, unit="USD").update_price
    150.0
    """

    loss: float
    retrain: float
    update: float | None = None
    shadow: float = 0.0
    rollback: float = 0.0
    unit: str = ""

    @property
    def update_price(self) -> float:
        """Cost of an update."""
        return self.retrain if self.update is None else self.update


@dataclass(frozen=True)
class Decided:
    """
    A decision taken at a cutoff.

    Parameters
    ----------
    cutoff : int
        Its number.
    at : int
        Its instant.
    action : str
        ``start``, ``keep``, ``retrain``, ``update``, ``fall back`` or ``refused``.
    live : Vintage
        What is in place from now on.
    reason : str
        Why, in a few words.
    price : float
        What the action and its shadow fits cost; 0 where there are no prices.
    """

    cutoff: int
    at: int
    action: str
    live: Vintage
    reason: str
    price: float

    def fact(self) -> dict[str, Any]:
        """Return the fact as plain data."""
        return {**asdict(self), "live": str(self.live)}


@dataclass(frozen=True)
class Failed:
    """A vintage that could not be made or gave no usable prediction."""

    model: str
    vintage: Vintage
    seed: int
    at: int
    why: str
