"""From the bytes of a request to rows, or one sentence that says why not; nothing of it is run or looked up."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from mlwild.clock import text_of
from mlwild.columns import Columns, WrongValueError
from mlwild.serve.tickets import Lists

#: Microseconds that an event may lie ahead of now: clocks differ, and a day may have begun elsewhere.
AHEAD = 86_400_000_000
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_SHOWN = re.compile(r"[A-Za-z0-9_.-]{1,40}")
_TOO_DEEP = "The body is nested too deeply."
_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")


class RefusedError(Exception):
    """
    A request that is not answered.

    Parameters
    ----------
    code : int
        Of HTTP.
    said : str
        One sentence, without a word of the data.
    headers : dict of str to str
    """

    def __init__(self, code: int, said: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(said)
        self.code, self.said, self.headers = code, said, dict(headers or {})


@dataclass(frozen=True, eq=False)
class Asked:
    """
    A request that can be answered.

    Parameters
    ----------
    id : str
        As the client named it; empty if it did not.
    columns : lists
        In the order of the app's columns.
    n : int
    absent : tuple of (tuple of str)
        Of each row, the columns that it did not give.
    given : bytes
        Digest of the rows as they were sent, whatever columns are live; empty where the client named no id.
    dated : tuple of int
        Rows that gave no time, and got that of this machine's clock.
    ignored : dict of str to int
        Columns that the app once had, and in how many rows they stood.
    """

    id: str
    columns: Lists
    n: int
    absent: tuple[tuple[str, ...], ...]
    given: bytes = b""
    dated: tuple[int, ...] = ()
    ignored: Mapping[str, int] = field(default_factory=dict)

    def digest(self, path: str) -> str:
        """Return what tells this request from another."""
        return blake2b(path.encode() + b"\0" + self.given, digest_size=16).hexdigest()


class FutureError(RefusedError):
    """
    A request of the future, as the clock says now: one that was answered before still gets its answer.

    Parameters
    ----------
    said : str
    asked : Asked
    """

    def __init__(self, said: str, asked: Asked) -> None:
        super().__init__(422, said)
        self.asked = asked


def _never() -> float:
    """Return by how much a clock that never jumps has gone back."""
    return 0.0


@dataclass(frozen=True)
class Reader:
    """
    What a request is held against.

    Parameters
    ----------
    columns : Columns
    most : int
        Rows of one request.
    now : callable
        Returns the time in microseconds, as the time column counts it; None where that holds integers.
    behind : callable
        Returns by how many seconds that clock has gone back: what was not the future before is not now.
    """

    columns: Columns
    most: int
    now: Callable[[], int | None]
    behind: Callable[[], float] = _never

    def predict(self, body: bytes, header: str | None) -> Asked:
        """
        Read the body of `/predict`: ``{"rows": [{...}, ...]}``, or the fields of one row.

        Raises
        ------
        RefusedError
            If it is not that.
        """
        said = parsed(body)
        if not isinstance(said, dict):
            raise RefusedError(422, 'The body must be an object: {"rows": [{...}, ...]}, or the fields of one row.')
        # A column may have that name too: none holds lists.
        batch = "rows" in said and ("rows" not in self.columns.names or isinstance(said["rows"], list))
        named = said.pop("id", None) if batch or "id" not in self.columns.names else None
        if batch:
            rows = said.pop("rows")
            if said:
                raise RefusedError(422, 'Beside "rows" the body may hold "id" only.')
            if not isinstance(rows, list):
                raise RefusedError(422, '"rows" must be a list of objects.')
        else:
            rows = [said]
        return self._asked(rows, named, header)

    def invocations(self, body: bytes, header: str | None) -> Asked:
        """
        Read the body of `/invocations`, in the formats of MLflow's scoring servers.

        Raises
        ------
        RefusedError
            If it is none of them.
        """
        said = parsed(body)
        given = [name for name in _FORMS if isinstance(said, dict) and name in said]
        if len(given) != 1:
            raise RefusedError(422, f"The body must be an object with one of {', '.join(_FORMS)}.")
        more = [name for name in said if name not in given and not (name == "params" and not said[name])]
        if more:
            raise RefusedError(422, f'Beside "{given[0]}" the body may hold nothing.')
        return self._asked(self._records(given[0], said[given[0]]), None, header)

    def _records(self, form: str, given: Any) -> list[Any]:
        if form == "dataframe_split":
            if not isinstance(given, dict) or not set(given) <= {"columns", "data", "index"}:
                raise RefusedError(422, '"dataframe_split" must hold "columns" and "data".')
            names, data = given["columns"] if "columns" in given else self._in_order(), given.get("data")
            if not _texts(names) or len(set(names)) != len(names) or not isinstance(data, list):
                raise RefusedError(
                    422, '"dataframe_split" must hold "columns", a list of names, and "data", a list of rows.'
                )
            return [_dict(names, row, at) for at, row in enumerate(self._few(data))]
        if form == "inputs" and isinstance(given, dict):
            lists = [one if isinstance(one, list) else [one] for one in given.values()]
            if len({len(one) for one in lists}) != 1:
                raise RefusedError(422, '"inputs" must hold columns of one length.')
            self._few(lists[0])
            return [dict(zip(given, row, strict=True)) for row in zip(*lists, strict=True)]
        if not isinstance(given, list):
            raise RefusedError(422, f'"{form}" must be a list of rows.')
        names = self._in_order() if any(isinstance(row, list) for row in self._few(given)) else ()
        return [_dict(names, row, at) if isinstance(row, list) else row for at, row in enumerate(given)]

    def _in_order(self) -> tuple[str, ...]:
        """Return what values are of that have no names; where they may be of others, they would be mistaken."""
        if self.columns.reordered:
            raise RefusedError(
                422,
                "Rows must name their columns, such as those of dataframe_records do: the app once had others, or in "
                "another order, and values alone could be of those.",
            )
        return self.columns.names

    def _few(self, rows: list[Any]) -> list[Any]:
        """Refuse too many rows before anything is made of them."""
        if len(rows) > self.most:
            raise RefusedError(413, f"There are more than {self.most} rows. Send them in parts.")
        return rows

    def _asked(self, rows: list[Any], named: Any, header: str | None) -> Asked:
        name = _id(named, header)
        if not rows:
            raise RefusedError(422, "There is no row.")
        self._few(rows)
        needed = self.columns.needed
        ids = (self.columns.time, self.columns.key)
        known = {*self.columns.names, *self.columns.hidden}
        lists: list[list[Any]] = [[] for _ in needed]
        absent = []
        ignored: Counter[str] = Counter()
        for at, row in enumerate(rows):
            if not isinstance(row, dict):
                raise RefusedError(422, f"rows[{at}] must be an object of fields.")
            if not row.keys() <= known:
                ignored.update(self._past(at, [name for name in row if name not in known]))
            for column, made in zip(needed, lists, strict=True):
                try:
                    made.append(column.read(row.get(column.name)))
                except WrongValueError as problem:
                    raise RefusedError(422, f"rows[{at}].{column.name}: {problem}.") from None
            absent.append(tuple(one.name for one in needed if one.name not in row and one.name not in ids))
            if row.keys().isdisjoint(self.columns.names):
                raise RefusedError(422, f"rows[{at}] gives no field that the model reads.")
        given = _digest(rows) if name else b""
        dated, late = self._times(lists)
        asked = Asked(name, lists, len(rows), tuple(absent), given, dated, ignored)
        if late:
            raise FutureError(late, asked)
        return asked

    def _past(self, at: int, names: list[str]) -> list[str]:
        """Return the fields that are no columns: those that once were are ignored, and no others."""
        for name in names:
            if name not in self.columns.past:
                raise RefusedError(422, self._unknown(at, name))
        return names

    def _unknown(self, at: int, name: str) -> str:
        have = ", ".join(self.columns.names[:12]) + (", ..." if len(self.columns.names) > 12 else "")
        said = repr(name) if _SHOWN.fullmatch(name) else "a field of that name"
        return f"rows[{at}]: there is no column for {said}. The app's columns are {have}."

    def _times(self, lists: list[list[Any]]) -> tuple[tuple[int, ...], str]:
        """Fill in now where a row does not say its time; return where that is, and why the future is refused."""
        names = self.columns.names
        if self.columns.time not in names:
            return (), ""
        place = names.index(self.columns.time)
        times, now = lists[place], self.now()
        if now is None:
            if None in times:
                raise RefusedError(422, f"rows[{times.index(None)}].{self.columns.time} is needed.")
            return (), ""
        day = self.columns.needed[place].kind == "date"
        here, latest = now, now + AHEAD + round(1e6 * self.behind())
        if day:
            here, latest = here // AHEAD, latest // AHEAD
        dated, late = [], ""
        for at, value in enumerate(times):
            if value is None:
                times[at] = here
                dated.append(at)
            elif value > latest and not late:
                says = f"the clock here says {text_of(now / 1e6).removesuffix(' UTC')}"
                late = f"rows[{at}].{self.columns.time} lies more than a day in the future: {says}."
        return tuple(dated), late


def _digest(rows: list[Any]) -> bytes:
    """Return what tells rows as they were sent from others: by name, since columns may come and go in between."""
    try:
        return blake2b(json.dumps(rows, sort_keys=True).encode(), digest_size=16).digest()
    except RecursionError:
        raise RefusedError(400, _TOO_DEEP) from None


def _texts(names: Any) -> bool:
    return isinstance(names, list | tuple) and all(isinstance(one, str) for one in names)


def _dict(names: Sequence[str], row: Any, at: int) -> dict[str, Any]:
    if not isinstance(row, list) or len(row) != len(names):
        values = "1 value" if len(names) == 1 else f"{len(names)} values"
        raise RefusedError(422, f"rows[{at}] must be a list of {values}, one a column.")
    return dict(zip(names, row, strict=True))


def _id(named: Any, header: str | None) -> str:
    """Return how the client names its request."""
    for one in (named, header):
        if one is not None and not (isinstance(one, str) and _NAME.fullmatch(one)):
            raise RefusedError(400, "A request id has 1 to 128 of the letters A-Z a-z 0-9 _ . : -")
    if named is not None and header is not None and named != header:
        raise RefusedError(400, "The header X-Request-Id and the field id name the request differently.")
    return named or header or ""


def about(body: bytes, columns: int) -> int:
    """
    Return about how many rows a body has, without reading it: it is an estimate, and texts in it may mislead it.

    Parameters
    ----------
    body : bytes
    columns : int
        Of the app.

    Examples
    --------
    >>> about(b'{"rows":[{"x":1,"y":2},{"x":3,"y":4},{"x":5,"y":6}]}', 2)
    3
    >>> about(b'{"dataframe_split":{"columns":["x","y"],"data":[[1,2],[3,4],[5,6]]}}', 2)
    3
    >>> about(b'{"inputs":{"x":[1,3,5],"y":[2,4,6]}}', 2)
    2
    """
    # An object or a list is a row, or a row has a comma for each column.
    return max(body.count(b"{") - 1, body.count(b"[") - 2, body.count(b",") // max(columns, 1), 1)


def parsed(body: bytes) -> Any:
    """
    Return the value of a JSON text; strictly.

    Raises
    ------
    RefusedError
        If it is not UTF-8, not JSON, holds NaN or Infinity, names a field twice, or is nested too deeply.

    Examples
    --------
    >>> parsed(b'{"x": NaN}')
    Traceback (most recent call last):
        ...
    mlwild.serve.requests.RefusedError: NaN and Infinity are no JSON. Give null where a value is missing.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise RefusedError(400, "The body is not UTF-8.") from None
    try:
        return json.loads(text, parse_constant=_constant, object_pairs_hook=_once, parse_int=_int)
    except RecursionError:
        raise RefusedError(400, _TOO_DEEP) from None
    except json.JSONDecodeError as problem:
        raise RefusedError(400, f"The body is no JSON, from character {problem.pos} on.") from None


def _constant(_: str) -> Any:
    raise RefusedError(400, "NaN and Infinity are no JSON. Give null where a value is missing.")


def _int(digits: str) -> int:
    # Python takes time that grows with the square of the digits; no column holds so great a number.
    if len(digits) > 400:
        raise RefusedError(400, "A number has more than 400 digits.")
    return int(digits)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise RefusedError(400, "A field is named twice in one object.")
    return made
