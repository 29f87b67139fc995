"""Two workers of which some die: who is asked then, who is never asked again, and what that costs the others."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
from pathlib import Path

import pytest

from mlwild.errors import StoreError
from mlwild.serve import pair as pairs
from mlwild.serve import process as processes
from mlwild.serve.pair import Pair
from mlwild.serve.process import Kept, Worker
from tests.serve.stand_ins import run, stand_in, until

KEPT = Kept("root", "1", "digest")


async def asked(pair, *words):
    """Ask for each word as a client of its own; return stage and cause of each answer."""
    replies = await asyncio.gather(*(pair.answer([[word]], 1) for word in words))
    return [(reply["stage"][0], reply["cause"][0]) for reply in replies]


def ended(made):
    """End stand-ins: one that is stopped does not end by itself."""
    for one in made:
        one.kill()
        one.wait(5)


def test_a_worker_that_dies_before_the_other_is_ready_is_not_taken_in(monkeypatch):
    made = stand_in(monkeypatch, [{"MLWILD_TEST_LOADING": "0.3"}, {"MLWILD_TEST_DIES": "1"}])

    async def started():
        pair = Pair(KEPT, 0.5)
        with pytest.raises(StoreError, match="died as soon as it had loaded"):
            await pair.start()
        await until(lambda: pair.workers == [] and all(one.poll() is not None for one in made))

    run(started())
    assert len(made) == 2


def test_where_one_of_two_cannot_be_started_the_other_is_ended(monkeypatch):
    made = stand_in(monkeypatch, [{"MLWILD_TEST_LOADING": "0.2", "MLWILD_TEST_DIES": "1"}, {}])

    async def started():
        real = Worker.start

        async def start(what, lost):
            worker = await real(what, lost)
            await until(lambda: worker.gone or worker.pid == made[1].pid)
            return worker

        monkeypatch.setattr(Worker, "start", start)
        with pytest.raises(StoreError, match="died as soon as it had loaded"):
            await Pair(KEPT, 0.5).start()
        await until(lambda: all(one.poll() is not None for one in made))

    run(started())
    assert len(made) == 2


def test_a_worker_that_dies_before_it_takes_the_place_of_another_is_started_once_more(monkeypatch):
    made = stand_in(monkeypatch)

    async def dies():
        pair = await Pair(KEPT, 0.5).start()
        real = Worker.start

        async def start(what, lost):
            worker = await real(what, lost)
            if len(made) == 3:
                made[2].kill()
                await until(lambda: worker.gone)
            return worker

        monkeypatch.setattr(Worker, "start", start)
        made[1].kill()
        await until(lambda: len(made) == 4 and len(pair.workers) == 2)
        assert {one.pid for one in pair.workers} == {made[0].pid, made[3].pid}
        assert await asked(pair, "fine") == [("champion", "")]
        pair.close()

    run(dies())


def test_a_worker_whose_line_is_closed_is_not_asked_and_the_other_answers(monkeypatch):
    stand_in(monkeypatch)

    async def closed():
        pair = await Pair(KEPT, 2.0).start()
        pair.first.kill()  # its loss is known a moment later
        assert not pair.first.idle
        assert await asked(pair, "fine") == [("flat", "the model did not answer")]
        assert pair.counts["restarts"] == 1
        pair.close()
        assert await asked(pair, "fine") == [("constant", "no worker is ready")]

    run(closed())


def test_a_row_whose_features_end_the_process_takes_one_worker_and_not_the_other(monkeypatch):
    made = stand_in(monkeypatch)

    async def poisoned():
        pair = await Pair(KEPT, 2.0).start()
        assert await asked(pair, "features end") == [("constant", "a worker died")]
        assert [one.pid for one in pair.workers] == [made[1].pid]
        assert (await asked(pair, "fine"))[0][0] in ("champion", "flat")
        await until(lambda: pair.ready and len(pair.workers) == 2)
        assert await asked(pair, "fine") == [("champion", "")]
        assert pair.counts["restarts"] == 1
        pair.close()

    run(poisoned())


def test_of_rows_that_were_in_one_call_the_one_to_blame_is_found_while_another_worker_is_left(monkeypatch):
    made = stand_in(monkeypatch)
    monkeypatch.setattr(pairs, "SOON", 1.0)  # nothing is hedged here
    least = []

    async def poisoned():
        pair = await Pair(KEPT, 2.0).start()
        real = pair._gone

        def gone(worker):
            real(worker)
            least.append(len(pair.workers))

        for worker in pair.workers:
            worker._lost = gone
        pair._gone = gone
        first, *others = await asked(pair, "model waits", "fine", "features end", "fine", "fine")
        assert first == ("champion", "")
        assert others[1] == ("constant", "a worker died")
        assert [others[place] for place in (0, 2, 3)] == [("flat", "the model did not answer")] * 3
        await until(lambda: len(pair.workers) == 2)
        pair.close()

    run(poisoned())
    assert len(made) == 4  # the first died of the call, and one that stood by of the row alone
    assert least[:2] == [1, 1]  # one was always left


def test_rows_whose_features_are_being_made_are_not_given_to_the_other_worker(monkeypatch):
    made = stand_in(monkeypatch)
    monkeypatch.setattr(pairs, "SOON", 0.1)
    monkeypatch.setattr(pairs, "HANGS", 1.2)

    async def slow():
        pair = await Pair(KEPT, 0.9).start()
        assert await asked(pair, "fine") == [("champion", "")]
        assert await asked(pair, "features wait") == [("champion", "")]
        assert pair.counts["hedged"] == 0
        assert await asked(pair, "model waits") == [("champion", "")]
        assert pair.counts["hedged"] == 1
        assert await asked(pair, "features hang") == [("constant", "deadline")]
        await until(lambda: pair.counts["restarts"] == 1)
        assert pair.counts["hung"] == 1
        assert made[1].pid in {one.pid for one in pair.workers}
        pair.close()

    run(slow())


def test_a_model_that_ends_its_process_is_answered_for_by_the_other_for_each_row_of_the_call(monkeypatch):
    made = stand_in(monkeypatch)
    monkeypatch.setattr(pairs, "SOON", 1.0)

    async def ends():
        pair = await Pair(KEPT, 2.0).start()
        first, *others = await asked(pair, "model waits", "fine", "model ends", "fine")
        assert first == ("champion", "")
        assert others == [("flat", "the model did not answer")] * 3
        assert pair.counts["restarts"] == 1
        assert made[1].pid in {one.pid for one in pair.workers}
        pair.close()

    run(ends())


@pytest.mark.parametrize("place", [0, 1], ids=["first", "second"])
def test_a_worker_that_stands_still_before_it_has_read_a_row_is_answered_for_in_time(monkeypatch, place):
    made = stand_in(monkeypatch)
    monkeypatch.setattr(pairs, "SOON", 0.1)

    async def stands():
        pair = await Pair(KEPT, 1.5).start()
        assert await asked(pair, "fine") == [("champion", "")]
        made[place].send_signal(signal.SIGSTOP)
        found = await asked(pair, "model waits", "fine")
        # What it was given is the other's to answer: at the deadline where that is only kept at hand.
        expected = ("flat", "deadline") if place == 0 else ("champion", "")
        assert found == [expected] * 2
        pair.close()

    run(stands())


def test_side_tables_are_loaded_by_workers_that_live_and_those_that_are_gone_hold_nobody_up(monkeypatch):
    made = stand_in(monkeypatch)

    async def loaded():
        pair = await Pair(KEPT, 2.0).start()
        gone = pair.second
        made[1].kill()
        await until(lambda: gone.gone)
        await asyncio.wait_for(gone.load(("2", "digest")), 2)
        await until(lambda: len(made) == 3 and len(pair.workers) == 2)
        pair.second.kill()  # its loss is known a moment later
        await asyncio.wait_for(pair.second.load(("2", "digest")), 2)
        made[0].send_signal(signal.SIGSTOP)
        loads = asyncio.create_task(pair.load(("2", "digest")))
        await asyncio.sleep(0.05)
        pair.close()
        await asyncio.wait_for(loads, 2)

    try:
        run(loaded())
    finally:
        ended(made)


def test_a_worker_that_does_not_load_side_tables_in_time_is_started_anew(monkeypatch, capfd):
    made = stand_in(monkeypatch)

    async def stands():
        pair = await Pair(KEPT, 2.0).start()
        made[1].send_signal(signal.SIGSTOP)
        try:
            with monkeypatch.context() as patch:
                patch.setattr(processes, "LOADING", 0.2)
                await asyncio.wait_for(pair.load(("2", "digest")), 2)
            await until(lambda: len(made) == 3 and len(pair.workers) == 2)
            assert json.loads(made[2].args[-1])["tables"] == ["2", "digest"]
        finally:
            pair.close()

    try:
        run(stands())
    finally:
        ended(made)
    assert "a worker did not load side tables within" in capfd.readouterr().err


def test_a_worker_whose_model_hangs_at_its_first_answer_is_started_anew_before_long(monkeypatch, capfd):
    made = stand_in(monkeypatch, [{}, {}, {"MLWILD_TEST_LOADING": "0.5", "MLWILD_TEST_WARMING": "15"}])
    monkeypatch.setattr(processes, "WARMING", 0.2, raising=False)

    async def hangs():
        pair = await Pair(KEPT, 2.0).start()
        try:
            made[1].kill()
            await until(lambda: len(made) == 4 and len(pair.workers) == 2)
            assert made[2].wait(5) < 0
        finally:
            pair.close()

    try:
        run(hangs())
    finally:
        ended(made)
    assert "a worker cannot be started: serve: a model gave no first answer within" in capfd.readouterr().err


def test_a_worker_that_was_starting_while_side_tables_came_has_them_when_it_takes_its_place(monkeypatch):
    made = stand_in(monkeypatch, [{}, {}, {"MLWILD_TEST_LOADING": "0.3"}, {"MLWILD_TEST_LOADING": "0.3"}])

    async def comes():
        loads, real = [], Worker.load

        async def load(worker, tables):
            await real(worker, tables)
            loads.append((worker.pid, tables))
            if tables == ("2", "digest") and worker.pid == made[2].pid:  # and more come while it loads those
                await pair.load(("3", "digest"))

        pair = await Pair(KEPT, 2.0).start()
        monkeypatch.setattr(Worker, "load", load)
        made[1].kill()
        await until(lambda: len(made) == 3)
        assert pair.starting
        await pair.load(("2", "digest"))
        assert [pid for pid, _ in loads] == [made[0].pid]
        await until(lambda: len(pair.workers) == 2 and not pair.starting)
        assert [tables[0] for pid, tables in loads if pid == made[2].pid] == ["2", "3"]
        assert [tables[0] for pid, tables in loads if pid == made[0].pid] == ["2", "3"]
        # One that is on its way when the pair ends is ended too.
        made[2].kill()
        await until(lambda: len(made) == 4)
        assert not pair.ended
        pair.close()
        await until(lambda: pair.ended and made[3].poll() is not None)

    run(comes())


def test_what_a_worker_held_goes_with_it_and_waits_for_no_collector(monkeypatch):
    made = stand_in(monkeypatch)

    def held():
        """Return the descriptors of this process, as far as they are of slates and lines."""
        found = [os.path.realpath(one).rpartition("/")[2] for one in Path("/proc/self/fd").iterdir()]
        return sorted(one.partition(":")[0] for one in found if one.startswith(("memfd:mlwild", "socket:")))

    async def once(before):
        pair = await Pair(KEPT, 0.5).start()
        assert await asked(pair, "fine", "model ends") == [("champion", ""), ("flat", "the model did not answer")]
        assert len(held()) > len(before)
        await pair.drain(0.0)
        await until(lambda: pair.workers == [] and all(one.poll() is not None for one in made))

    async def goes():
        before = held()
        for _ in range(3):
            await once(before)
        await until(lambda: held() == before)

    gc.collect()
    gc.disable()  # a server's collector comes by seldom
    try:
        run(goes())
    finally:
        gc.enable()
