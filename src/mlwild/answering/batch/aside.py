"""The process that answers the rows of a batch with a deadline."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from mlwild.answering.batch.asked import MADE, Within, answers_of
from mlwild.answering.batch.journal import opened
from mlwild.answering.bundle import load_bundle
from mlwild.answering.children import end_with
from mlwild.answering.telling import refusal, to_operator
from mlwild.errors import MlwildError
from mlwild.triangle.store import Store


def main() -> None:
    """Answer what comes through the socket whose number is named, until it is closed."""
    config = json.loads(sys.argv[1])
    end_with(config["front"])
    line = Connection(config["line"])
    to_operator()
    try:
        store = Store(Path(config["root"]))
        within = answers_of(store, load_bundle(store, config["key"], config["digest"]), config, None)
        assert isinstance(within, Within)
        within.service.warm()
    except (Exception, SystemExit) as problem:  # noqa: BLE001  the user's file may raise anything; the other says it
        line.send(refusal(problem))
        return
    line.send({})
    with contextlib.suppress(EOFError, ConnectionError):  # the other is gone
        while True:
            line.send(_answered(within, line, *line.recv()))


def _answered(
    within: Within, line: Connection, rows: Mapping[str, list[Any]], stage: int, now: float, memory: str | None
) -> tuple[Any, ...]:
    service = within.service
    if memory:
        service.watch = opened(memory, within.bundle.guard)
    service.clock = lambda: now
    try:
        made = service.answer(rows, stage, lambda: line.send(MADE))
    except MlwildError as problem:
        return type(problem).__name__, str(problem)
    return "answered", made, within.memory


if __name__ == "__main__":
    main()
