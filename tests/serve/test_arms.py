"""Canary and shadow begin, end and change their share while the champion stays, also where its data are away."""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter

import numpy as np
import pytest

from mlwild.answering.bundle import KIND
from mlwild.answering.live import Live
from mlwild.errors import StoreError
from mlwild.operating.beside import CHAMPION
from mlwild.operating.publishing import FILE
from mlwild.serve import arms as arming
from mlwild.serve.arms import Arms, Standing
from mlwild.serve.pair import Pair
from mlwild.serve.process import Kept, Order
from mlwild.serve.requests import Asked
from mlwild.serve.tickets import Reply, constant
from mlwild.triangle.store import Store
from tests.serve.stand_ins import run, stand_in, until

BODY = {"app": "a", "live": "1", "vintage": {}, "key": "k", "digest": "d"}
CANARY = {"key": "c", "digest": "d", "name": "c 1", "since": "2026", "share": 0.5}


class World:
    """What is live, and what can be bundled of it."""

    def __init__(self, folder):
        self.folder, self.away, self.takes, self.bundled, self.digest = folder, set(), {}, Counter(), "digest"
        self.live(canary=CANARY)

    def live(self, **more):
        """Say what is live."""
        (self.folder / FILE).write_text(json.dumps(BODY | more))

    async def kept(self, order):
        """Return where a bundle is, if its data are there."""
        said = json.loads((self.folder / FILE).read_text()) if order.said is None else order.said
        self.bundled[order.arm] += 1
        await asyncio.sleep(self.takes.get(order.arm, 0.0))
        if order.arm in self.away:
            raise StoreError("data: the warehouse is away")
        return Kept(str(self.folder), said["live"] if order.arm == CHAMPION else order.arm, self.digest)


@pytest.fixture
def world(monkeypatch, tmp_path):
    """Return what is live, with a canary for a half, as the server is about to see it."""
    made = World(tmp_path)
    told = {name: said for name, said in BODY.items() if name != "live"}
    stand_in(monkeypatch, [{"MLWILD_TEST_LIVE": json.dumps(told)}] * 20)
    monkeypatch.setattr(arming, "kept", made.kept)
    monkeypatch.setattr(arming, "LOOK", 0.01)
    return made


def followed(what):
    """Run it with arms that follow what is live."""

    async def all_of_it():
        arms = Arms(Order("app.py", "store", CHAMPION), 2.0, lambda _: None)
        await arms.start()
        tasks = [asyncio.create_task(one) for one in (arms.watch(), arms.mend())]
        try:
            await what(arms)
            assert not any(one.done() for one in tasks)
        finally:
            for one in tasks:
                one.cancel()
            await arms.close(0.0)

    run(all_of_it())


async def answered(arms, n=40):
    """Return how many of n events each arm answers."""
    words = Asked("", [["fine"] * n], n, ((),) * n)
    _, names = await arms.now.answer(words, [str(number) for number in range(n)])
    return Counter(names)


def test_a_canary_that_is_taken_out_answers_no_more_though_the_champion_cannot_be_bundled(world):
    async def taken_out(arms):
        assert (await answered(arms))["canary"] > 5
        canary, champion = arms.now.canary, arms.now.champion
        world.away.add(CHAMPION)
        world.live(live="2")
        await until(lambda: arms.trouble)
        assert "the warehouse is away" in arms.trouble
        assert await answered(arms) == {"champion": 40}
        assert arms.now.champion is champion
        assert arms.swaps == 1
        await until(lambda: canary.workers == [])
        # As it was: the canary is wanted again, and was followed last before it was taken out.
        world.live(canary=CANARY)
        await until(lambda: arms.now.canary is not None)
        assert arms.now.champion is champion
        assert not arms.trouble

    followed(taken_out)


