"""A run again: the same numbers, or what differs and why that may be."""

from __future__ import annotations

import json
import pickle
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild import frames, models
from mlwild.app import App
from mlwild.compute import Jobs
from mlwild.digest import bytes_digest
from mlwild.errors import AppError, StoreError
from mlwild.loading import load_app
from mlwild.operating.going_back import at_desk
from mlwild.operating.lived import vintage_of
from mlwild.rehearsal import rehearse
from mlwild.triangle import Survey, growing
from mlwild.triangle.store import Store
from mlwild.triangle.survey import lay_survey
from mlwild.versions.provenance import code_at, environment, packages
from mlwild.versions.reading import left, run_of
from mlwild.versions.recording import versions_of
from mlwild.versions.run import Run
from mlwild.warehouse import Stored

#: Rows on which two models' answers are compared.
ROWS = 1_000
#: Parts of a sheet that tell of the machine, or were asked for beside the rehearsal.
BESIDE = ("seconds", "fits", "gate", "worst_case", "mended")


@dataclass(frozen=True)
class Difference:
    """
    A value that is other than it was.

    Parameters
    ----------
    where : str
        Its place in the sheet.
    was, now : object
    size : float or None
        Greatest absolute difference, of numbers.
    """

    where: str
    was: Any
    now: Any
    size: float | None


@dataclass(frozen=True)
class Reproduced:
    """
    What a run gave the second time.

    Parameters
    ----------
    run : Run
    same : bool
        Whether every value is the same, bit by bit.
    compared : int
        Values that were compared.
    differences : tuple of Difference
    changed : tuple of str
        What the run rested on that is other now: code, packages, data.
    """

    run: Run
    same: bool
    compared: int
    differences: tuple[Difference, ...]
    changed: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def reproduce(
    number: str,
    *,
    store: str | Path = ".mlwild",
    jobs: Jobs = None,
    progress: Callable[[int, int, int], None] | None = None,
) -> Reproduced:
    """
    Do again what a run did, with its own app file on the versions of stored tables that it read.

    A rehearsal is made again as a whole, a fit of the live tick alone, in a store of its own: nothing is taken from
    the memo.

    Parameters
    ----------
    number : str
        The run's id, or the beginning of it.
    store : str or Path
        Where it is on record.
    jobs, progress : optional
        As for `mlwild.rehearse`.

    Returns
    -------
    Reproduced

    Raises
    ------
    AppError
        If the run is neither, or its app file has no place any more.
    StoreError
        If what it left is gone.
    """
    run = run_of(number, store)
    if run.kind not in ("rehearsal", "fit"):
        raise AppError(
            f"run: {run.id[:8]} is a {run.kind}: it rests on a rehearsal, and that can be run again. mlwild history "
            "lists them."
        )
    files = left(run, store)
    if "app.py" not in files or "file" not in run.params:
        raise AppError(f"run: {run.id[:8]} left no app file: it was recorded from a notebook. Run it there again.")
    home = Path(store).absolute().parent
    app, changed = _app(run, files, home)
    changed += _around(run, files, home)
    before = json.loads(files["sheet.json"])
    with tempfile.TemporaryDirectory(prefix="mlwild-") as scratch:
        if run.kind == "fit":
            again = _fitted(app, before, files, store, Path(scratch))
        else:
            splits = run.params.get("splits", "free")
            again = rehearse(app, splits=splits, store=Path(scratch), jobs=jobs, progress=progress).sheet
    again = json.loads(json.dumps(again, allow_nan=False))
    if run.kind == "rehearsal" and again["data"]["digest"] != before["data"]["digest"]:
        said = "" if run.versions else ", and no stored table keeps what they were: see mlwild data"
        changed.append(f"the rows are others{said}")
    count, found = compared(_kept(before), _kept(again))
    return Reproduced(run, not found, count, tuple(found), tuple(changed))


def _fitted(
    app: App, before: Mapping[str, Any], files: Mapping[str, bytes], store: str | Path, scratch: Path
) -> dict[str, Any]:
    """Fit again what went live, on what was known then; where its bytes are others, its answers are compared."""
    vintage, cutoff = vintage_of(before["vintage"]), int(before["cutoff"])
    # Another model of the app ran in shadow.
    name = str(before.get("name", app.live))
    with at_desk(app, store=Path(store).absolute(), dry=True) as desk:
        then = replace(desk.with_log(cutoff), seeds=app.seeds[:1])
        read = lay_survey(then, *desk.known(cutoff), desk.edges[: cutoff + 1])
    triangle = growing(read, Store(scratch), name, {})
    if not triangle.ensure(vintage):
        raise StoreError(f"run: vintage {vintage} could not be made again: {triangle.failed[vintage].why}.")
    key = triangle.recipe.fit_key(vintage)
    noted = triangle.store.get(key, "model") or {}
    made = dict(before) | {"key": key, "digest": noted.get("digest"), "rows": noted.get("rows")}
    if made["digest"] == before["digest"] or "model.pickle" not in files:
        return made
    if bytes_digest(files["model.pickle"]) != before["digest"]:
        raise StoreError("run: the model on record does not agree with its digest; it is not loaded.")
    again = triangle.store.payload(key, "model").read_bytes()
    old, new = (_answers(pickle.loads(one), read) for one in (files["model.pickle"], again))
    made["greatest difference of answers"] = float(np.max(np.abs(new - old), initial=0.0))
    return made


