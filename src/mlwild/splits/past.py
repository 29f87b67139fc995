"""What the past of one procedure looks like at a cutoff: the door through which estimates read it."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Past(Protocol):
    """
    One procedure (model and window, refitted at every cutoff), as known at a cutoff.

    A correct past shows labels known by its cutoff only.
    """

    @property
    def cutoff(self) -> int:
        """Number of the cutoff; periods before it are past."""
        ...

    @property
    def settled(self) -> NDArray[np.bool_]:
        """Whether about all labels of each past period that ever come have come, shape (cutoff,)."""
        ...

    @property
    def rows_before(self) -> Floats:
        """Number of rows before each cutoff up to and with this one, shape (cutoff + 1,)."""
        ...

    @property
    def sizes(self) -> Floats:
        """Number of rows by past period that a mean loss rests on; of weighted ones the effective number."""
        ...

    def live(self, gap: int = 0) -> tuple[Floats, Floats, Floats]:
        """
        Return total loss, weight and sum of squared losses by past period, each of shape (cutoff,).

        Of the vintage that was the freshest so many periods before each period; weight 0 where
        there was none.
        """
        ...

    def vintage(self, cutoff: int) -> tuple[Floats, Floats]:
        """Return total loss and weight by past period of the freshest vintage at an earlier cutoff."""
        ...
