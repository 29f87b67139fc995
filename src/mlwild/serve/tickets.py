"""Rows that wait for their answers, and the answers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlwild.answering.service import FIELDS

Lists = Sequence[list[Any]]


@dataclass(frozen=True, eq=False)
class Reply:
    """
    The answers to some rows, as plain lists.

    Parameters
    ----------
    lists : dict of str to list
        Of one entry a row: those of `mlwild.answering.service.FIELDS`; features as JSON texts.
    seconds : float
        That the worker took.
    """

    lists: dict[str, list[Any]]
    seconds: float = 0.0

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.lists["status"])

    def __getitem__(self, name: str) -> list[Any]:
        """Return one of the lists."""
        return self.lists[name]

    def part(self, begin: int, end: int) -> Reply:
        """Return the answers to some of the rows."""
        return Reply({name: one[begin:end] for name, one in self.lists.items()}, self.seconds)

    def picked(self, places: Sequence[int]) -> Reply:
        """Return the answers to scattered rows."""
        return Reply({name: [one[place] for place in places] for name, one in self.lists.items()}, self.seconds)

    def because(self, cause: str) -> Reply:
        """Return the same with a cause where none is named."""
        return Reply(self.lists | {"cause": [one or cause for one in self["cause"]]}, self.seconds)


def reply_of(lists: Lists, seconds: float) -> Reply:
    """Return a reply of the lists that a worker gives."""
    return Reply(dict(zip(FIELDS, lists, strict=True)), seconds)


def joined(replies: Sequence[Reply]) -> Reply:
    """Return replies one after the other."""
    if len(replies) == 1:
        return replies[0]
    lists = {name: [cell for one in replies for cell in one[name]] for name in FIELDS}
    return Reply(lists, max(one.seconds for one in replies))


def placed(parts: Sequence[tuple[Sequence[int], Reply]], n: int) -> Reply:
    """Return replies to scattered rows in the order of the rows."""
    lists: dict[str, list[Any]] = {name: [None] * n for name in FIELDS}
    for rows, reply in parts:
        for name, made in lists.items():
            for row, cell in zip(rows, reply[name], strict=True):
                made[row] = cell
    return Reply(lists, max(reply.seconds for _, reply in parts))


def constant(told: Mapping[str, Any], n: int, cause: str) -> Reply:
    """Return what the front process answers by itself: what loses least where nothing is known of a row."""
    said = {
        "value": told["constant"],
        "low": None,
        "high": None,
        "likely": None,
        "status": "fallback",
        "cause": cause,
        "stage": "constant",
        "vintage": told["vintage"],
        "expected": told["loss"],
        "chance": 1.0,
        "age": None,
        "features": "null",
    }
    return Reply({name: [said[name]] * n for name in FIELDS})


@dataclass(eq=False)
class Ticket:
    """
    Rows that wait.

    Parameters
    ----------
    columns : lists
        Of the rows, in the order of the app's columns.
    n : int
    asked : float
        When, by the loop's clock.
    within : float
        Seconds that an answer may take.
    future : Future of Reply
    hedged : bool
        Whether the second worker was given it too.
    alone : bool
        Whether it is asked by itself, since a worker died that was at it.
    spare : Reply, optional
        At hand for the deadline.
    """

    columns: Lists
    n: int
    asked: float
    within: float
    future: asyncio.Future[Reply]
    hedged: bool = False
    alone: bool = False
    spare: Reply | None = None
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)

    @property
    def done(self) -> bool:
        """Whether it is answered, or nobody waits any more."""
        return self.future.done()

    def settle(self, reply: Reply) -> None:
        """Answer it, unless it was."""
        if not self.future.done():
            self.future.set_result(reply)
            if self.timer is not None:
                self.timer.cancel()


def taken(waiting: deque[Ticket], rows: int, risky: Collection[Ticket] = ()) -> list[Ticket]:
    """Take so many rows of those that wait: none that are answered, asked alone, or risky, which go on waiting."""
    batch, left = [], []
    while waiting and rows > 0:
        ticket = waiting.popleft()
        if ticket in risky:
            left.append(ticket)
        elif not (ticket.done or ticket.alone):
            batch.append(ticket)
            rows -= ticket.n
    waiting.extendleft(reversed(left))
    return batch