def _answers(model: Any, read: Survey) -> NDArray[np.float32]:
    """Return a model's answers to the newest rows."""
    rows = frames.from_arrow(read.features.slice(max(len(read.time) - ROWS, 0)), read.kind)
    return models.predict(model, rows, read.ask, read.classes)


def _kept(sheet: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in sheet.items() if name not in BESIDE}


def _app(run: Run, files: Mapping[str, bytes], home: Path) -> tuple[App, list[str]]:
    """Load the app file as it was, where it was, on the table versions that were read."""
    path = home / run.params["file"]
    if not path.parent.is_dir():
        raise StoreError(f"run: there is no folder {path.parent} any more, beside which the app file lay.")
    text, changed = files["app.py"], list[str]()
    if path.exists() and path.read_bytes() == text:
        app = load_app(path)
    else:
        changed.append(f"{path.name} is other than it was: the one on record is run")
        kept = path.with_name(f"{path.stem}_{run.id[:8]}.py")
        if kept.exists():
            raise StoreError(f"run: {kept} is there already, and would be written over. Move it away.")
        kept.write_bytes(text)
        try:
            app = load_app(kept)
        finally:
            kept.unlink()
    return _pinned(app, run.versions), changed


def _pinned(app: App, versions: Mapping[str, int]) -> App:
    """Return an app whose stored tables are read as they were."""

    def at(source: Any) -> Any:
        return replace(source, version=versions[source.name]) if isinstance(source, Stored) else source

    missing = [name for name in versions_of(app) if name not in versions]
    if missing:
        raise AppError(f"run: it read no stored table {missing[0]!r}, and the app does now.")
    tables = {name: replace(one, data=at(one.data)) for name, one in app.tables.items()}
    return replace(app, data=at(app.data), labels=at(app.labels), tables=tables)


def _around(run: Run, files: Mapping[str, bytes], home: Path) -> list[str]:
    """Say what around a run is other than it was."""
    said, listed = list[str](), packages()
    code = code_at(home)
    if code.commit != run.commit:
        said.append(f"the code is at commit {code.commit[:8] or 'none'}, and was at {run.commit[:8] or 'none'}")
    elif code.diff.encode() != files.get("diff.patch", b""):
        said.append(f"what differs from commit {run.commit[:8]} is other than it was (see diff.patch)")
    if environment(listed) != run.environment:
        before, now = (set(text.splitlines()) for text in (files["packages.txt"].decode(), listed))
        some = sorted(now - before, key=str.lower)[:5] or sorted(before - now, key=str.lower)[:5]
        said.append(f"packages are others, such as {', '.join(some)}")
    return said


def compared(before: Any, now: Any) -> tuple[int, list[Difference]]:
    """
    Return how many values were compared, and those that differ in any bit.

    Examples
    --------
    >>> compared({"a": [1.0, 2.0], "b": "x"}, {"a": [1.0, 2.5], "b": "x"})
    (3, [Difference(where='a[1]', was=2.0, now=2.5, size=0.5)])
    """
    pairs = list(_pairs(before, now, ""))
    return len(pairs), [
        Difference(where, was, is_, _size(was, is_))
        for where, was, is_ in pairs
        if was != is_ or type(was) is not type(is_)
    ]


def _pairs(before: Any, now: Any, where: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys([*before, *now]):
            yield from _pairs(before.get(key), now.get(key), f"{where}.{key}" if where else str(key))
    elif _is_list(before) and _is_list(now) and len(before) == len(now):
        for place, (was, is_) in enumerate(zip(before, now, strict=True)):
            yield from _pairs(was, is_, f"{where}[{place}]")
    else:
        yield where, before, now


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _size(was: Any, now: Any) -> float | None:
    numbers = [isinstance(one, int | float) and not isinstance(one, bool) for one in (was, now)]
    return float(np.abs(float(now) - float(was))) if all(numbers) else None
