"""From the fields of requests to the features of the app, in the types that the model learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild import frames
from mlwild.answering.ages import Limit, overdue
from mlwild.answering.plain_frames import PlainFrames
from mlwild.answering.shapes import Shape
from mlwild.app import App
from mlwild.declared import takes_tables
from mlwild.errors import DataError
from mlwild.guards.categories import coded
from mlwild.guards.guarded import Stale
from mlwild.jsonable import plain
from mlwild.triangle.survey import Tables


@dataclass(frozen=True)
class Maker:
    """
    Makes features of rows, as the app's function or its declared service does.

    Parameters
    ----------
    app : App
    data, learned : Shape
        Of the app's data, and of the features that the model learned from.
    data_kind, kind : str
        Kind of frame that the function is given, and that it returned.
    tables : Tables
        Side tables as they are known.
    limits : mapping of str to Limit
        How old their rows may be, by table.
    plain : PlainFrames, optional
        How the function's frames are made without Arrow, where they can be.
    """

    app: App
    data: Shape
    learned: Shape
    data_kind: str
    kind: str
    tables: Tables
    limits: Mapping[str, Limit] = field(default_factory=dict)
    plain: PlainFrames | None = None

    def make(self, rows: Mapping[str, Sequence[Any]], n: int) -> tuple[Any, dict[str, list[Any]]]:
        """
        Return the features of n rows, as a frame of the kind that the model learned from, and as lists for the log.

        Raises
        ------
        DataError
            If the function returns another number of rows. What it raises itself passes through.
        """
        serving = self.app.serving
        if serving is not None and serving.features is not None:
            made: Any = self._one_by_one(self.data.table(rows, n))
        else:
            made = self._native(self._events(rows, n))
            if self._is_learned(made, n):
                return made, self._lists(made)
            made, _ = frames.to_arrow(made, "features")
        if made.num_rows != n:
            raise DataError(f"features: returned {made.num_rows} rows for {n} events.")
        made = as_learned(made, self.learned)
        logged = {name: _logged(made.column(name)) for name in made.column_names}
        return frames.from_arrow(made, self.kind, "features"), logged

    def overdue(self, rows: Mapping[str, Sequence[Any]], n: int) -> Stale:
        """Return the features that are made of rows of side tables that are too old: in which rows, and why."""
        if not self.limits:
            return {}
        return overdue(self.limits, self.tables, self._events(rows, n))

    def times(self, rows: Mapping[str, Sequence[Any]]) -> NDArray[np.float64] | None:
        """Return when rows are of, as the history counts it: nanoseconds or ticks; None where one has no time."""
        given = rows.get(self.app.time)
        if given is None or None in given:
            return None
        return np.array(given, dtype=np.float64) * self._tick

    @cached_property
    def _tick(self) -> int:
        """The nanoseconds of a number that stands for a time; 1 of ticks."""
        import pyarrow as pa

        kind = self.data.schema.field(self.app.time).type
        return 1_000 if pa.types.is_timestamp(kind) else 86_400 * 10**9 if pa.types.is_date(kind) else 1

    def _events(self, rows: Mapping[str, Sequence[Any]], n: int) -> Any:
        """Return rows as the app's function is given them."""
        if self.plain is not None:
            return self.plain.frame(rows, n)
        return frames.from_arrow(self.data.table(rows, n), self.data_kind, "data")

    def one(self, native: Any, row: int) -> Any:
        """Return one row of what `make` returned."""
        if self.kind == "numpy":
            return native[row : row + 1]
        table, _ = frames.to_arrow(native, "features")
        return frames.from_arrow(table.slice(row, 1), self.kind, "features")

    def _native(self, frame: Any) -> Any:
        app = self.app
        if app.features is None:
            read = frames.eager(frame, "data")
            return read.drop(*[name for name in app.not_features if name in read.columns]).to_native()
        return app.features(frame, self.tables) if self._takes_tables else app.features(frame)

    @cached_property
    def _takes_tables(self) -> bool:
        assert self.app.features is not None
        return takes_tables(self.app.features, self.app.tables)

    @cached_property
    def _kinds(self) -> list[Any] | None:
        """Kinds of the columns, where a pandas frame of them goes through Arrow unchanged: plain numbers."""
        if self.kind != "pandas":
            return None
        kinds = list(frames.from_arrow(self.learned.schema.empty_table(), "pandas", "features").dtypes)
        return kinds if all(getattr(one, "kind", "O") in "fiub" and hasattr(one, "str") for one in kinds) else None

    def _lists(self, made: Any) -> dict[str, list[Any]]:
        """Return columns of plain numbers as lists; all at once where they are all fractions: most requests."""
        names = self._names
        assert self._kinds is not None
        if all(one == "float64" for one in self._kinds):
            return dict(zip(names, (_finite(one) for one in made.to_numpy().T.tolist()), strict=True))
        return {name: _finite(made[name].tolist()) for name in names}

    @cached_property
    def _names(self) -> list[str]:
        return list(self.learned.schema.names)

    def _is_learned(self, made: Any, n: int) -> bool:
        """Say whether features are what they would be after a way through Arrow and back."""
        if self._kinds is None or type(made).__module__.split(".")[0] != "pandas" or not hasattr(made, "dtypes"):
            return False
        plainly = list(made.columns) == self._names and list(made.dtypes) == self._kinds and len(made) == n
        return plainly and type(made.index).__name__ == "RangeIndex" and made.index.start == 0

    def _one_by_one(self, table: Any) -> Any:
        """Return the features that the declared service computes, one request at a time."""
        import pyarrow as pa

        app = self.app
        assert app.serving is not None
        function = app.serving.features
        assert function is not None
        hidden = [name for name in (app.label, app.known_at, *app.outcomes) if name in table.column_names]
        shown = table.drop_columns(hidden)
        parts = []
        for row in range(table.num_rows):
            request = frames.from_arrow(shown.slice(row, 1), self.data_kind, "data")
            made = function(request, self.tables) if takes_tables(function, app.tables) else function(request)
            part, _ = frames.to_arrow(made, "serving.features")
            if part.num_rows != 1:
                raise DataError(f"serving.features: returned {part.num_rows} rows for one request. Return one.")
            parts.append(part)
        return pa.concat_tables(parts, promote_options="permissive")


