"""Requests that come again: they get the same answer, and are logged once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mlwild.serve.requests import RefusedError

#: Requests whose answers are remembered, and bytes of these.
MOST, MOST_BYTES = 100_000, 64 << 20
#: Requests beyond them of which is remembered where their lines are: so many at least, at most twice as many (80 MB).
PLACES = 200_000
#: Head of a refusal that is over soon.
AGAIN = {"Retry-After": "5"}


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
    place : int, optional
        Where its line is in the log; None if it was not logged.
    """

    asked: str
    body: str
    vintage: str
    place: int | None = None


class Ids:
    """
    The newest requests that clients named, as far as memory goes.

    Parameters
    ----------
    read : callable
        Reads back what was answered, given the id and the place of its line; None where it is not there any more.
    """

    def __init__(self, read: Callable[[str, int], Awaitable[Known | None]]) -> None:
        self._read = read
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._running: dict[str, tuple[str, asyncio.Future[Known | None]]] = {}
        self._bytes = 0
        # Of ids their hashes alone, half as large: the line says whose it is. When the new ones are full, the old go.
        self._new: dict[int, int] = {}
        self._old: dict[int, int] = {}

    def __len__(self) -> int:
        """Return how many answers are remembered."""
        return len(self._known)

    async def begin(self, name: str, asked: str, within: float) -> Known | None:
        """
        Return the answer of a request that came before; None if it is new: then `end` must follow.

        Parameters
        ----------
        name : str
        asked : str
            Digest of what is asked.
        within : float
            Seconds to wait for a request of this id that is being answered.

        Raises
        ------
        RefusedError
            If another request had this id, or the same is not answered in time.
        """
        while True:
            known = self._known.get(name)
            if known is not None:
                _same(known.asked, asked)
                return known
            running = self._running.get(name)
            if running is not None:
                _same(running[0], asked)
                await asyncio.wait([running[1]], timeout=within)
                if not running[1].done():
                    raise RefusedError(503, "This request is not answered and logged yet. Come again.", AGAIN)
                known = running[1].result()
                if known is not None:
                    return known
                continue
            place = self._place(name)
            if place is None:
                self._running[name] = asked, asyncio.get_running_loop().create_future()
                return None
            known = await self._read(name, place)
            if known is not None:
                _same(known.asked, asked)
                self.keep(name, known)
                return known
            if self._place(name) == place:  # it is gone, or that of another id with the same hash
                self._new.pop(hash(name), None)
                self._old.pop(hash(name), None)

    def end(self, name: str, known: Known | None) -> None:
        """Take the answer of a request that was begun; None if it got none."""
        _, future = self._running.pop(name)
        if known is not None:
            self.keep(name, known)
        if not future.done():
            future.set_result(known)

    def keep(self, name: str, known: Known) -> None:
        """Remember an answer; of the oldest, where it is in the log."""
        before = self._known.pop(name, None)
        self._bytes += len(known.body) - (0 if before is None else len(before.body))
        self._known[name] = known
        while self._bytes > MOST_BYTES or len(self._known) > MOST:
            old_name, old = self._known.popitem(last=False)
            self._bytes -= len(old.body)
            if old.place is not None:
                self.put(old_name, old.place)

    def put(self, name: str, place: int) -> None:
        """Remember where the line of a request is."""
        if len(self._new) >= PLACES:
            self._new, self._old = {}, self._new
        self._new[hash(name)] = place

    def _place(self, name: str) -> int | None:
        return self._new.get(hash(name), self._old.get(hash(name)))


def _same(known: str, asked: str) -> None:
    if known != asked:
        raise RefusedError(409, "This request id was used for another request. Give each request its own.")
