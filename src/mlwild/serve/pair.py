"""Two worker processes: one answers, the other stands by; rows never wait longer than the deadline."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from dataclasses import replace
from functools import partial
from typing import Any

from mlwild.answering.telling import tell
from mlwild.errors import MlwildError
from mlwild.serve.messages import MADE, SENT
from mlwild.serve.process import Kept, Worker, current, there
from mlwild.serve.tickets import Lists, Reply, Ticket, constant, joined, reply_of, taken

#: Rows of a large request that are asked at once, so that small ones need not wait for all of it.
PIECE = 100
#: Rows that a call takes at first, and at most.
ROWS, MOST_ROWS = 256, 1000
#: A call that takes this many deadlines hangs; seconds at least.
HANGS, HANGS_LEAST = 2.0, 1.0
#: A worker that lived so many seconds did not die of what it is given all the time.
STEADY = 10.0
#: Latencies that the 95th percentile is taken of, and seconds that a hedge waits at least.
KEPT, SOON = 256, 0.02
#: Longest wait before a worker that dies at once is started again.
LONGEST = 30.0


class Pair:
    """
    A champion and its standby.

    Rows go to the first worker, those that wait while it is busy all in one call. Rows that take longer than most go to
    the second one too, from the second stage of the chain on: that answer is kept at hand, and used if the first has
    not come by the deadline. Where there is none at hand, the constant answers. A worker that hangs is killed.

    Where one dies of its model, the other answers what it was at, from the second stage on, each request alone. Where
    it dies before it has the features, they would end the other too: each request is asked alone while one more worker
    is left, and one that was alone already gets the constant. What one makes features of is not given to the other.

    Parameters
    ----------
    kept : Kept
        What both load.
    deadline : float
        Seconds.
    standby : bool
        Whether there is a second worker.
    """

    def __init__(self, kept: Kept, deadline: float, *, standby: bool = True) -> None:
        self.kept, self.deadline, self.standby = kept, deadline, standby
        self.told: dict[str, Any] = {}
        self.counts: Counter[str] = Counter()
        self.open_rows = self.asking = 0  # the latter: answers on their way that may still come to ask
        self.trouble = ""
        self.first: Worker | None = None
        self.second: Worker | None = None
        self._open: dict[Ticket, None] = {}
        self._small: deque[Ticket] = deque()
        self._large: deque[Ticket] = deque()
        self._urgent: deque[Ticket] = deque()
        self._bereft: deque[Ticket] = deque()
        self._suspects: deque[Ticket] = deque()
        self._flights: dict[Worker, tuple[list[Ticket], int, asyncio.TimerHandle]] = {}
        self._took: deque[float] = deque(maxlen=KEPT)
        self._p95, self._calls, self._rows, self._deaths = 0.0, 0, ROWS, 0
        self._hedger: asyncio.TimerHandle | None = None
        self._starting: set[asyncio.Task[None]] = set()
        self._ends = False
        self._loop = asyncio.get_running_loop()

    async def start(self) -> Pair:
        """
        Start both workers.

        Raises
        ------
        AppError, StoreError
            If a worker cannot load the app or its model.
        """
        both = [self._loop.create_task(Worker.start(self.kept, self._gone)) for _ in range(1 + self.standby)]
        try:
            self.first = there(await both[0])
            self.told = self.first.told
            if self.standby:
                self.second = there(await both[1])
        except BaseException:
            for task in both:
                task.cancel()
            await asyncio.wait(both)
            for task in both:
                if not task.cancelled() and task.exception() is None:
                    task.result().kill()
            self.close()
            raise
        return self

    @property
    def workers(self) -> list[Worker]:
        """Those that live."""
        return [one for one in (self.first, self.second) if one is not None]

    @property
    def ready(self) -> bool:
        """Whether a model answers."""
        return self.first is not None and not self._late(self.first)

    async def answer(self, columns: Lists, n: int, within: float | None = None) -> Reply:
        """Return the answers to some rows, within the deadline; it grows with the rows, by a deadline each 1,000."""
        within = (self.deadline if within is None else within) * (1 + n / 1000)
        if n <= PIECE:
            ticket = self._ticket(columns, n, within)
            self._small.append(ticket)
            tickets = [ticket]
        else:
            pieces = range(0, n, PIECE)
            tickets = [
                self._ticket([one[at : at + PIECE] for one in columns], min(PIECE, n - at), within) for at in pieces
            ]
            self._large.extend(tickets)
        self._pump()
        try:
            return joined([await ticket.future for ticket in tickets])
        finally:
            for ticket in tickets:
                ticket.future.cancel()
                self._closed(ticket)

    def _ticket(self, columns: Lists, n: int, within: float) -> Ticket:
        ticket = Ticket(columns, n, self._loop.time(), within, self._loop.create_future())
        ticket.timer = self._loop.call_later(within, self._due, ticket)
        self._open[ticket] = None
        self.open_rows += n
        if self._hedger is None:
            self._hedger = self._loop.call_later(self._patience, self._hedge)
        return ticket

    def _closed(self, ticket: Ticket) -> None:
        if ticket in self._open:
            del self._open[ticket]
            self.open_rows -= ticket.n
            if ticket.timer is not None:
                ticket.timer.cancel()

    def _pump(self) -> None:
        """Give out what waits."""
        first = self.first
        if first is not None and first.idle:
            batch = self._batch()
            if batch:
                self._give(first, 0, batch)
        elif first is None or self._late(first):
            for waiting in (self._small, self._large):
                self._urgent.extend(waiting)
                waiting.clear()
        if not (self._urgent or self._bereft or self._suspects):
            return
        other = self.second or self.first
        if other is None:
            for waiting in (self._urgent, self._bereft, self._suspects):
                while waiting:
                    ticket = waiting.popleft()
                    ticket.settle(ticket.spare or constant(self.told, ticket.n, "no worker is ready"))
        elif other.idle:
            batch = self._single() or taken(self._urgent, self._rows)
            if batch:
                self._give(other, 1, batch)

    def _batch(self) -> list[Ticket]:
        """Return small requests that wait, and one piece of a large one."""
        risky = self._risky(self.second)
        return taken(self._small, self._rows, risky) + taken(self._large, 1, risky)

    def _single(self) -> list[Ticket]:
        """Return a ticket that is asked alone; one that may end a worker only while another is left."""
        safe = self.first is not None and self.second is not None and not self._late(self.first)
        for waiting in (self._bereft, self._suspects) if safe else (self._bereft,):
            while waiting:
                ticket = waiting.popleft()
                if not ticket.done:
                    return [ticket]
        return []

    def _with(self, worker: Worker | None) -> list[Ticket]:
        """Return what a worker is at."""
        return self._flights[worker][0] if worker is not None and worker in self._flights else []

    def _risky(self, worker: Worker | None) -> set[Ticket]:
        """Return rows whose features a worker is to make yet: nobody knows whether they would take the other too."""
        if worker is None or worker.reached == MADE:
            return set()
        # One that has not even read them by then stands still, and will not make them.
        stands = worker.reached == SENT and self._loop.time() - worker.asked_at > self.deadline / 2
        return set() if stands else set(self._with(worker))

    def _give(self, worker: Worker, stage: int, batch: list[Ticket]) -> None:
        n = sum(ticket.n for ticket in batch)
        if len(batch) == 1:
            columns = batch[0].columns
        else:
            parts = zip(*(ticket.columns for ticket in batch), strict=True)
            columns = [[cell for part in column for cell in part] for column in parts]
        patience = max(HANGS * self.deadline * (1 + n / 1000), HANGS_LEAST)
        self._flights[worker] = batch, stage, self._loop.call_later(patience, self._hangs, worker)
        worker.ask(stage, columns, partial(self._landed, worker, stage))

    def _landed(self, worker: Worker, stage: int, lists: Lists | None, seconds: float, why: str) -> None:
        """Take what a worker answered."""
        batch, _, timer = self._flights.pop(worker)
        timer.cancel()
        if lists is None:
            self._failed(batch, stage, why)
        else:
            reply, at = reply_of(lists, seconds), 0
            keep = stage > 0 and self.first is not None and self.first is not worker and not self._late(self.first)
            for ticket in batch:
                part = reply if len(batch) == 1 else reply.part(at, at + ticket.n)
                at += ticket.n
                if keep and ticket.hedged and not ticket.alone:
                    ticket.spare = part
                else:
                    ticket.settle(part if stage == 0 else part.because("the model did not answer"))
            if stage == 0:
                self._learn(worker, seconds)
        self._pump()

    def _failed(self, batch: list[Ticket], stage: int, why: str) -> None:
        """Give rows that a worker could not answer to the other one; then to nobody."""
        for ticket in batch:
            if stage == 0 and ticket.spare is None:
                self._urgent.append(ticket)
            else:
                ticket.settle(ticket.spare or constant(self.told, ticket.n, f"a worker raised {why}"))

    def _learn(self, worker: Worker, seconds: float) -> None:
        self._took.append(self._loop.time() - worker.asked_at)
        self._calls += 1
        if self._calls % 32 == 1:
            ordered = sorted(self._took)
            self._p95 = ordered[int(0.95 * (len(ordered) - 1))]
        # A call must leave time for those that wait for its end.
        if seconds > self.deadline / 4:
            self._rows = max(self._rows // 2, 1)
        elif seconds < self.deadline / 16:
            self._rows = min(self._rows * 2, MOST_ROWS)

    @property
    def _patience(self) -> float:
        return min(max(self._p95, SOON), self.deadline / 2)

    def _hedge(self) -> None:
        """Have the second worker answer what takes long."""
        self._hedger = None
        now, patience, second = self._loop.time(), self._patience, self.second
        due: list[Ticket] = []
        risky = self._risky(self.first)
        for ticket in self._open:
            if now - ticket.asked < patience:
                break
            if not (ticket.hedged or ticket.done or ticket.alone or ticket in risky):
                due.append(ticket)
        if due and second is not None and second.idle and not self._urgent:
            batch = taken(deque(due), self._rows)
            for ticket in batch:
                ticket.hedged = True
            self.counts["hedged"] += len(batch)
            self._give(second, 1, batch)
        self._pump()  # the first may be late by now, or the second stand still with what waits
        if self._open:
            self._hedger = self._loop.call_later(patience, self._hedge)

    def _due(self, ticket: Ticket) -> None:
        """Answer at the deadline, with what is at hand."""
        if not ticket.done:
            self.counts["late"] += 1
            cause = "deadline" if self.workers else "no worker is ready"
            spare = ticket.spare
            ticket.settle(constant(self.told, ticket.n, cause) if spare is None else spare.because(cause))

    def _late(self, worker: Worker) -> bool:
        """Say whether a worker is past the deadline of its call."""
        n = sum(ticket.n for ticket in self._with(worker))
        return n > 0 and self._loop.time() - worker.asked_at > self.deadline * (1 + n / 1000)

    def _hangs(self, worker: Worker) -> None:
        worker.hung = True
        self.counts["hung"] += 1
        worker.kill()

    def _gone(self, worker: Worker) -> None:
        """Go on without a worker, and start another."""
        batch, stage, timer = self._flights.pop(worker, ([], 0, None))
        if timer is not None:
            timer.cancel()
        steady = self._loop.time() - worker.since >= STEADY
        if worker is self.first:
            self.first = None
            # One that died of itself may have been killed; one that hangs would take the other with it.
            if steady and not worker.hung and self.second is not None:
                self.first, self.second = self.second, None
        elif worker is self.second:
            self.second = None
        else:
            return
        self._bereave(batch, stage, worker.reached)
        if not self._ends:
            self.counts["restarts"] += 1
            self._deaths = 0 if steady else self._deaths + 1
            wait = 0.0 if self._deaths <= 1 else min(0.5 * 2.0 ** (self._deaths - 2), LONGEST)
            task = self._loop.create_task(self._again(wait))
            self._starting.add(task)
            task.add_done_callback(self._starting.discard)
        self._pump()

    def _bereave(self, batch: list[Ticket], stage: int, reached: int) -> None:
        """Say what becomes of rows whose worker died: one that may take the other with it is not just handed on."""
        elsewhere = {ticket for one in self.workers for ticket in self._with(one)}
        for ticket in batch:
            if ticket.spare is not None:
                ticket.settle(ticket.spare.because("a worker died"))
            elif ticket.done:
                continue
            elif ticket in elsewhere:
                ticket.hedged = stage > 0  # where the first died, what the second says counts at once
            elif reached == SENT:  # it died of something else
                (self._bereft if ticket.alone else self._urgent).append(ticket)
            elif reached == MADE and stage == 0:  # of its model, which the other does not ask
                ticket.alone = True
                self._bereft.append(ticket)
            elif len(batch) > 1 and self.standby:
                ticket.alone = True
                self._suspects.append(ticket)
            else:
                ticket.settle(constant(self.told, ticket.n, "a worker died"))

    async def _again(self, wait: float) -> None:
        """Start a worker in the place of one that is gone, until that succeeds."""
        while True:
            await asyncio.sleep(wait)
            try:
                worker = await current(lambda: self.kept, self._gone)
            except MlwildError as problem:
                self.trouble = str(problem)
                tell(f"a worker cannot be started: {problem}")
                wait = min(max(2 * wait, 1.0), LONGEST)
                continue
            break
        self.trouble = ""
        if self.first is None:
            self.first = worker
        else:
            self.second = worker
        self._pump()

    @property
    def starting(self) -> bool:
        """Whether a worker is on its way, which may load side tables that were replaced meanwhile."""
        return bool(self._starting)

    @property
    def ended(self) -> bool:
        """Whether its workers were ended, and none comes any more."""
        return self._ends and not self._starting

    async def load(self, tables: tuple[str, str]) -> None:
        """Have the workers answer by other side tables, one after the other; those to come begin with them."""
        self.kept = replace(self.kept, tables=tables)
        for worker in self.workers:
            await worker.load(tables)

    async def drain(self, seconds: float) -> None:
        """Wait until nobody asks any more, then end the workers; who was read to them a moment ago may still come."""
        end = self._loop.time() + seconds
        try:
            await asyncio.sleep(min(1.0, seconds))
            # Rows come and go: a look now and then will do.
            while (self._open or self.asking) and self._loop.time() < end:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        finally:
            self.close()

    def close(self) -> None:
        """End the workers at once."""
        self._ends = True
        for task in list(self._starting):
            task.cancel()
        if self._hedger is not None:
            self._hedger.cancel()
        for worker in self.workers:
            worker.kill()
