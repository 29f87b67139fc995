"""Runs are read: ten thousand in one query, one with all that it left."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from mlwild.errors import AppError, StoreError
from mlwild.versions.place import Place, client_of, place_of
from mlwild.versions.recording import TAG
from mlwild.versions.run import Run

#: Runs that a server gives at once.
PAGE = 1_000
_STATUS = {"RUNNING": "running", "FINISHED": "finished", "SCHEDULED": "running"}
# MLflow's own search loads every metric, parameter and tag of every run: half a minute for ten thousand.
_QUERY = """
select runs.run_uuid, runs.status, tags.value from runs join tags on tags.run_uuid = runs.run_uuid and tags.key = ?
where runs.lifecycle_stage = 'active' order by runs.start_time desc, runs.run_uuid
"""


def runs(store: str | Path = ".mlwild", *, app: str | None = None, kind: str | None = None) -> list[Run]:
    """
    Return the runs on record, newest first.

    Parameters
    ----------
    store : str or Path
    app, kind : str, optional
        Only those of one app, or of one kind.

    Returns
    -------
    list of Run
        Empty where nothing was recorded yet.

    Raises
    ------
    StoreError
        If the record cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> from mlwild.versions import Made, record
    >>> folder = tempfile.mkdtemp()
    >>> runs(folder)
    []
    >>> made = record("trial", "comparison", Made({"n": 30}), store=folder)
    >>> [(run.app, dict(run.metrics)) for run in runs(folder, kind="comparison")]
    [('trial', {'n': 30.0})]
    """
    place = place_of(store)
    found = _rows(place) if not place.server else _asked(place)
    made = [_run(*row) for row in found]
    return [run for run in made if (app is None or run.app == app) and (kind is None or run.kind == kind)]


def _rows(place: Place) -> list[tuple[str, str, str]]:
    if not place.database.exists():
        return []
    try:
        with closing(sqlite3.connect(f"{place.database.as_uri()}?mode=ro", uri=True, timeout=20)) as base:
            return base.execute(_QUERY, (TAG,)).fetchall()
    except sqlite3.OperationalError as problem:
        if "no such table" in str(problem):  # being made at the moment
            return []
        raise StoreError(f"versions: {place.database} cannot be read: {problem}.") from problem
    except sqlite3.DatabaseError as problem:
        raise StoreError(
            f"versions: {place.database} is no sound database: {problem}. Restore it from a copy."
        ) from problem


def alias_in(place: Place, app: str, alias: str) -> int | None:
    """Return the version that an alias points at in the SQLite file, without MLflow; None where there is none."""
    if not place.database.exists():
        return None
    asked = "select version from registered_model_aliases where name = ? and alias = ?"
    with closing(sqlite3.connect(f"{place.database.as_uri()}?mode=ro", uri=True, timeout=20)) as base:
        found = base.execute(asked, (app, alias)).fetchone()
    return None if found is None else int(found[0])


def _asked(place: Place) -> Iterator[tuple[str, str, str]]:
    """Ask a server, page by page."""
    with client_of(place) as client:
        experiments = [one.experiment_id for one in client.search_experiments() if "/" in one.name]
        token = None
        while experiments:
            page = client.search_runs(
                experiments, f"tags.`{TAG}` != ''", max_results=PAGE, page_token=token, order_by=["start_time DESC"]
            )
            yield from ((run.info.run_id, run.info.status, run.data.tags[TAG]) for run in page)
            token = page.token
            if not token:
                return


def _run(number: str, status: str, packed: str) -> Run:
    body: dict[str, Any] = json.loads(packed)
    return Run(**(body | {"id": number, "status": _STATUS.get(status, "failed")}))


def run_of(number: str, store: str | Path = ".mlwild") -> Run:
    """
    Return one run.

    Parameters
    ----------
    number : str
        Its id, or the beginning of it.
    store : str or Path

    Raises
    ------
    AppError
        If there is none, or several begin so.
    """
    found = [run for run in runs(store) if run.id.startswith(number)] if number else []
    if len(found) == 1:
        return found[0]
    if not found:
        raise AppError(f"run: there is no run {number!r}. mlwild history lists them.")
    some = ", ".join(run.id[:8] for run in found[:3])
    raise AppError(f"run: {len(found)} runs begin with {number!r}: {some} ... Give more letters.")


def left(run: Run, store: str | Path = ".mlwild") -> dict[str, bytes]:
    """
    Return the files that a run left, by name.

    Raises
    ------
    StoreError
        If they are gone.
    """
    place = place_of(store)
    if place.files is not None:
        folder = place.files / run.space / run.app / run.id / "artifacts"
        if not folder.is_dir():
            raise StoreError(f"versions: what run {run.id[:8]} left is gone: there is no folder {folder}.")
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): path.read_bytes() for path in paths}
    import tempfile

    with tempfile.TemporaryDirectory() as scratch, client_of(place) as client:
        client.download_artifacts(run.id, "", scratch)
        paths = sorted(path for path in Path(scratch).rglob("*") if path.is_file())
        return {str(path.relative_to(scratch)): path.read_bytes() for path in paths}
