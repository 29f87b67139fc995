"""Side tables are read anew while a server runs: between two ticks the world goes on."""

from __future__ import annotations

import asyncio

from mlwild.answering.telling import tell
from mlwild.errors import MlwildError
from mlwild.serve.arms import Arms
from mlwild.serve.pair import Pair
from mlwild.serve.process import fresh_tables

#: Seconds between two looks at who is to have fresh tables.
LOOK = 0.5


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
    loop, read = asyncio.get_running_loop(), dict[Pair, float]()
    while every > 0:
        standing = arms.now
        pairs = [] if standing is None else [pair for pair in standing.pairs.values() if pair.told["tables"]]
        for pair in pairs:
            if loop.time() < read.get(pair, 0.0):
                continue
            try:
                tables = await fresh_tables(pair.kept)
                if tables != pair.kept.tables:
                    await pair.load(tables)
                arms.stale = ""
            except MlwildError as problem:
                said = f"side tables cannot be read anew, those that are there go on: {problem}"
                if said != arms.stale:
                    tell(said)
                arms.stale = said
            read[pair] = loop.time() + every
        read = {pair: at for pair, at in read.items() if pair in pairs}
        await asyncio.sleep(LOOK)
