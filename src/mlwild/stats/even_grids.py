"""Even grids of several columns: where a number lies in its column's grid is found by arithmetic, not by a search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Numbers beyond are taken for it.
FARTHEST = 1e150


@dataclass(frozen=True, eq=False)
class EvenGrids:
    """
    Grids that are even in ``s / (1 + |s|)``, one for each column.

    s is the distance from the column's middle, in a unit of its own: a grid is fine in the middle, coarse far out, with
    room for every number. It has ``2 * half + 1`` places; those of all columns are counted through.

    Parameters
    ----------
    scale, shift : ndarray of shape (n_columns, 1)
        Of a number x: s is ``scale * x + shift``.
    half : int
        Places on either side of the middle; a power of two.
    first, bits : ndarray of shape (n_columns, 1), int
        What is added to make a number count its place in its last bits, and the bits of such a number at place 0.

    Examples
    --------
    >>> made = EvenGrids(np.ones((2, 1)), np.zeros((2, 1)), 4)
    >>> made.over(np.array([[0.0, -1e9, 1.0], [0.0, 1e9, -1.0]]))[1].tolist()
    [[4, 0, 6], [13, 17, 11]]
    >>> made.of_row([1.0, -1.0])
    [(0.5, 6), (-0.5, 11)]
    """

    scale: Floats
    shift: Floats
    half: int
    first: Floats = field(init=False, repr=False)
    bits: int = field(init=False, repr=False)
    _each: tuple[tuple[float, float, float], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Keep where each column's places begin."""
        # Numbers of this size lie 1 / half apart: what is added is rounded to a place, and its last bits count it.
        base = 2.0**52 / self.half
        places = base + (np.arange(len(self.scale)) * (2 * self.half + 1) + self.half) / self.half
        object.__setattr__(self, "first", places[:, None])
        object.__setattr__(self, "bits", np.array([base]).view(np.int64).item())
        each = zip(self.scale[:, 0].tolist(), self.shift[:, 0].tolist(), places.tolist(), strict=True)
        object.__setattr__(self, "_each", tuple(each))

    def over(self, x: Floats) -> tuple[Floats, Ints]:
        """
        Return where many numbers lie, and the places nearest to them.

        Parameters
        ----------
        x : ndarray of shape (n_columns, n_rows)
            None is NaN, or beyond 1e150.

        Returns
        -------
        t, place : ndarray of shape (n_columns, n_rows)
            In (-1, 1), and counted through.
        """
        made = x * self.scale
        made += self.shift
        near = np.abs(made)
        near += 1.0
        made /= near
        place = np.add(made, self.first, out=near).view(np.int64)
        place -= self.bits
        return made, place

    def of_row(self, row: Sequence[float]) -> list[tuple[float, int]]:
        """
        Return the same of one row, to the last bit, without an array: of each column t and its place.

        Parameters
        ----------
        row : sequence of float
            One number a column; what is beyond 1e150 is taken for it, and of NaN nothing is known: NaN, and 0.
        """
        base, half, made = 2.0**52 / self.half, self.half, []
        for x, (scale, shift, first) in zip(row, self._each, strict=True):
            if not -FARTHEST <= x <= FARTHEST:
                if x != x:  # noqa: PLR0124 - NaN, in a third of the time of math.isnan
                    made.append((x, 0))
                    continue
                x = FARTHEST if x > 0 else -FARTHEST  # noqa: PLW2901 - as `over` is given it
            s = x * scale + shift
            t = s / (1.0 + abs(s))
            made.append((t, int((t + first - base) * half)))
        return made
