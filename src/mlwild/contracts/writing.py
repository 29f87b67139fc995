"""A contract as TOML that a person keeps by hand: a stable order, short lines, a comment where one helps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import date, datetime
from typing import Any

from mlwild.contracts.column import Column
from mlwild.contracts.terms import Contract, Statistic, Terms

WIDTH = 110

HEAD = """\
# What the data{and_features} must look like. Written once from the history; yours since, so correct what you know
# better. Where no key is, no rule is, but for one: nothing may be missing unless most_missing says so.
# kind: number, integer, category, text, boolean, time or other. `mlwild check` holds the data against this file.
"""


def to_toml(contract: Contract, notes: Mapping[tuple[str, str], str] | None = None) -> str:
    """
    Write a contract as TOML.

    Parameters
    ----------
    contract : Contract
    notes : dict of (table, column) to str, optional
        Comments, such as what was seen in the history.

    Returns
    -------
    str
        What `from_toml` reads back to an equal contract, without the comments.

    Examples
    --------
    >>> terms = Terms({"power": Column("number", unit="kW", low=0.0, high=50.0)})
    >>> print(to_toml(Contract(terms), {("data", "power"): "0.1 to 31"}).split("[data]")[1])
    <BLANKLINE>
    extra = "refuse"
    <BLANKLINE>
    [data.columns.power]  # 0.1 to 31
    kind = "number"
    unit = "kW"
    low = 0.0
    high = 50.0
    <BLANKLINE>
    """
    lines = [HEAD.format(and_features=" and the features" if contract.features else "").rstrip()]
    top = [
        f"{name} = {value(getattr(contract, name))}"
        for name in ("time", "every", "start", "min_rows")
        if _said(contract, name)
    ]
    lines += ["", *top] if top else []
    lines += _table("data", contract.data, notes or {}, {})
    if contract.features is not None:
        lines += _table("features", contract.features, notes or {}, contract.data.columns)
    return "\n".join(lines) + "\n"


def _table(
    where: str, terms: Terms, notes: Mapping[tuple[str, str], str], of_data: Mapping[str, Column]
) -> Iterator[str]:
    yield from ("", f"[{where}]", f"extra = {value(terms.extra)}")
    if terms.key:
        yield f"key = {value(terms.key)}"
    if terms.statistics:
        yield "statistics = ["
        yield from (f"  {_statistic(one)}," for one in terms.statistics)
        yield "]"
    same = tuple(name for name, column in terms.columns.items() if of_data.get(name) == column)
    if same:
        yield from _list("as_data", same)
    for name, column in terms.columns.items():
        if name in same:
            continue
        note = notes.get((where, name))
        yield from ("", f"[{where}.columns.{key(name)}]" + (f"  # {note}" if note else ""))
        for field in fields(Column):
            said = getattr(column, field.name)
            if field.name == "allowed" and said is not None:
                yield from _list("allowed", said)
            elif _said(column, field.name):
                yield f"{field.name} = {value(said)}"


def _said(holder: Any, name: str) -> bool:
    """Say whether a field differs from its default."""
    return bool(getattr(holder, name) != type(holder).__dataclass_fields__[name].default)


def _statistic(statistic: Statistic) -> str:
    said = [
        f"{field.name} = {value(getattr(statistic, field.name))}"
        for field in fields(Statistic)
        if _said(statistic, field.name)
    ]
    return "{ " + ", ".join(said) + " }"


def _list(name: str, values: tuple[Any, ...]) -> Iterator[str]:
    """Write a list in one line, or in as many as it takes."""
    one = f"{name} = {value(values)}"
    if len(one) <= WIDTH:
        yield one
        return
    yield f"{name} = ["
    line = " "
    for item in values:
        text = f" {value(item)},"
        if len(line + text) > WIDTH:
            yield line
            line = " "
        line += text
    yield from (line, "]")


def key(name: str) -> str:
    """
    Write a column's name as a key of TOML.

    Examples
    --------
    >>> key("lead_time"), key("Köln, °C")
    ('lead_time', '"Köln, °C"')
    """
    bare = name != "" and name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    bare = bare or (name != "" and set(name) <= {"_", "-"})
    return name if bare else value(name)


def value(given: Any) -> str:
    """
    Write a value.

    Examples
    --------
    >>> value(0.1), value(1e300), value(120000), value(True), value(("a", 1))
    ('0.1', '1e+300', '120000', 'true', '["a", 1]')
    """
    if isinstance(given, bool):
        return "true" if given else "false"
    if isinstance(given, int | float):
        return repr(given)
    if isinstance(given, str):
        return _quoted(given)
    if isinstance(given, datetime):
        return given.isoformat(sep=" ")
    if isinstance(given, date):
        return given.isoformat()
    return "[" + ", ".join(value(item) for item in given) + "]"


def _quoted(text: str) -> str:
    """Write a basic string: everything that could end it or not be seen is escaped."""
    short = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    made = [short.get(sign) or (sign if sign.isprintable() else f"\\U{ord(sign):08x}") for sign in text]
    return '"' + "".join(made) + '"'
