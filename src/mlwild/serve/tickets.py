"""Rows that wait for their answers, and the answers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

Lists = Sequence[list[Any]]


@dataclass(frozen=True, eq=False)
class Reply:
    """
    The answers to some rows, as plain lists.

    Parameters
    ----------
    value, low, high, status, cause, stage, vintage, age, features : list
        Of one entry a row; features as JSON texts.
    seconds : float
        That the worker took.
    """

    value: list[Any]
    low: list[float]
    high: list[float]
    status: list[str]
    cause: list[str]
    stage: list[str]
    vintage: list[str]
    age: list[float | None]
    features: list[str]
    seconds: float = 0.0

    @property
    def lists(self) -> Lists:
        """The lists, in the order in which workers give them."""
        return (
            self.value,
            self.low,
            self.high,
            self.status,
            self.cause,
            self.stage,
            self.vintage,
            self.age,
            self.features,
        )

    def part(self, begin: int, end: int) -> Reply:
        """Return the answers to some of the rows."""
        return reply_of([one[begin:end] for one in self.lists], self.seconds)

    def because(self, cause: str) -> Reply:
        """Return the same with a cause where none is named."""
        return replace(self, cause=[one or cause for one in self.cause])


def reply_of(lists: Lists, seconds: float) -> Reply:
    """Return a reply of the lists that a worker gives."""
    value, low, high, status, cause, stage, vintage, age, features = lists
    return Reply(value, low, high, status, cause, stage, vintage, age, features, seconds)


def joined(replies: Sequence[Reply]) -> Reply:
    """Return replies one after the other."""
    if len(replies) == 1:
        return replies[0]
    columns = zip(*(one.lists for one in replies), strict=True)
    lists = [[cell for part in parts for cell in part] for parts in columns]
    return reply_of(lists, max(one.seconds for one in replies))


def placed(parts: Sequence[tuple[Sequence[int], Reply]], n: int) -> Reply:
    """Return replies to scattered rows in the order of the rows."""
    lists: list[list[Any]] = [[None] * n for _ in range(9)]
    for rows, reply in parts:
        for made, given in zip(lists, reply.lists, strict=True):
            for row, cell in zip(rows, given, strict=True):
                made[row] = cell
    return reply_of(lists, max(reply.seconds for _, reply in parts))


def constant(told: Mapping[str, Any], n: int, cause: str) -> Reply:
    """Return what the front process answers by itself: the mean label, or the class shares."""
    none = [float("nan")] * n
    return Reply(
        [told["constant"]] * n,
        none,
        none,
        ["fallback"] * n,
        [cause] * n,
        ["constant"] * n,
        [told["vintage"]] * n,
        [None] * n,
        ["null"] * n,
    )


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
    """

    columns: Lists
    n: int
    asked: float
    within: float
    future: asyncio.Future[Reply]
    hedged: bool = False
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
