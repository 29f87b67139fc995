"""A Ray cluster: rows are put once, jobs go out in chunks, and what comes back is kept under its key at once."""

from __future__ import annotations

import os
import platform
import secrets
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import cloudpickle
import numpy as np
from numpy.typing import NDArray

from mlwild import frames
from mlwild.compute import Ray
from mlwild.digest import version
from mlwild.errors import AppError, StoreError
from mlwild.triangle.fitting import Done, Rows
from mlwild.triangle.store import Store

if TYPE_CHECKING:
    from mlwild.triangle.parallel import Work

W = TypeVar("W", bound="Work")

#: Seconds that a chunk is to take, and jobs in it at most; times that a chunk is done again whose worker died.
SPAN, MOST, AGAIN = 1.0, 25, 3
#: Bytes of a started cluster's memory for objects, beyond the rows themselves.
ROOM = 256 * 1024**2
#: Seconds that a cluster is waited for.
PATIENCE = 5.0


@dataclass(frozen=True)
class Shipped(Rows):
    """
    Rows that were sent: arrays of the cluster's shared memory instead of files.

    Parameters
    ----------
    arrays : dict of str to ndarray
    table : pyarrow.Table
        Features.
    """

    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    table: Any = None

    def array(self, name: str) -> NDArray[Any]:
        """Return an array."""
        return self.arrays[name]

    def features(self, rows: slice | NDArray[np.int64]) -> Any:
        """Return the features of some rows in the user's kind of frame."""
        part = (
            self.table.slice(rows.start, rows.stop - rows.start) if isinstance(rows, slice) else self.table.take(rows)
        )
        return frames.from_arrow(part, self.kind)


def ship(rows: Rows) -> dict[str, Any]:
    """Return rows as what a cluster can hold: arrays and a table."""
    import pyarrow as pa

    arrays = {path.stem: np.load(path, allow_pickle=False) for path in sorted(rows.folder.glob("*.npy"))}
    with pa.memory_map(str(rows.folder / "features.arrow")) as source:
        table = pa.ipc.open_file(source).read_all()
    return {"arrays": arrays, "table": table, "kind": rows.kind, "versions": _versions(), "path": list(sys.path)}


def _versions() -> dict[str, str]:
    """Return what a fit's key rests on beside code and rows."""
    return {name: version(name) for name in ("numpy", "sklearn", "mlwild")} | {"python": platform.python_version()}


@contextmanager
def cluster(ray_: Ray, size: int) -> Iterator[Any]:
    """
    Give a connection to a cluster; one that was started for it ends with it.

    Parameters
    ----------
    ray_ : Ray
    size : int
        Bytes of the rows.

    Raises
    ------
    AppError
        If Ray is not installed.
    StoreError
        If the cluster cannot be reached.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    address = ray_.address or os.environ.get("RAY_ADDRESS")
    if address is None and not {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & set(os.environ):
        # It listens on all interfaces, whatever it is told: nobody else must be able to ask it for anything.
        with _with_variables(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32)):
            yield from _connected(ray_, size, address)
        return
    yield from _connected(ray_, size, address)


@contextmanager
def _with_variables(**values: str) -> Iterator[None]:
    """Set variables of this process for a while."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _connected(ray_: Ray, size: int, address: str | None) -> Iterator[Any]:
    try:
        import ray
    except ImportError as problem:
        raise AppError("compute: Ray is not installed: pip install 'mlwild[ray]'.") from problem
    if ray.is_initialized():  # the user's own connection: it is his to end
        yield ray
        return
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
    if address is None:
        quiet |= {"include_dashboard": False, "_node_ip_address": "127.0.0.1", "object_store_memory": ROOM + 2 * size}
        # Its own, even where another runs on this machine.
        quiet |= {"num_cpus": ray_.cpus or os.cpu_count(), "address": "local"}
    else:
        quiet |= {"address": address}
    try:
        _knock(address)
        ray.init(**quiet)
    except Exception as problem:  # whatever Ray raises: it cannot be used
        said = " ".join(str(problem).split())[:240]
        raise StoreError(
            f"compute: the Ray cluster {address or 'of this machine'} cannot be reached or started: {said}. Start it, "
            "or leave out --compute ray."
        ) from problem
    try:
        yield ray
    finally:
        ray.shutdown()


def _knock(address: str | None) -> None:
    """Raise at once if nobody listens: Ray itself tries for minutes."""
    host, _, port = (address or "").rpartition("://")[2].rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE).close()


