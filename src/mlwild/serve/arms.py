"""Who answers which row: what is live, a canary for a share, a shadow for none; changed without a dropped request."""

from __future__ import annotations

import asyncio
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlwild.answering.bundle import KIND
from mlwild.answering.live import Live, checked, read_live
from mlwild.answering.telling import tell
from mlwild.columns import Columns
from mlwild.errors import MlwildError, StoreError
from mlwild.operating.beside import CANARY, CHAMPION, SHADOW
from mlwild.operating.publishing import FILE
from mlwild.serve.pair import Pair
from mlwild.serve.process import Kept, Order, kept
from mlwild.serve.requests import Asked
from mlwild.serve.tickets import Reply, placed
from mlwild.triangle.store import Store

#: Seconds between two looks at what is live, and before a change that failed is tried again.
LOOK, AGAIN = 0.5, 30.0
#: Seconds that workers beside the champion's may take to start, beside so many times as long as the champion's took:
#: until then a server that starts answers nobody, and one that runs follows no change.
PATIENCE, MORE = 60.0, 4.0
#: Seconds between two notes that the bundles of those who answer are in use.
TOUCH = 600.0
#: Share of the deadline that a canary may take: the champion has the rest.
CANARY_TIME = 0.6
#: Seconds that answers on their way get after a change.
DRAIN = 30.0
#: Rows that a shadow may be behind with before it is given no more.
BEHIND = 2_000


@dataclass(frozen=True, eq=False)
class Standing:
    """
    Who answers at present.

    Parameters
    ----------
    live : Live
    columns : Columns
    champion : Pair
    canary, shadow : Pair, optional
    """

    live: Live
    columns: Columns
    champion: Pair
    canary: Pair | None = None
    shadow: Pair | None = None

    @property
    def pairs(self) -> dict[str, Pair]:
        """All of them, by arm."""
        found = {CHAMPION: self.champion, CANARY: self.canary, SHADOW: self.shadow}
        return {arm: pair for arm, pair in found.items() if pair is not None}

    async def answer(self, asked: Asked, names: Sequence[str]) -> tuple[Reply, list[str]]:
        """
        Return the answers, and which arm gave each.

        Parameters
        ----------
        asked : Asked
        names : sequence of str
            What each row is told apart by, for the canary's share.
        """
        pairs = list(self.pairs.values())
        for pair in pairs:  # a row may come to any of them until it is answered
            pair.asking += 1
        try:
            return await self._answered(asked, names)
        finally:
            for pair in pairs:
                pair.asking -= 1

    async def _answered(self, asked: Asked, names: Sequence[str]) -> tuple[Reply, list[str]]:
        canary, n = self.canary, asked.n
        rows = [] if canary is None else [row for row in range(n) if self.live.goes_to_canary(names[row])]
        if canary is None or not rows:
            return await self.champion.answer(asked.columns, n), [CHAMPION] * n
        chosen = set(rows)
        others = [row for row in range(n) if row not in chosen]
        made = await asyncio.gather(self._tried(canary, asked, rows), self._some(asked, others))
        parts = [*made[0], *made[1]]
        arms = [CHAMPION] * n
        for arm, at, _ in parts:
            for row in at:
                arms[row] = arm
        return placed([(at, reply) for _, at, reply in parts], n), arms

    async def _some(
        self, asked: Asked, rows: list[int], within: float | None = None
    ) -> list[tuple[str, list[int], Reply]]:
        if not rows:
            return []
        return [(CHAMPION, rows, await self.champion.answer(_rows(asked, rows), len(rows), within))]

    async def _tried(self, canary: Pair, asked: Asked, rows: list[int]) -> list[tuple[str, list[int], Reply]]:
        """Let the canary answer; what it cannot, or not in time, the champion does, or whoever is expected better."""
        loop, deadline = asyncio.get_running_loop(), self.champion.deadline
        began = loop.time()
        reply = await canary.answer(_rows(asked, rows), len(rows), canary.deadline * CANARY_TIME)
        # A canary that fails at once leaves the champion all the time that it would have had without it.
        left = deadline * (1 + len(rows) / 1000) - (loop.time() - began)
        failed = [place for place, status in enumerate(reply["status"]) if status in ("fallback", "refused")]
        if not failed:
            return [(CANARY, rows, reply)]
        within = max(left / (1 + len(failed) / 1000), deadline * (1 - CANARY_TIME))
        [(_, _, back)] = await self._some(asked, [rows[place] for place in failed], within)
        # A champion that has failed as well may have nothing as good as what the canary fell back on.
        given = [at for at, place in enumerate(failed) if _rank(back, at) <= _rank(reply, place)]
        over = [failed[at] for at in given]
        stayed = sorted(set(range(len(rows))) - set(over))
        parts = [(CHAMPION, over, back.picked(given)), (CANARY, stayed, reply.picked(stayed))]
        return [(arm, [rows[place] for place in places], part) for arm, places, part in parts if places]

    def close(self) -> None:
        """End all workers at once."""
        for pair in self.pairs.values():
            pair.close()


