"""Where runs are kept: an MLflow store, a SQLite file beside the app's own store unless another is named."""

from __future__ import annotations

import logging
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlwild.disk import waiting
from mlwild.errors import StoreError
from mlwild.rehearsal import STORE

#: The variable that names another server, as MLflow itself reads it.
VARIABLE = "MLFLOW_TRACKING_URI"
DATABASE, ARTIFACTS = "mlflow.db", "artifacts"
#: Seconds that a locked database is waited for.
WAIT = 20
#: Which file each address was when this process used it last.
_FILES: dict[str, int] = {}


@dataclass(frozen=True)
class Place:
    """
    Where runs are kept.

    Parameters
    ----------
    store : Path
        The app's own store.
    server : str
        Address of an MLflow server or database; empty for the SQLite file in the store.

    Examples
    --------
    >>> Place(Path(".mlwild"), "").uri.endswith(".mlwild/mlflow.db")
    True
    """

    store: Path
    server: str

    @property
    def uri(self) -> str:
        """What MLflow calls a tracking URI."""
        return self.server or f"sqlite:///{self.database}"

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.store.absolute() / DATABASE

    @property
    def files(self) -> Path | None:
        """Folder of what runs leave, where it is ours; None where a server keeps it."""
        return None if self.server else self.store.absolute() / ARTIFACTS


def place_of(store: str | Path = STORE) -> Place:
    """Return where runs are kept: what the variable ``MLFLOW_TRACKING_URI`` names, or the store itself."""
    return Place(Path(store), os.environ.get(VARIABLE, ""))


@contextmanager
def client_of(place: Place) -> Iterator[Any]:
    """
    Give an MLflow client, without a word on the terminal or to the network.

    Raises
    ------
    StoreError
        If the database or the server cannot be reached, or refuses.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    # A server that is away is said at once, not after minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    import mlflow
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    for name in ("mlflow", "alembic", "urllib3"):  # the import sets its own
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        if not place.server:
            _made(place)
            _the_same(place)
        yield mlflow.MlflowClient(tracking_uri=place.uri, registry_uri=place.uri)
    except (MlflowException, SQLAlchemyError, OSError, sqlite3.Error) as problem:
        if isinstance(problem, StoreError):
            raise
        said = re.sub("//[^/@ ]*@", "//", " ".join(str(problem).split()))[:200]
        ill = not place.server and ("malformed" in said or "not a database" in said)
        todo = "Restore it from a copy, or move it away: a new one is begun" if ill else "Free or start it"
        raise StoreError(
            f"versions: the record of runs at {_hidden(place)} cannot be reached or written: {said}. {todo}, and run "
            f"the same command again, or name another with {VARIABLE}."
        ) from problem


def _made(place: Place) -> None:
    """Make the database once, whole or not at all; one that is damaged is told before MLflow tries and tries."""
    if place.database.exists():
        with closing(sqlite3.connect(place.database, timeout=WAIT)) as base:
            base.execute("select 1 from sqlite_master limit 1").fetchone()
        return
    from mlflow import MlflowClient

    with waiting(place.store.absolute() / "mlflow.lock"):
        if place.database.exists():
            return
        # MLflow knows databases by their address: each try has its own.
        part = place.database.with_name(f".part-{os.getpid()}-{DATABASE}")
        part.unlink(missing_ok=True)
        try:
            MlflowClient(tracking_uri=f"sqlite:///{part}").search_experiments()
            part.replace(place.database)
        finally:
            part.unlink(missing_ok=True)


def _the_same(place: Place) -> None:
    """Close what MLflow keeps open of a file that was deleted or restored since: it would write to what is gone."""
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as Registry
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as Tracking

    number = place.database.stat().st_ino
    if _FILES.setdefault(place.uri, number) != number:
        _FILES[place.uri] = number
        for kind in (Registry, Tracking):
            engine = kind._engine_map.get(place.uri)  # noqa: SLF001  there is no other way to reach it
            if engine is not None:
                engine.dispose()


def _hidden(place: Place) -> str:
    """Return an address without what may be a password."""
    if not place.server:
        return str(place.database)
    scheme, found, rest = place.server.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if found else place.server
