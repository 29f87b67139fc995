"""A worker process: it loads the service, says what it is, and answers until the front process is gone."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.answering.bundle import load_bundle
from mlwild.answering.children import end_with
from mlwild.answering.service import Answered, AppService, service_of
from mlwild.answering.tables import load_tables
from mlwild.answering.telling import tell, to_operator
from mlwild.errors import MlwildError, StoreError
from mlwild.serve.messages import LOADED, MADE, READ, TABLES, Box, packed, slate
from mlwild.triangle.store import Store

#: Seconds, and as many for a thousand rows, that finding rows whose features cannot be made may take beyond the first
#: calls: a part of the deadlines that servers have.
HASTE = 0.1


def main() -> None:
    """
    Answer what comes through the socket whose number is named, until it is closed.

    The first messages say that all is loaded, then which service it is (or why there is none), then answers.
    """
    config = json.loads(sys.argv[1])
    end_with(config["front"])
    line, wrote = socket.socket(fileno=config["line"]), slate(config["slate"])
    os.close(config["slate"])
    to_operator()
    try:
        service, told = _loaded(config, line)
    except (Exception, SystemExit) as problem:  # noqa: BLE001  the user's file may raise anything; the front says it
        line.sendall(
            packed({"why": _sentence(problem), "ours": isinstance(problem, MlwildError), "wrong": _wrong(problem)})
        )
        return
    gc.collect()
    gc.freeze()
    with contextlib.suppress(ConnectionError):  # the front process is gone
        line.sendall(packed(told))
    _serve(line, wrote, service, told, config["root"])


def _loaded(config: Mapping[str, Any], line: socket.socket) -> tuple[AppService, dict[str, Any]]:
    from threadpoolctl import threadpool_limits

    store = Store(Path(config["root"]))
    bundle = load_bundle(store, config["key"], config["digest"])
    tables = config.get("tables")
    service = service_of(store, bundle, None if tables is None else load_tables(store, *tables))
    line.sendall(packed(LOADED))
    service.haste = HASTE
    service.warm()
    if service.watch is not None:
        service.watch.salt = os.urandom(16)  # what it draws, no other worker does
    threadpool_limits(limits=1)  # there is a process for each core: threads would only wait for each other
    return service, bundle.told()


def _wrong(problem: BaseException) -> bool:
    from mlwild.errors import AppError

    return isinstance(problem, AppError)


def _sentence(problem: BaseException) -> str:
    said = " ".join(str(problem).split())[:500]
    return said if isinstance(problem, MlwildError) else f"the app file raised {type(problem).__name__}: {said}"


def _serve(line: socket.socket, wrote: memoryview, service: AppService, told: Mapping[str, Any], root: str) -> None:
    box, names = Box(), [one["name"] for one in told["columns"]["needed"]]
    with contextlib.suppress(ConnectionError):  # the front process is gone
        while data := line.recv(1 << 20):
            for number, stage, columns in box.add(data):
                if number == TABLES:
                    line.sendall(packed((TABLES, None, 0.0, _reload(service, root, *columns[0]))))
                    continue
                # If the process ends in this call, the front knows what it was at.
                wrote[0] = 4 * number + READ
                made = partial(wrote.__setitem__, 0, 4 * number + MADE)
                line.sendall(packed(_answer(service, number, stage, dict(zip(names, columns, strict=True)), made)))


def _reload(service: AppService, root: str, key: str, digest: str) -> str:
    """Answer by other side tables from now on; say why not, if they cannot be loaded."""
    try:
        service.use(load_tables(Store(Path(root)), key, digest))
    except StoreError as problem:
        return str(problem)
    return ""


def _answer(
    service: AppService,
    number: int,
    stage: int,
    rows: Mapping[str, list[Any]],
    made: Callable[[], None] | None = None,
) -> tuple[Any, ...]:
    began = time.perf_counter()
    try:
        said = service.answer(rows, stage, made)
        return number, packable(said, len(next(iter(rows.values())))), time.perf_counter() - began, ""
    except (Exception, SystemExit) as problem:  # noqa: BLE001  the other worker answers, and the front says why
        tell(f"{type(problem).__name__}: {problem}")
        return number, None, time.perf_counter() - began, type(problem).__name__


def packable(said: Answered, n: int) -> tuple[list[Any], ...]:
    """Return answers as plain lists in the order of `FIELDS`: what is not known as None, features as JSON texts."""
    texts = [len(one) for one in (said.status, said.cause, said.stage, said.vintage)]
    if texts != [n] * 4 or len(said.value) != n:
        raise ValueError(f"the service gave other than {n} answers")
    return (
        _plain(said.value),
        _plain(said.low),
        _plain(said.high),
        said.sets,
        said.status,
        said.cause,
        said.stage,
        said.vintage,
        _plain(said.expected),
        said.chance.tolist(),
        [said.age if isfinite(said.age) else None] * n,
        _texts(said.features, n),
    )


def _plain(values: NDArray[np.float64]) -> list[Any]:
    made: list[Any] = values.tolist()
    good = [bool(one.all()) for one in np.isfinite(values)]
    return made if all(good) else [one if known else None for one, known in zip(made, good, strict=True)]


def _texts(features: Mapping[str, list[Any]], n: int) -> list[str]:
    """Return the features of each row as JSON: made here, so that the front process need not."""
    if not features:
        return ["null"] * n
    names, write = list(features), json.JSONEncoder(allow_nan=False, default=str).encode
    return [write(dict(zip(names, row, strict=True))) for row in zip(*features.values(), strict=True)]


if __name__ == "__main__":
    main()