def on_cluster(
    todo: Sequence[W],
    rows: Rows,
    store: Store,
    ray_: Ray,
    work: Callable[[W, Rows, Store], Done],
    seconds: float | None = None,
) -> Iterator[tuple[str, Done]]:
    """
    Do some work on a Ray cluster.

    Parameters
    ----------
    todo : sequence
    rows : Rows
    store : Store
        Of this machine: only it is written to.
    ray_ : Ray
    work : callable
    seconds : float, optional
        That a job takes, as far as is known.

    Raises
    ------
    AppError, StoreError
        If there is no cluster, or a chunk could not be done by any worker.
    """
    ordered = sorted(todo, key=lambda job: -job.cutoff)
    held = ship(rows)
    size = int(held["table"].nbytes + sum(array.nbytes for array in held["arrays"].values()))
    with cluster(ray_, size) as ray:
        rows_there = ray.put(held)
        # By value: no node needs the app's file.
        work_there = ray.put(cloudpickle.dumps(work))
        chunk = ray.remote(_chunk).options(max_retries=AGAIN, num_cpus=1, name="mlwild fits")

        def sent(part: Sequence[W]) -> Any:
            packed = [(cloudpickle.dumps(job), _needed(job, store)) for job in part]
            return chunk.remote(packed, work_there, rows_there)

        waiting = {sent(part): part for part in _chunks(ordered, ray_.chunk or _fitting(seconds, len(ordered), ray))}
        deadly: list[int] = []
        while waiting:
            (ready, *_), _ = ray.wait(list(waiting))
            part = waiting.pop(ready)
            found = _got(ray, ready)
            if found is None and len(part) > 1:  # one of them ends its worker: alone, the others do not
                waiting |= {sent([job]): [job] for job in part}
            elif found is None:
                deadly.append(part[0].cutoff)
            for key, done, entries in found or ():
                for entry in entries:
                    store.take(*entry)
                yield key, done
        if deadly:
            raise StoreError(
                f"compute: {len(deadly)} fits ended their workers {AGAIN + 1} times, the first of them the one that "
                f"learns until instant {min(deadly)}: they ask for more memory than a node has, or their code ends the "
                "process. What was finished is kept."
            )


def _got(ray: Any, reference: Any) -> Any:
    """Return what a chunk gave; None if it ended its workers."""
    said = ray.exceptions
    try:
        return ray.get(reference)
    except (said.WorkerCrashedError, said.OutOfMemoryError, said.NodeDiedError):
        return None
    except said.RayTaskError as problem:
        cause = problem.cause if problem.cause is not None else problem
        raise cause from problem
    except said.RayError as problem:
        why = " ".join(str(problem).split())[:200]
        raise StoreError(
            f"compute: the cluster lost what was made ({type(problem).__name__}: {why}). What was finished is kept; "
            "run the same command again."
        ) from problem


def _fitting(seconds: float | None, n: int, ray: Any) -> int:
    """Return how many jobs fill a chunk: a second's worth, and some chunks for every processor."""
    by_time = MOST if not seconds else max(int(SPAN / seconds), 1)
    cpus = max(int(ray.cluster_resources().get("CPU", 1)), 1)
    return max(min(by_time, MOST, -(-n // (3 * cpus))), 1)


def _chunks(jobs: Sequence[W], size: int) -> Iterator[Sequence[W]]:
    for first in range(0, len(jobs), size):
        yield jobs[first : first + size]


def _needed(job: Any, store: Store) -> list[tuple[str, str, bytes, bytes]]:
    """Return the entries that a job starts from: the model that it updates, or that is kept; earlier predictions."""
    wanted = [(getattr(job, "fit_key", None), "model"), (getattr(job, "parent_key", None), "model")]
    so_far = getattr(job, "so_far", None)
    wanted += [(so_far[0], "arrow")] if so_far is not None else []
    return [store.entry(key, kind) for key, kind in wanted if key and store.get(key, kind) is not None]


def _chunk(
    jobs: Sequence[tuple[bytes, Sequence[tuple[str, str, bytes, bytes]]]], work_bytes: bytes, held: Mapping[str, Any]
) -> list[tuple[str, Done, list[tuple[str, str, bytes, bytes]]]]:
    """Do some jobs on a node, in a store of its own, and return what they left."""
    if held["versions"] != _versions():
        raise StoreError(
            f"compute: a node of the cluster has other packages ({_versions()}) than this machine "
            f"({held['versions']}): its fits would be kept under the wrong key. Make them the same."
        )
    # Modules beside the app, where the node shares the disk.
    sys.path += [one for one in held["path"] if one not in sys.path and Path(one).is_dir()]
    work = cloudpickle.loads(work_bytes)
    rows = Shipped(Path(), held["kind"], arrays=held["arrays"], table=held["table"])
    made = []
    for packed, needed in jobs:
        job = cloudpickle.loads(packed)
        with tempfile.TemporaryDirectory(prefix="mlwild-") as folder:
            store = Store(Path(folder))
            for entry in needed:
                store.take(*entry)
            done = work(job, rows, store)
            given = {(key, kind) for key, kind, *_ in needed}
            made.append((job.prediction_key, done, [store.entry(*one) for one in store.entries() if one not in given]))
    return made
