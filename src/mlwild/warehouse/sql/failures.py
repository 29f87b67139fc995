"""A database that is away, or refuses, in one sentence without its password."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote

from mlwild.errors import AppError, DataError, MlwildError


def shown(url: str) -> str:
    """
    Return an address without user and password.

    Examples
    --------
    >>> shown("postgresql://ada:secret@db:5432/shop?sslmode=require")
    'postgresql://db:5432/shop'
    >>> shown("postgresql://ana:hush/hu#s?h@db/shop")
    'postgresql://db/shop'
    """
    scheme, _, rest = url.partition("://")
    # The last @ ends what may be secret, whatever letters a password has that an address should not have.
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"


@contextmanager
def told(url: str, table: str) -> Iterator[None]:
    """
    Say in a sentence what a database said.

    Raises
    ------
    AppError
        If the packages are not there.
    DataError
        Otherwise.
    """
    try:
        yield
    except MlwildError:
        raise
    except ImportError as problem:
        raise AppError(
            f"data: reading a database takes more packages ({problem.name} is missing): pip install 'mlwild[sql]'."
        ) from problem
    except Exception as problem:
        said = _said(problem, url)
        raise DataError(f"data: {table!r} at {shown(url)} could not be read: {said}") from problem


def _said(problem: Exception, url: str) -> str:
    text = " ".join(str(problem).split())
    secret = url.partition("://")[2].rpartition("@")[0].partition(":")[2]
    for one in {secret, unquote(secret)} - {""}:
        text = text.replace(one, "***")
    text = re.sub(r"password=\S+", "password=***", text)[:240]
    name = type(problem).__name__
    if name in ("OperationalError", "ConnectionTimeout", "InterfaceError"):
        return f"the database is away or refuses ({text}). Start it, or mend the address; the next tick catches up."
    if name == "QueryCanceled":
        return f"it took longer than the database allows ({text}). Ask for fewer columns, or raise statement_timeout."
    if name in ("InsufficientPrivilege", "InvalidPassword"):
        return f"it may not be read ({text}). Grant SELECT to the user."
    if name in ("UndefinedTable", "TableNotFound"):
        return "there is no such table. Name it as table='schema.table'."
    return f"{name}: {text}"