def _rank(reply: Reply, row: int) -> tuple[int, bool, float]:
    """Return by what answers to a row are put in order, the best least: the champion's own, a fallback's, none."""
    expected, status = reply["expected"][row], reply["status"][row]
    # Who answers must not hang on whether one was drawn: the chance that it is given with would be another.
    certain = reply["chance"][row] == 1
    place = {"fallback": 1, "refused": 2}.get(status, 0)
    return place, certain, 0.0 if not certain else math.inf if expected is None else expected


def _rows(asked: Asked, rows: Sequence[int]) -> list[list[Any]]:
    return [[column[row] for row in rows] for column in asked.columns]


class Arms:
    """
    Who answers, followed through changes of what is live.

    Parameters
    ----------
    order : Order
        For the first worker.
    deadline : float
    changed : callable
        Called with the new standing after each change.
    """

    def __init__(self, order: Order, deadline: float, changed: Callable[[Standing], None]) -> None:
        self._order, self._deadline, self._changed = order, deadline, changed
        self.now: Standing | None = None
        self._unfollowed, self._unstarted, self.stale = "", "", ""
        self._patience = PATIENCE
        self.swaps = 0
        self._past: Counter[str] = Counter()
        self._drains: dict[asyncio.Task[None], Pair] = {}

    @property
    def trouble(self) -> str:
        """What could not be loaded, of the champion and of whoever is beside it; empty where all could."""
        pairs = [] if self.now is None else self.now.pairs.values()
        worker = next((pair.trouble for pair in pairs if pair.trouble), "")
        return self._unfollowed or self._unstarted or self.stale or worker

    @property
    def folder(self) -> Path:
        """Of the app in operation."""
        assert self.now is not None
        return Path(self.now.champion.kept.root)

    def counts(self) -> Counter[str]:
        """Return what happened to all workers so far."""
        pairs = [] if self.now is None else self.now.pairs.values()
        return sum((pair.counts for pair in [*pairs, *self._drains.values()]), self._past)

    async def start(self) -> Standing:
        """
        Start whoever is to answer.

        Raises
        ------
        AppError, StoreError
            If the champion cannot be loaded.
        """
        what = await kept(self._order)
        live = read_live(Path(what.root))
        champion = await self._champion(what)
        told = Live(champion.told["live"])
        # The champion may have changed since it was bundled: that is for the first look.
        live = live if live.of(CHAMPION) == told.body else told
        self.now = await self._complete(Standing(live, Columns.of(champion.told["columns"]), champion), [champion])
        self._changed(self.now)
        return self.now

    async def _champion(self, what: Kept) -> Pair:
        loop = asyncio.get_running_loop()
        began = loop.time()
        champion = await Pair(what, self._deadline).start()
        self._patience = PATIENCE + MORE * (loop.time() - began)
        if champion.told["unguarded"]:
            tell(f"answers have no guard: {champion.told['unguarded']}")
        return champion

    async def _complete(self, standing: Standing, begun: list[Pair]) -> Standing:
        """Start the arms that are not there; if that is cancelled, end those that were begun for the standing."""
        trouble = ""
        for arm in standing.live.arms:
            if arm in standing.pairs:
                continue
            try:
                pair = await self._beside(arm, standing)
            except (MlwildError, TimeoutError) as problem:  # the champion answers all then
                why = problem if isinstance(problem, MlwildError) else f"it takes longer than {self._patience:.0f} s."
                trouble = f"the {arm} cannot be started: {why}"
                if trouble != self._unstarted:
                    tell(trouble)
                continue
            except BaseException:
                for pair in begun:
                    pair.close()
                raise
            begun.append(pair)
            standing = replace(standing, canary=pair) if arm == CANARY else replace(standing, shadow=pair)
        self._unstarted = trouble
        return standing

    async def _beside(self, arm: str, standing: Standing) -> Pair:
        told = standing.champion.told
        what = await kept(self._order_of(arm, standing.live))  # as long as it takes: the history may be long
        async with asyncio.timeout(self._patience):
            pair = await Pair(what, self._deadline, standby=False).start()
        here, there = (replace(Columns.of(one["columns"]), past=(), reordered=False) for one in (told, pair.told))
        if here != there or pair.told["classes"] != told["classes"]:
            pair.close()
            raise StoreError(f"serve: the {arm} reads other columns than the champion.")
        return pair

    async def watch(self) -> None:
        """Follow what is live until cancelled."""
        path = self.folder / FILE
        loop = asyncio.get_running_loop()
        tried, failed = loop.time(), False
        stamp: tuple[int, int, int] | None = None  # it may have changed while the workers started
        touched = -math.inf
        while True:
            await asyncio.sleep(LOOK)
            assert self.now is not None
            if loop.time() - touched >= TOUCH:
                touched = loop.time()
                self._touch()
            fresh = _stamp(path)
            again = (failed or bool(self._unstarted)) and loop.time() - tried > AGAIN
            if fresh is not None and fresh == stamp and not again:
                continue
            stamp = fresh
            try:
                found = checked(_read(path), path)
            except (OSError, ValueError, TypeError, RecursionError) as problem:
                self._say(f"what is live cannot be read, the one before goes on: {type(problem).__name__}")
                continue
            except StoreError as problem:
                self._say(f"what is live cannot be read, the one before goes on: {problem}")
                continue
            # Whatever stood there meanwhile: who answers is who should.
            if _entries(found) == _entries(self.now.live) and not (again and self._unstarted):
                failed, self._unfollowed = False, ""
                continue
            tried = loop.time()
            try:
                await self._follow(found)
                failed, self._unfollowed = False, ""
            except MlwildError as problem:
                failed = True
                self._say(f"what is live now cannot be loaded, the one before goes on: {problem}")

    async def mend(self) -> None:
        """Have made again, until cancelled, what workers cannot be started with: a model of the chain that is gone."""
        before: set[Pair] = set()
        while True:
            await asyncio.sleep(AGAIN)
            assert self.now is not None
            live = self.now.live
            # Who was in trouble at the look before, too: most of it is over sooner.
            troubled, before = before, {pair for pair in self.now.pairs.values() if pair.trouble}
            for arm, pair in self.now.pairs.items():
                if pair not in troubled & before:
                    continue
                try:
                    made = await kept(self._order_of(arm, live))
                except MlwildError:  # it cannot be; the pair, which goes on trying, has told why
                    continue
                pair.kept = replace(made, tables=pair.kept.tables)

    def _order_of(self, arm: str, live: Live) -> Order:
        """Return what is to be bundled of one of them."""
        said = dict(live.of(CHAMPION))
        return replace(self._order, arm=arm, said=said if arm == CHAMPION else {**said, arm: live.of(arm)})

    def _touch(self) -> None:
        """Note that the bundles of those who answer are in use: a worker may have to be started by one at any time."""
        assert self.now is not None
        for pair in self.now.pairs.values():
            Store(Path(pair.kept.root)).touch(pair.kept.key, KIND)

    async def _follow(self, live: Live) -> None:
        """Put in place who is to answer now; who answers already and is to go on is not started anew."""
        self._leave_out(live)
        before = self.now
        assert before is not None
        if live.of(CHAMPION) == before.live.of(CHAMPION):
            fresh = await self._complete(replace(before, live=live), [])
        else:
            champion = await self._champion(await kept(self._order_of(CHAMPION, live)))
            standing = Standing(live, Columns.of(champion.told["columns"]), champion)
            fresh = await self._complete(standing, [champion])
        self._put(fresh)

    def _leave_out(self, live: Live) -> None:
        """
        End at once what is no longer to answer beside the champion, and use its share: neither needs a bundle.

        The champion may take long to be bundled anew, and while its data are away it cannot be at all.
        """
        before = self.now
        assert before is not None
        then, now = _entries(before.live), _entries(live)
        kept_on = {arm for arm in before.pairs if arm != CHAMPION and _artefact(then[arm]) == _artefact(now.get(arm))}
        said = {**before.live.of(CHAMPION), **{arm: now[arm] for arm in kept_on}}
        canary = before.canary if CANARY in kept_on else None
        shadow = before.shadow if SHADOW in kept_on else None
        self._put(replace(before, live=Live(said), canary=canary, shadow=shadow))

    def _put(self, fresh: Standing) -> None:
        """Let others answer; who no longer does is ended once all is answered that may come to it."""
        before, self.now = self.now, fresh
        assert before is not None
        share = before.live.share != fresh.live.share
        if before.pairs == fresh.pairs and not share:
            return
        self.swaps += 1
        self._changed(fresh)
        for pair in set(before.pairs.values()) - set(fresh.pairs.values()):
            task = asyncio.get_running_loop().create_task(pair.drain(DRAIN))
            self._drains[task] = pair
            task.add_done_callback(self._drained)

    def _drained(self, task: asyncio.Task[None]) -> None:
        self._past += self._drains.pop(task).counts

    def _say(self, trouble: str) -> None:
        if trouble != self._unfollowed:
            tell(trouble)
        self._unfollowed = trouble

    async def close(self, seconds: float) -> None:
        """Wait for answers on their way, then end all workers."""
        if self.now is not None:
            await asyncio.gather(*(pair.drain(seconds) for pair in self.now.pairs.values()))
        for task in list(self._drains):
            task.cancel()


def _entries(live: Live) -> dict[str, Mapping[str, Any]]:
    """Return what is said of each arm."""
    return {arm: live.of(arm) for arm in live.arms}


def _artefact(entry: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return what is said of an arm but its share: that is drawn with in the front process."""
    return None if entry is None else {name: said for name, said in entry.items() if name != "share"}


def _read(path: Path) -> dict[str, Any]:
    said = json.loads(path.read_bytes())
    if not isinstance(said, dict):
        raise TypeError
    return said


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
