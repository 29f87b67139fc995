"""Requests that come again: they get the same answer, and are logged once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

from mlwild.serve.requests import RefusedError

#: Requests that are remembered, and bytes of their answers.
MOST, MOST_BYTES = 100_000, 64 << 20


@dataclass(frozen=True, eq=False)
class Known:
    """
    A request that was answered.

    Parameters
    ----------
    asked : str
        Digest of what was asked.
    body, vintage : str
        The answer, and what made it.
    """

    asked: str
    body: str
    vintage: str


class Ids:
    """The newest requests that clients named, as far as memory goes."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._running: dict[str, tuple[str, asyncio.Future[Known | None]]] = {}
        self._bytes = 0

    def __len__(self) -> int:
        """Return how many are remembered."""
        return len(self._known)

    async def begin(self, name: str, asked: str) -> Known | None:
        """
        Return the answer of a request that came before; None if it is new: then `end` must follow.

        Raises
        ------
        RefusedError
            If another request had this id.
        """
        while True:
            known = self._known.get(name)
            if known is not None:
                _same(known.asked, asked)
                return known
            running = self._running.get(name)
            if running is None:
                self._running[name] = asked, asyncio.get_running_loop().create_future()
                return None
            _same(running[0], asked)
            found = await asyncio.shield(running[1])
            if found is not None:
                return found

    def end(self, name: str, known: Known | None) -> None:
        """Take the answer of a request that was begun; None if it got none."""
        _, future = self._running.pop(name)
        if known is not None:
            self.keep(name, known)
        if not future.done():
            future.set_result(known)

    def keep(self, name: str, known: Known) -> None:
        """Remember an answer, and forget the oldest."""
        before = self._known.pop(name, None)
        self._bytes += len(known.body) - (0 if before is None else len(before.body))
        self._known[name] = known
        while self._bytes > MOST_BYTES or len(self._known) > MOST:
            _, old = self._known.popitem(last=False)
            self._bytes -= len(old.body)


def _same(known: str, asked: str) -> None:
    if known != asked:
        raise RefusedError(409, "This request id was used for another request. Give each request its own.")
