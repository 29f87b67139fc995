"""A run goes on record: one entry of MLflow, with what it rests on and what it left."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mlwild.app import App
from mlwild.clock import now_seconds, now_text
from mlwild.digest import version
from mlwild.disk import write_atomically
from mlwild.errors import StoreError
from mlwild.versions.metrics import metrics_of
from mlwild.versions.place import Place, client_of, place_of
from mlwild.versions.provenance import code_at, environment, packages
from mlwild.versions.run import Run
from mlwild.warehouse import Stored

#: The whole of a run as JSON, so that ten thousand are read in one query; a tag of MLflow holds so many letters.
TAG, LONGEST = "mlwild.run", 7_500


@dataclass(frozen=True)
class Made:
    """
    What a run left.

    Parameters
    ----------
    sheet : mapping
        The answer sheet or report, plain data.
    pages : mapping of str to str
        Name of a file to its text, such as ``card.html``.
    params : mapping of str to str
        Settings.
    against : str
        What it was compared with.
    versions : mapping of str to int, optional
        Of the stored tables that were read; default those that are there now.
    """

    sheet: Mapping[str, Any]
    pages: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    against: str = ""
    versions: Mapping[str, int] | None = None


def record(app: App | str, kind: str, made: Made, *, began: float | None = None, store: str | Path = ".mlwild") -> Run:
    """
    Put what a person tried on record; it cannot touch what is in production.

    Parameters
    ----------
    app : App or str
        A name for what has no app, such as a table of experiments.
    kind : str
        ``rehearsal``, ``gate``, ``stress`` or ``comparison``.
    made : Made
    began : float, optional
        Seconds since 1970 when it began; default now.
    store : str or Path
        A relative one lies beside the app.

    Returns
    -------
    Run

    Raises
    ------
    StoreError
        If it cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> run = record("trial", "comparison", Made({"best": "a"}, params={"metric": "auc"}), store=folder)
    >>> run.space, run.status, dict(run.params)
    ('user', 'finished', {'metric': 'auc'})
    """
    return keep(app, kind, "user", made, began=began, store=store)


def keep(
    app: App | str,
    kind: str,
    space: str,
    made: Made,
    *,
    began: float | None = None,
    store: str | Path = ".mlwild",
) -> Run:
    """Put a run on record in a space; `record` is for what people try, the live tick has its own."""
    ended = now_seconds()
    place = place_of(store)
    name = app if isinstance(app, str) else app.name
    root = Path.cwd() if isinstance(app, str) else app.root.absolute()
    code, listed = code_at(root), packages()
    file = None if isinstance(app, str) else app.file
    params = {key: str(value) for key, value in made.params.items()}
    if file is not None:
        params |= {"file": _beside(file, root)}
    run = Run(
        id="",
        app=name,
        kind=kind,
        space=space,
        at=now_text(),
        seconds=None if began is None else round(ended - began, 3),
        status="finished",
        params=params,
        metrics=metrics_of(kind, made.sheet),
        commit=code.commit,
        dirty=code.dirty,
        data=str(_digest_of_data(made.sheet)),
        versions=dict(made.versions or ({} if isinstance(app, str) else versions_of(app))),
        environment=environment(listed),
        against=made.against,
    )
    files = {"sheet.json": json.dumps(made.sheet, allow_nan=False, ensure_ascii=False), "packages.txt": listed}
    files |= {} if file is None else {"app.py": file.read_text(encoding="utf-8")}
    files |= {"diff.patch": code.diff} if code.diff else {}
    return _written(place, run, files | dict(made.pages), (began if began is not None else ended, ended))


def _beside(file: Path, root: Path) -> str:
    try:
        return str(file.absolute().relative_to(root))
    except ValueError:
        return str(file)


def _digest_of_data(sheet: Mapping[str, Any]) -> Any:
    data = sheet.get("data", "")
    return data.get("digest", "") if isinstance(data, Mapping) else data or ""


def versions_of(app: App) -> dict[str, int]:
    """Return the version of each stored table that an app reads."""
    stored = [one.located(app.root) for one in app.sources if isinstance(one, Stored)]
    return {one.name: one.version or one.table.version for one in stored}


def _written(place: Place, run: Run, files: Mapping[str, str], span: tuple[float, float]) -> Run:
    """Write a run; until its last word is written it counts as running, and a later call finds out that it died."""
    with client_of(place) as client:
        experiment = experiment_of(client, place, f"{run.space}/{run.app}")
        _bury(client, experiment)
        tags = {"mlwild.kind": run.kind, "mlwild.space": run.space, "mlwild.version": version("mlwild")}
        tags |= {"mlwild.process": f"{platform.node()} {os.getpid()}", "mlflow.source.git.commit": run.commit}
        tags |= {"mlflow.runName": f"{run.kind} {run.at[:16]}"}
        started = client.create_run(experiment, start_time=int(span[0] * 1000), tags=tags)
        run = replace(run, id=started.info.run_id)
        _log(client, run)
        leave(client, place, run.id, files)
        client.set_tag(run.id, TAG, _packed(run))
        client.set_terminated(run.id, "FINISHED", int(span[1] * 1000))
    return run


def _log(client: Any, run: Run) -> None:
    from mlflow.entities import Metric, Param

    at = 0
    metrics = [Metric(name, value, at, 0) for name, value in run.metrics.items()]
    said = {"data": run.data, "environment": run.environment, "against": run.against} | dict(run.params)
    said |= {f"version.{name}": str(number) for name, number in run.versions.items()}
    params = [Param(name, value[:500]) for name, value in said.items() if value]
    client.log_batch(run.id, metrics=metrics, params=params)


def _packed(run: Run) -> str:
    text = json.dumps(run.as_dict(), allow_nan=False, ensure_ascii=False)
    if len(text) > LONGEST:
        raise StoreError(
            f"versions: the settings of this run take {len(text):,} letters, and {LONGEST:,} can be kept. Shorten the "
            "names of models and rules."
        )
    return text


def experiment_of(client: Any, place: Place, name: str) -> str:
    """Return the number of an experiment, made if it is not there."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        where = None if place.files is None else (place.files / name).as_uri()
        try:
            return str(client.create_experiment(name, artifact_location=where))
        except MlflowException:  # another process was quicker
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    return str(found.experiment_id)


def leave(client: Any, place: Place, run: str, files: Mapping[str, str | bytes]) -> None:
    """Leave files with a run."""
    folder = _folder(client, place, run)
    for name, held in files.items():
        data = held.encode() if isinstance(held, str) else held
        if folder is not None:
            write_atomically(folder / name, lambda file, data=data: file.write(data))  # type: ignore[misc]
        else:
            _send(client, run, name, data)


def _folder(client: Any, place: Place, run: str) -> Path | None:
    if place.files is None:
        return None
    found = client.get_run(run).info
    experiment = client.get_experiment(found.experiment_id).name
    return place.files / str(experiment) / run / "artifacts"


def _send(client: Any, run: str, name: str, data: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / Path(name).name
        path.write_bytes(data)
        client.log_artifact(run, str(path), str(Path(name).parent) if "/" in name else None)


def _bury(client: Any, experiment: str) -> None:
    """Mark runs of this machine as failed whose process is gone: they would run for ever."""
    for run in client.search_runs([experiment], "attributes.status = 'RUNNING'"):
        node, _, process = run.data.tags.get("mlwild.process", "").rpartition(" ")
        if node == platform.node() and process.isdigit() and not _alive(int(process)):
            client.set_terminated(run.info.run_id, "FAILED")


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