@pytest.mark.parametrize("more", [{}, {"canary": None}, {"shadow": CANARY}, {"canary": CANARY | {"key": "other"}}])
def test_an_arm_ends_or_begins_without_another_champion(world, more):
    async def ends(arms):
        canary, champion = arms.now.canary, arms.now.champion
        canary.counts["late"] += 7
        world.live(**more)
        wanted = {CHAMPION, *(arm for arm, said in more.items() if said)}
        await until(lambda: arms.now.canary is not canary and arms.now.pairs.keys() == wanted)
        assert arms.now.champion is champion
        assert world.bundled == Counter([CHAMPION, "canary"]) + Counter(wanted - {CHAMPION})
        assert arms.swaps == len(wanted)
        champion.counts["late"] += 2
        assert arms.counts()["late"] == 9
        canary.counts["late"] += 1  # while it is drained
        assert arms.counts()["late"] == 10
        await until(lambda: canary.workers == [])
        assert arms.counts()["late"] == 10
        assert len(champion.workers) == 2

    followed(ends)


def test_another_share_holds_at_once_and_starts_nobody(world):
    async def shared(arms):
        pairs = arms.now.pairs
        world.away |= {CHAMPION, "canary"}
        world.live(canary=CANARY | {"share": 0.0})
        await until(lambda: arms.swaps)
        assert await answered(arms) == {"champion": 40}
        world.live(canary=CANARY | {"share": 1.0})
        await until(lambda: arms.swaps == 2)
        assert await answered(arms) == {"canary": 40}
        assert arms.now.pairs == pairs
        assert world.bundled == {CHAMPION: 1, "canary": 1}
        assert not arms.trouble

    followed(shared)


def test_a_canary_that_could_not_be_started_is_tried_again_alone(world, monkeypatch):
    monkeypatch.setattr(arming, "AGAIN", 0.1)
    world.away.add("canary")

    async def unstarted(arms):
        champion = arms.now.champion
        assert "the canary cannot be started: data: the warehouse is away" in arms.trouble
        await until(lambda: world.bundled["canary"] >= 3)
        world.away.clear()
        await until(lambda: arms.now.canary is not None)
        assert not arms.trouble
        assert arms.now.champion is champion
        assert world.bundled[CHAMPION] == 1
        tries = world.bundled["canary"]
        await asyncio.sleep(0.3)
        assert world.bundled["canary"] == tries

    followed(unstarted)


def test_a_canary_that_hangs_while_it_starts_holds_up_neither_the_server_nor_what_is_live(world, monkeypatch):
    monkeypatch.setattr(arming, "PATIENCE", 0.1)
    monkeypatch.setattr(arming, "MORE", 0.0)
    monkeypatch.setattr(arming, "AGAIN", 0.1)
    hangs, real = [True], Pair.start

    async def start(pair):
        await asyncio.sleep(100 if pair.kept.key == "canary" and hangs else 0)
        return await real(pair)

    monkeypatch.setattr(Pair, "start", start)

    async def held_up(arms):
        assert "the canary cannot be started: it takes longer than 0 s" in arms.trouble
        assert await answered(arms) == {CHAMPION: 40}
        await until(lambda: world.bundled["canary"] >= 3)
        world.live(live="2", key="l", canary=CANARY)
        await until(lambda: arms.now.champion.told["vintage"] == "2")
        monkeypatch.setattr(arming, "PATIENCE", 10.0)
        hangs.clear()
        world.live(live="3", key="m", canary=CANARY)
        await until(lambda: arms.now.canary is not None)
        assert not arms.trouble

    followed(held_up)


def test_a_canary_that_takes_long_to_be_bundled_is_waited_for(world, monkeypatch):
    monkeypatch.setattr(arming, "PATIENCE", 5.0)
    monkeypatch.setattr(arming, "MORE", 0.0)
    world.takes["canary"] = 6.0

    async def waited_for(arms):
        assert arms.now.canary is not None
        assert not arms.trouble

    followed(waited_for)


