"""One column twice: as the rehearsal has it, and as the service computes it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.cells import is_number, plain, unlike

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: What rounding may put between two numbers that are the same otherwise.
CLOSE = 1e-6


@dataclass(frozen=True, eq=False)
class Pair:
    """
    A column of the same rows on two paths.

    Parameters
    ----------
    name : str
    trained, served : pyarrow.ChunkedArray of length n
        As the rehearsal has it, and as the service computes it.

    Examples
    --------
    >>> import pyarrow as pa
    >>> pair = Pair("x", pa.chunked_array([[1.0, None, 3.0]]), pa.chunked_array([[1.0, 0.0, 4.0]]))
    >>> pair.differs.tolist(), pair.both.tolist()
    ([False, True, True], [True, False, True])
    """

    name: str
    trained: Any
    served: Any

    @cached_property
    def differs(self) -> Bools:
        """Rows that differ in a bit, or in whether there is a value."""
        return unlike(self.trained, self.served)

    @cached_property
    def gaps(self) -> tuple[Bools, Bools]:
        """Rows without a value, trained and served."""
        return plain(self.trained)[1], plain(self.served)[1]

    @cached_property
    def both(self) -> Bools:
        """Rows with a value on both paths."""
        ours, theirs = self.gaps
        return ~ours & ~theirs

    @cached_property
    def numbers(self) -> tuple[Floats, Floats] | None:
        """The values as numbers where there are any on both paths (times in seconds); None where one holds words."""
        made = [as_numbers(column) for column in (self.trained, self.served)]
        if made[0] is None or made[1] is None:
            return None
        return made[0][self.both], made[1][self.both]

    @cached_property
    def words(self) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
        """The values where there are any on both paths, as Python objects."""
        made = [
            np.array([*plain(column)[0].to_pylist(), None], dtype=object)[:-1] for column in (self.trained, self.served)
        ]
        return made[0][self.both], made[1][self.both]


def as_numbers(column: Any) -> Floats | None:
    """Return a column as numbers, times in seconds, NaN where there is no value; None if it holds words."""
    import pyarrow as pa

    array, _ = plain(column)
    if pa.types.is_timestamp(array.type) or pa.types.is_date(array.type):
        array = array.cast(pa.timestamp("us", getattr(array.type, "tz", None)), safe=False).cast(pa.int64())
        return np.asarray(array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64) / 1e6
    if pa.types.is_null(array.type):
        return np.full(len(array), np.nan)
    if not is_number(array.type):
        return None
    return np.asarray(array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)


def close(first: Floats, second: Floats) -> Bools:
    """Return which numbers are the same but for rounding."""
    return np.asarray(np.abs(first - second) <= CLOSE * np.maximum(np.abs(first), np.abs(second)))
