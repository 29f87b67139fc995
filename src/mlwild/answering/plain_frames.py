"""Pandas frames of fractions and times, made without the way through Arrow: in a fifth of the time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlwild import frames
from mlwild.answering.shapes import Shape


@dataclass(frozen=True)
class PlainFrames:
    """
    How frames of some columns are made.

    Parameters
    ----------
    numbers : pandas.Index
        Columns of fractions, in order.
    times : tuple of (int, str, str, object)
        Place, name, kind and zone of each column of times.
    """

    numbers: Any
    times: tuple[tuple[int, str, str, Any], ...]

    @staticmethod
    def of(shape: Shape) -> PlainFrames | None:
        """
        Return how frames of a shape are made; None where they have to go through Arrow.

        It is tried whether what is made is the same: of rows with and without values, and of none.

        Examples
        --------
        >>> import pyarrow as pa
        >>> made = PlainFrames.of(Shape(pa.schema({"x": pa.float64(), "at": pa.timestamp("us", "UTC")}), {}))
        >>> made.frame({"x": [0.5, None], "at": [0, 1]}, 2)["x"].tolist()
        [0.5, nan]
        >>> PlainFrames.of(Shape(pa.schema({"word": pa.string()}), {})) is None
        True
        """
        import pandas as pd
        import pyarrow as pa

        names, times = [], []
        for place, field in enumerate(shape.schema):
            if pa.types.is_timestamp(field.type):
                times.append((place, field.name, f"M8[{field.type.unit}]", field.type.tz))
            elif pa.types.is_float64(field.type):
                names.append(field.name)
            else:
                return None
        usual = shape.schema.empty_table().to_pandas(date_as_object=False)
        if not names or len(usual.columns) != len(shape.schema):
            return None
        made = PlainFrames(
            usual.columns[[place for place, name in enumerate(usual.columns) if name in set(names)]], tuple(times)
        )
        for given in ([], [7, None, -3]):
            rows = dict.fromkeys(shape.schema.names, given)
            through = frames.from_arrow(shape.table(rows, len(given)), "pandas", "data")
            try:
                pd.testing.assert_frame_equal(made.frame(rows, len(given)), through, check_exact=True)
            except AssertionError:  # say, an index of its own, or a unit of time that pandas has another type for
                return None
        return made

    def frame(self, rows: Mapping[str, Sequence[Any]], n: int) -> Any:
        """
        Return a frame of n rows.

        Parameters
        ----------
        rows : mapping of str to sequence
            Numbers, and microseconds since 1970; None where a value is missing, as in columns that are not given.
        n : int
        """
        import pandas as pd

        nothing = [None] * n
        columns = [rows.get(name) or nothing for name in self.numbers]
        made = pd.DataFrame(
            np.array(columns, dtype=np.float64).reshape(len(columns), n).T, columns=self.numbers, copy=False
        )
        for place, name, kind, zone in self.times:
            at = pd.DatetimeIndex(np.array(rows.get(name) or nothing, dtype="M8[us]").astype(kind))
            made.insert(place, name, at if zone is None else at.tz_localize("UTC").tz_convert(zone))
        return made