def test_what_became_live_while_the_champion_was_bundled_is_followed_at_the_first_look(world, monkeypatch):
    real = world.kept

    async def kept(order):
        found = await real(order)
        if order.said is None:
            world.live(live="2", canary=CANARY)
        return found

    monkeypatch.setattr(arming, "kept", kept)

    async def changed(arms):
        assert (arms.now.pairs.keys(), arms.now.champion.told["vintage"]) == ({CHAMPION}, "1")
        await until(lambda: arms.now.champion.told["vintage"] == "2")
        assert arms.now.pairs.keys() == {CHAMPION, "canary"}

    followed(changed)


class Said:
    """An arm that answers every row in the same way."""

    def __init__(self, status, expected):
        self.deadline, self.asking, self.reply = 1.0, 0, (status, expected)

    async def answer(self, columns, n, within=None):
        """Answer so many rows."""
        status, expected = self.reply
        made = constant({"constant": 0.0, "loss": expected, "vintage": "1"}, n, "")
        return Reply(made.lists | {"status": [status] * n})


@pytest.mark.parametrize(
    ("canary", "champion", "who"),
    [
        (("normal", 0.3), ("normal", 0.1), "canary"),
        (("fallback", 0.3), ("normal", 0.4), CHAMPION),
        (("fallback", 0.3), ("degraded", 0.4), CHAMPION),
        (("fallback", 0.3), ("fallback", 0.5), "canary"),  # the champion was late: its constant
        (("fallback", 0.3), ("fallback", 0.3), CHAMPION),
        (("fallback", 0.3), ("fallback", 0.2), CHAMPION),
        (("fallback", 0.3), ("fallback", None), "canary"),
        (("fallback", None), ("refused", None), "canary"),
        (("refused", None), ("fallback", 0.5), CHAMPION),
        (("refused", None), ("refused", None), CHAMPION),
    ],
)
def test_where_a_canary_and_the_champion_both_fail_what_is_expected_to_lose_less_is_answered(canary, champion, who):
    standing = Standing(Live({"live": "1", "canary": {"share": 1.0}}), None, Said(*champion), Said(*canary))
    reply, arms = run(standing.answer(Asked("", [["fine"] * 3], 3, ((),) * 3), ["a", "b", "c"]))
    status, expected = canary if who == "canary" else champion
    assert (arms, reply["status"], reply["expected"]) == ([who] * 3, [status] * 3, [expected] * 3)


class Draws:
    """An arm that falls back, and draws half of its answers among two values; a draw is expected to lose more."""

    def __init__(self, seed):
        self.deadline, self.asking, self.draw = 1.0, 0, np.random.default_rng(seed)

    async def answer(self, columns, n, within=None):
        """Answer so many rows."""
        made = constant({"constant": 0.0, "loss": 0.3, "vintage": "1"}, n, "")
        drawn, which = self.draw.random(n) < 0.5, self.draw.integers(1, 3, n)
        return Reply(
            made.lists
            | {
                "value": np.where(drawn, which, 0).tolist(),
                "chance": np.where(drawn, 0.25, 0.5).tolist(),
                "expected": np.where(drawn, 0.9, 0.3).tolist(),
            }
        )


@pytest.mark.parametrize(
    ("canary", "champion", "who"),
    [
        (Draws(1), Draws(2), CHAMPION),
        (Draws(3), Said("fallback", 0.5), "canary"),
        (Said("fallback", 0.1), Draws(4), CHAMPION),
    ],
    ids=["both", "the champion is late", "the champion alone"],
)
def test_an_answer_that_is_drawn_has_the_chance_that_it_is_given_with_though_two_fail(canary, champion, who):
    """Draws were left out where the other arm had none: of two that draw, a draw was given with a third of its chance."""
    n = 8000
    standing = Standing(Live({"live": "1", "canary": {"share": 1.0}}), None, champion, canary)
    reply, arms = run(standing.answer(Asked("", [["fine"] * n], n, ((),) * n), [str(row) for row in range(n)]))
    assert set(arms) == {who}
    value, chance = np.array(reply["value"]), np.array(reply["chance"])
    for one in (0, 1, 2):  # outcomes weighted by the inverse of the chance stand for all rows
        assert np.where(value == one, 1 / chance, 0.0).mean() == pytest.approx(1.0, abs=0.08)


