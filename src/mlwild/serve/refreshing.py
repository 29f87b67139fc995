"""Side tables are read anew while a server runs: between two ticks the world goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mlwild.answering.tables import KIND, used
from mlwild.answering.telling import tell
from mlwild.errors import MlwildError
from mlwild.serve.arms import Arms
from mlwild.serve.pair import Pair
from mlwild.serve.process import fresh_tables
from mlwild.triangle.store import Store

#: Seconds between two looks at who is to have fresh tables, and at whether those in use are still there.
LOOK, TOUCH = 0.5, 600.0


@dataclass
class _Note:
    """
    What is noted of a pair.

    Parameters
    ----------
    arm : str
        That it answers for.
    due, touch : float
        When its tables are read, and touched, next.
    trouble : str
        Why they could not be read; empty if they could.
    past : set of str
        Keys of tables that it has no more.
    """

    arm: str
    due: float = 0.0
    touch: float = 0.0
    trouble: str = ""
    past: set[str] = field(default_factory=set)


async def refresh(arms: Arms, every: float) -> None:
    """
    Read the side tables of whoever answers anew, at once and then again and again, until cancelled.

    While they cannot be read, those that are there go on, and the server says that it is troubled: what is made of rows
    that are too old the guard leaves out.

    Parameters
    ----------
    arms : Arms
    every : float
        Seconds from the end of one reading to the next; 0: never.
    """
    notes: dict[Pair, _Note] = {}
    while every > 0:
        standing = arms.now
        arm_of = {} if standing is None else {pair: arm for arm, pair in standing.pairs.items() if pair.told["tables"]}
        for pair, arm in arm_of.items():
            note = notes.setdefault(pair, _Note(arm))
            try:
                await _turn(pair, note, every, _in_use(notes))
            except Exception as problem:  # noqa: BLE001  whatever it is, refreshing goes on, and the operator is told
                _failed(note, problem)
                note.due = asyncio.get_running_loop().time() + every
        arms.stale = next((notes[pair].trouble for pair in arm_of if notes[pair].trouble), "")
        _let_go(notes, arm_of)
        await asyncio.sleep(LOOK)


async def _turn(pair: Pair, note: _Note, every: float, keep: Sequence[str]) -> None:
    """Touch the tables of a pair, and read them anew, where that is due."""
    loop = asyncio.get_running_loop()
    if pair.kept.tables is not None and loop.time() >= note.touch:
        note.touch = loop.time() + TOUCH
        if not used(Store(Path(pair.kept.root)), pair.kept.tables[0]):
            note.due = 0.0  # they are gone, and a worker that is started would need them
    if loop.time() < note.due:
        return
    tables = await fresh_tables(pair.kept, keep)
    before = pair.kept.tables
    if tables is not None and tables != before:
        await pair.load(tables)
        if before is not None:
            note.past.add(before[0])
    note.trouble, note.due = "", loop.time() + every


def _in_use(notes: Mapping[Pair, _Note]) -> list[str]:
    """Return the keys of tables that a worker may have or be about to load."""
    own = [pair.kept.tables[0] for pair in notes if pair.kept.tables is not None]
    return own + [key for note in notes.values() for key in note.past]


def _failed(note: _Note, problem: Exception) -> None:
    why = str(problem) if isinstance(problem, MlwildError) else f"{type(problem).__name__}: {problem}"
    said = f"the {note.arm}'s side tables cannot be read anew, those that are there go on: {why}"
    if said != note.trouble:
        tell(said)
    note.trouble = said


def _let_go(notes: dict[Pair, _Note], standing: Iterable[Pair]) -> None:
    """Drop tables that no worker has or is about to load: those that were replaced, and those of pairs that ended."""
    for pair, note in list(notes.items()):
        if pair.starting or (pair not in standing and not pair.ended):
            continue
        if pair not in standing:
            del notes[pair]
            note.past |= set() if pair.kept.tables is None else {pair.kept.tables[0]}
        in_use = {one.kept.tables[0] for one in notes if one.kept.tables is not None}
        for key in note.past - in_use:
            try:
                Store(Path(pair.kept.root)).drop(key, KIND)
            except OSError as problem:  # they are left over then, and go when a day old
                tell(f"side tables that nobody uses any more cannot be removed: {problem}")
        note.past.clear()