def as_learned(made: Any, learned: Shape) -> Any:
    """Return features in the types of those that the model learned from: a lone missing value has none of its own."""
    import pyarrow as pa

    if made.schema.equals(learned.schema) and not learned.words:
        return made
    for place, name in enumerate(made.column_names):
        at = learned.schema.get_field_index(name)
        if at < 0:
            continue
        kind, column = learned.schema.field(at).type, made.column(place)
        if pa.types.is_dictionary(kind):
            words = learned.words[name]
            values = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
            array = values.cast(words.type).combine_chunks()
            array = array.chunk(0) if isinstance(array, pa.ChunkedArray) else array
            made = made.set_column(place, pa.field(name, kind), coded(array, words, kind))
        elif column.type != kind and not (pa.types.is_integer(kind) and pa.types.is_floating(column.type)):
            # Fractions where all were whole numbers stay: the model may cope.
            try:
                column = column.cast(kind, safe=False)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # the guard says what it holds
                continue
            made = made.set_column(place, pa.field(name, kind), column)
    return made.replace_schema_metadata(learned.schema.metadata) if made.column_names == learned.schema.names else made


def _finite(values: list[Any]) -> list[Any]:
    return [plain(value) if type(value) is float else value for value in values]


def _logged(column: Any) -> list[Any]:
    """Return a column as JSON can hold it."""
    import pyarrow as pa

    if pa.types.is_temporal(column.type):
        column = column.cast(pa.string())
    values: list[Any] = column.to_pylist()
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    whole = pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_string(kind)
    return values if whole else [plain(value) for value in values]