@pytest.mark.parametrize("status", ["fallback", "refused"])
def test_a_canary_that_fails_at_once_leaves_the_champion_the_whole_deadline(monkeypatch, status):
    stand_in(monkeypatch)

    async def asked():
        champion = await Pair(Kept("root", "1", "digest"), 0.6).start()
        standing = Standing(Live({"live": "1", "canary": {"share": 1.0}}), None, champion, Said(status, None))
        # Its model takes half of the deadline, as it may.
        reply, arms = await standing.answer(Asked("", [["model waits"]], 1, ((),)), ["a"])
        assert (reply["status"], reply["stage"], arms) == (["normal"], ["champion"], [CHAMPION])
        champion.close()
        await until(lambda: champion.workers == [])

    run(asked())


def test_an_answer_on_its_way_when_the_arms_change_still_gets_the_champions(monkeypatch):
    stand_in(monkeypatch)

    async def changed():
        champion = await Pair(Kept("root", "1", "digest"), 2.5).start()
        canary = await Pair(Kept("root", "hangs", "digest"), 2.5, standby=False).start()
        standing = Standing(Live({"live": "1", "canary": {"share": 1.0}}), None, champion, canary)
        on_its_way = asyncio.create_task(standing.answer(Asked("", [["fine"]], 1, ((),)), ["a"]))
        await asyncio.sleep(0.01)
        # The canary tries for longer than the second that is waited at least.
        drains = [asyncio.create_task(one.drain(30)) for one in (champion, canary)]
        reply, arms = await on_its_way
        assert (reply["stage"], arms) == (["champion"], ["champion"])
        await asyncio.gather(*drains)
        await until(lambda: champion.workers == canary.workers == [])

    run(changed())


def test_a_canary_whose_worker_cannot_be_started_again_is_trouble(world, monkeypatch):
    async def dies(arms):
        assert not arms.trouble
        with monkeypatch.context() as crowded:
            crowded.setattr("mlwild.serve.process.subprocess.Popen", _no_room)
            arms.now.canary.first.kill()
            await until(lambda: "no process can be started" in arms.trouble)
            assert await answered(arms) == {"champion": 40}
        await until(lambda: arms.now.canary.ready)
        assert not arms.trouble

    followed(dies)


def test_the_bundles_of_all_who_answer_are_noted_as_used(world, monkeypatch):
    monkeypatch.setattr(arming, "TOUCH", 0.05)
    store = Store(world.folder)

    async def used(arms):
        paths = [store.payload(pair.kept.key, KIND) for pair in arms.now.pairs.values()]
        assert len(paths) == 2
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            os.utime(path, (0, 0))
        for _ in range(2):
            await until(lambda: all(path.stat().st_mtime > 0 for path in paths))
            os.utime(paths[0], (0, 0))

    followed(used)


@pytest.mark.parametrize("arm", [CHAMPION, "canary"])
def test_what_a_worker_cannot_be_started_with_is_made_again(world, monkeypatch, arm):
    monkeypatch.setattr(arming, "AGAIN", 0.05)

    async def made_again(arms):
        pair, before = arms.now.pairs[arm], world.bundled[arm]
        await asyncio.sleep(0.2)
        assert world.bundled[arm] == before  # there is no need
        world.away.add(arm)
        with monkeypatch.context() as crowded:
            crowded.setattr("mlwild.serve.process.subprocess.Popen", _no_room)
            pair.first.kill()
            await until(lambda: world.bundled[arm] > before + 1)  # tried again and again
            world.away.clear()
            world.digest = "of another"
            await until(lambda: pair.kept.digest == "of another")
        await until(lambda: pair.ready and not arms.trouble)
        assert arms.now.pairs[arm] is pair

    followed(made_again)


def _no_room(*_, **__):
    raise OSError(12, "Cannot allocate memory")
