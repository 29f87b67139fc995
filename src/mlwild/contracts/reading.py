"""A contract from its TOML file: every error names the file, the table and the key."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from mlwild.contracts.column import KINDS, Column
from mlwild.contracts.terms import Contract, Statistic, Terms, function_of
from mlwild.errors import AppError

Made = TypeVar("Made")


def read(path: str | Path) -> Contract:
    """
    Read a contract.

    Raises
    ------
    AppError
        If there is no such file, or something in it is wrong: with the file, the table and the key.
    """
    file = Path(path)
    try:
        text = file.read_bytes().decode("utf-8")
    except FileNotFoundError as problem:
        raise AppError(
            f"contract: there is no file {str(path)!r}. mlwild check --write-contract writes one."
        ) from problem
    except OSError as problem:
        raise AppError(f"contract: {str(path)!r} cannot be read: {problem.strerror}.") from problem
    except UnicodeDecodeError as problem:
        raise AppError(
            f"contract: {file.name}: byte {problem.start} is not UTF-8 text. Save the file as UTF-8."
        ) from problem
    return from_toml(text, file.name)


def from_toml(text: str, name: str = "contract.toml") -> Contract:
    """
    Read a contract from the text of a TOML file.

    Parameters
    ----------
    text : str
    name : str
        Of the file, for the errors.

    Raises
    ------
    AppError
        If something is wrong: with the file, the table and the key.

    Examples
    --------
    >>> from_toml('data.columns.power = { kind = "number", high = 50 }').data.columns["power"].high
    50
    >>> from_toml('data.columns.power = { kind = "number", higth = 50 }', "wind.toml")
    Traceback (most recent call last):
    ...
    mlwild.errors.AppError: contract: wind.toml: [data.columns.power] higth: there is no such key. Did you mean 'high'?
    """
    where = f"contract: {name}:"
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise AppError(f"{where} this is no TOML: {problem}.") from problem
    known = [field.name for field in fields(Contract)]
    _only(given, known, f"{where} top of the file,")
    if "data" not in given:
        raise AppError(f"{where} [data] is missing: it says what the table must look like.")
    made = dict(given)
    made["data"] = _terms(given["data"], "data", where, {})
    if "features" in given:
        made["features"] = _terms(given["features"], "features", where, made["data"].columns)
    return _make(Contract, made, f"{where} top of the file,")


def _terms(given: Any, table: str, where: str, of_data: Mapping[str, Column]) -> Terms:
    here = f"{where} [{table}]"
    _need_table(given, here)
    _only(
        given,
        ["extra", "key", "statistics", "as_data", "columns"]
        if of_data or table == "features"
        else ["extra", "key", "statistics", "columns"],
        here,
    )
    columns: dict[str, Column] = {}
    for name in _list(given.get("as_data", []), f"{here} as_data:"):
        if name not in of_data:
            near = _near(name, list(of_data))
            raise AppError(f"{here} as_data: the data have no column {name!r}.{near}")
        columns[name] = of_data[name]
    said = given.get("columns", {})
    _need_table(said, f"{where} [{table}.columns]")
    for name, column in said.items():
        spot = f"{where} [{table}.columns.{name}]"
        if name in columns:
            raise AppError(f"{spot} is in as_data too. Keep one of them.")
        columns[name] = _column(column, spot)
    statistics = given.get("statistics", [])
    if not isinstance(statistics, list):
        raise AppError(
            f'{here} statistics: is no list. Write statistics = [{{ measure = "mean", of = "x", low = 0 }}].'
        )
    made = dict(given)
    made.pop("as_data", None)
    made["columns"] = columns
    made["statistics"] = tuple(
        _statistic(one, f"{here} statistics, entry {place},") for place, one in enumerate(statistics, 1)
    )
    if "key" in made:
        made["key"] = tuple(_list(made["key"], f"{here} key:"))
    return _make(Terms, made, here)


def _column(given: Any, here: str) -> Column:
    _need_table(given, here)
    _only(given, [field.name for field in fields(Column)], here)
    made = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    if "kind" not in made:
        raise AppError(f'{here} kind: is missing. Write kind = "number" or another of {", ".join(KINDS)}.')

    return _make(Column, made, here)


def _statistic(given: Any, here: str) -> Statistic:
    _need_table(given, here)
    _only(given, [field.name for field in fields(Statistic)], here)
    if "measure" not in given:
        raise AppError(f'{here} measure: is missing. Write measure = "mean" or the like.')
    made = _make(Statistic, given, here)
    if ":" in made.measure:
        try:
            function_of(made.measure)
        except AppError as problem:
            raise AppError(f"{here} {problem}") from problem
    return made


def _make(kind: type[Made], given: Mapping[str, Any], here: str) -> Made:
    """Make the value; what it refuses is told with its place."""
    try:
        return kind(**given)
    except AppError as problem:
        raise AppError(f"{here} {problem}") from problem


def _need_table(given: Any, here: str) -> None:
    if not isinstance(given, dict):
        raise AppError(f"{here} is {given!r}, and should be a table of keys.")


def _list(given: Any, here: str) -> Sequence[str]:
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise AppError(f"{here} {given!r} is not a list of columns.")
    return given


def _only(given: Mapping[str, Any], known: Sequence[str], here: str) -> None:
    for name in given:
        if name not in known:
            raise AppError(f"{here} {name}: there is no such key.{_near(name, known)}")


def _near(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {near[0]!r}?" if near else f" There is {', '.join(list(known)[:12])}."
