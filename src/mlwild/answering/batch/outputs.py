"""Answers as rows of a table: written in pieces that can be cut off anywhere, and made one file at the end."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from math import isfinite
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from mlwild.answering.batch.given import Given, noted
from mlwild.answering.bundle import Bundle
from mlwild.answering.service import Answered
from mlwild.columns import Column

#: Batches that make a row group of a Parquet file.
GROUP = 100
_EPOCH, _DAY = datetime(1970, 1, 1, tzinfo=UTC), date(1970, 1, 1)
NEWEST = "newest_label"
_NAMES = ("low", "high", "likely", "status", "cause", "stage", "vintage", NEWEST, "expected_loss", "chance")


@dataclass(frozen=True, eq=False)
class Layout:
    """
    The columns of the answers.

    Parameters
    ----------
    ids : tuple of (str, Column)
        Key and time of the app: what they are called in the answers, and what they hold.
    values : tuple of str
        ``value``, or one name a class.
    ask : str
    classes : ndarray or None
    newest : int, optional
        When the newest label that is known became known, in microseconds since 1970: how old the data are by a clock
        would be another answer in each run.
    """

    ids: tuple[tuple[str, Column], ...]
    values: tuple[str, ...]
    ask: str
    classes: NDArray[Any] | None
    newest: int | None = None

    @staticmethod
    def of(bundle: Bundle) -> Layout:
        """Return the layout of what a bundle answers."""
        columns, classes = bundle.columns, bundle.classes
        values: tuple[str, ...] = ("value",)
        if bundle.ask == "probabilities" and classes is not None:
            values = tuple(f"value_{one}" for one in classes.tolist())
        taken, ids = {*values, *_NAMES}, []
        for column in columns.needed:
            if column.name in (columns.key, columns.time):
                name = column.name
                while name in taken:  # a key that is called value, say
                    name += "_"
                ids.append((name, column))
                taken.add(name)
        newest = int(bundle.newest) * 1_000_000 if isfinite(bundle.newest) else None  # of finer times nobody asks
        return Layout(tuple(ids), values, bundle.ask, classes, newest)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return (*(name for name, _ in self.ids), *self.values, *_NAMES)

    @property
    def newest_text(self) -> str | None:
        """When the newest label became known, as a text."""
        return None if self.newest is None else _text(self.newest, "Z")

    def schema(self) -> Any:
        """Return the columns as Arrow names them."""
        import pyarrow as pa

        named = pa.float64() if self.classes is None else pa.array(self.classes.tolist()).type
        value = named if self.ask == "class" else pa.float64()
        fields = [(name, _arrow(column)) for name, column in self.ids]
        fields += [(name, value) for name in self.values]
        fields += [("low", pa.float64()), ("high", pa.float64()), ("likely", pa.list_(named))]
        fields += [(name, pa.string()) for name in ("status", "cause", "stage", "vintage")]
        fields.append((NEWEST, pa.timestamp("us", "UTC")))
        return pa.schema([*fields, ("expected_loss", pa.float64()), ("chance", pa.float64())])

    def lists(self, rows: Given, made: Answered) -> dict[str, list[Any]]:
        """Return the columns of some answers: what is not known as None, classes by their names."""
        status, cause = noted(rows, made)
        return {
            **{name: rows.told[column.name] for name, column in self.ids},
            **self._values(made.value),
            "low": _floats(made.low),
            "high": _floats(made.high),
            "likely": self._likely(made.sets),
            "status": status,
            "cause": cause,
            "stage": made.stage,
            "vintage": made.vintage,
            NEWEST: [self.newest] * len(made),
            "expected_loss": _floats(made.expected),
            "chance": made.chance.tolist(),
        }

    def _values(self, value: NDArray[np.float64]) -> dict[str, list[Any]]:
        if value.ndim == 2:
            return {name: _floats(value[:, place]) for place, name in enumerate(self.values)}
        made = _floats(value)
        if self.ask == "class" and self.classes is not None:
            names = self.classes.tolist()
            made = [None if one is None else names[int(one)] for one in made]
        return {"value": made}

    def _likely(self, sets: list[list[int] | None]) -> list[list[Any] | None]:
        names = [] if self.classes is None else self.classes.tolist()
        return [None if one is None else [names[place] for place in one] for one in sets]


def _arrow(column: Column) -> Any:
    import pyarrow as pa

    kinds = {
        "number": pa.float64(),
        "integer": pa.int64(),
        "boolean": pa.bool_(),
        "time": pa.timestamp("us", "UTC" if column.zoned else None),
        "date": pa.date32(),
    }
    return kinds.get(column.kind, pa.string())


def _floats(values: NDArray[np.float64]) -> list[Any]:
    return [one if isfinite(one) else None for one in values.tolist()]


def head(kind: str, layout: Layout) -> bytes:
    """Return what stands before the first answers."""
    if kind == "csv":
        return _csv([layout.names])
    if kind == "jsonl":
        return b""
    return bytes(layout.schema().serialize())


def encoded(kind: str, layout: Layout, lists: dict[str, list[Any]]) -> bytes:
    """Return some answers as bytes that follow those before."""
    if kind == "parquet":
        import pyarrow as pa

        schema = layout.schema()
        days = {name for name, column in layout.ids if column.kind == "date"}
        arrays = [
            pa.array(lists[one.name], pa.int32()).cast(one.type)
            if one.name in days
            else pa.array(lists[one.name], one.type)
            for one in schema
        ]
        return bytes(pa.record_batch(arrays, schema=schema).serialize())
    shown = lists | {name: _shown(lists[name], column) for name, column in layout.ids}
    shown[NEWEST] = [layout.newest_text] * len(lists[NEWEST])
    if kind == "csv":
        shown["likely"] = [None if one is None else json.dumps(one, ensure_ascii=False) for one in shown["likely"]]
        return _csv(zip(*(map(_cell, shown[name]) for name in layout.names), strict=True))
    write = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
    names = layout.names
    lines = (write(dict(zip(names, row, strict=True))) for row in zip(*(shown[name] for name in names), strict=True))
    return "".join(f"{line}\n" for line in lines).encode()


def _csv(rows: Any) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    return ("true" if value else "false") if isinstance(value, bool) else value


def _shown(values: Sequence[Any], column: Column) -> list[Any]:
    """Return times and dates as texts."""
    if column.kind == "date":
        return [None if one is None else (_DAY + timedelta(days=one)).isoformat() for one in values]
    if column.kind != "time":
        return list(values)
    zone = "Z" if column.zoned else ""
    return [None if one is None else _text(one, zone) for one in values]


def _text(microseconds: int, zone: str) -> str:
    return f"{(_EPOCH + timedelta(microseconds=microseconds)).isoformat()[:-6]}{zone}"


def write_parquet(body: Path, file: IO[bytes]) -> None:
    """Write a Parquet file of the answers that were written in pieces; a few row groups are held at a time."""
    import pyarrow as pa
    import pyarrow.parquet

    with (
        body.open("rb") as source,
        pa.ipc.open_stream(source) as pieces,
        pa.parquet.ParquetWriter(file, pieces.schema) as writer,
    ):
        waiting: list[Any] = []
        for piece in pieces:
            waiting.append(piece)
            if len(waiting) == GROUP:
                writer.write_table(pa.Table.from_batches(waiting))
                waiting = []
        if waiting:
            writer.write_table(pa.Table.from_batches(waiting))
