"""The front process: it reads requests, has them answered, logs and acknowledges; it runs no code of the user's."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mlwild.clock import Clock, now_seconds, text_of
from mlwild.operating.beside import SHADOW
from mlwild.serve.answers import Writer, flat, noted, written
from mlwild.serve.arms import BEHIND, Arms, Standing
from mlwild.serve.drift import JUMP, Drift
from mlwild.serve.ids import AGAIN, Ids, Known
from mlwild.serve.log import PATIENCE, FullError, Log, StalledError
from mlwild.serve.meters import Meters
from mlwild.serve.openapi import described
from mlwild.serve.requests import Asked, FutureError, Reader, RefusedError, about
from mlwild.serve.shares import Share
from mlwild.served import places, read_at

#: Bytes of a body that is read whatever waits: of a longer one the rows are estimated first.
SHORT = 10_000
#: Of the rows that may wait: the part that small requests have beside them, and the part that one of these may have.
BESIDE, FEW = 10, 200


@dataclass(frozen=True)
class Limits:
    """
    What a server takes on.

    Parameters
    ----------
    deadline : float
        Seconds that a row may wait for the model; a request of n rows has (1 + n / 1000) times that.
    body : int
        Bytes of a request.
    rows : int
        Rows of a request.
    waiting : int
        Rows that may wait at once, of all clients; one client may have half of them. For requests of a two-hundredth of
        them or fewer there is room for a tenth more, so that they are answered while large ones wait.
    unlogged : bool
        Whether answers go on while the log cannot be written.
    """

    deadline: float = 0.5
    body: int = 1 << 20
    rows: int = 10_000
    waiting: int = 20_000
    unlogged: bool = False


@dataclass(frozen=True, eq=False)
class Post:
    """
    Who answers at present, and how it is asked.

    Parameters
    ----------
    standing : Standing
    reader : Reader
    writer : Writer
    """

    standing: Standing
    reader: Reader
    writer: Writer


class UnsettledError(RefusedError):
    """
    An answer of which is not known yet whether it is in the log.

    Parameters
    ----------
    known : Known
        The answer, if it is.
    fate : Future of int
        The place of its line, or why it is not.
    """

    def __init__(self, known: Known, fate: asyncio.Future[int]) -> None:
        super().__init__(503, "The answer is not logged yet: the disk of the log stalls. Come again.", AGAIN)
        self.known, self.fate = known, fate


class Front:
    """
    What answers.

    Parameters
    ----------
    arms : Arms
    log : Log
    limits : Limits
    """

    def __init__(self, arms: Arms, log: Log, limits: Limits) -> None:
        self.arms, self.log, self.limits = arms, log, limits
        self.ids, self.meters = Ids(self._read_back), Meters()
        self.meters.watch(arms, log)
        log.observe = self.meters.sync.observe
        self._rows = Share(limits.waiting, "rows are waiting")
        self._beside = Share(max(limits.waiting // BESIDE, 1), "rows are waiting")
        self._tasks: set[asyncio.Task[None]] = set()
        self.now: Post | None = None
        self._drift = Drift()

    def follow(self, standing: Standing) -> None:
        """Answer by what is live now."""
        told = standing.champion.told
        columns, clock = standing.columns, Clock(told["clock"])
        reader = Reader(columns, self.most, teller(clock), self._drift.behind)
        writer = Writer(columns.names, columns.time, columns.key, told["ask"], told["classes"])
        self.now = Post(standing, reader, writer)
        self.meters.follow(standing)

    @property
    def post(self) -> Post:
        """Who answers at present."""
        assert self.now is not None
        return self.now

    @property
    def most(self) -> int:
        """Rows that a request may have: one of more than may wait could never be answered."""
        return min(self.limits.rows, self.limits.waiting)

    def remember(self) -> None:
        """Know the requests again that were answered before the start."""
        for name, place in places(self.log.folder):
            self.ids.put(name, place)

    async def _read_back(self, name: str, place: int) -> Known | None:
        """Return what a request got before it came again; None where its line is not there any more."""
        try:
            async with asyncio.timeout(PATIENCE):
                line = await asyncio.to_thread(read_at, self.log.folder, place)
        except OSError:  # TimeoutError too
            raise RefusedError(503, "The answer of this request cannot be read now. Come again.", AGAIN) from None
        if line is None or line["id"] != name:
            return None
        return Known(line["asked"], written(line["answer"]), str(line["vintage"]), place)

    async def predict(self, request: Request) -> Response:
        """Answer `/predict`."""
        return await self._respond(request, "/predict")

    async def invocations(self, request: Request) -> Response:
        """Answer `/invocations`."""
        return await self._respond(request, "/invocations")

    async def _respond(self, request: Request, path: str) -> Response:
        began, post, client = time.perf_counter(), self.post, request.scope["mlwild.client"]
        self._expect(client, request.scope["mlwild.body"], post)
        read = post.reader.predict if path == "/predict" else post.reader.invocations
        late: FutureError | None = None
        try:
            asked = read(request.scope["mlwild.body"], _named(request))
        except FutureError as problem:
            asked, late = problem.asked, problem
        if client and asked.n > self._rows.half:
            raise RefusedError(413, f"There are more than {self._rows.half} rows. Send them in parts.")
        share = self._taken(client, asked.n)
        try:
            name = asked.id or uuid.uuid4().hex
            known, timing = await self._once(post, name, asked, path, late)
        finally:
            share.leave(client, asked.n)
        body = known.body if path == "/predict" else flat(known.body)
        timing += f"total;dur={1000 * (time.perf_counter() - began):.2f}"
        vintage = written(known.vintage)[1:-1]  # a header holds no letter beyond ASCII, and no end of a line
        headers = {"X-Request-Id": name, "X-Vintage": vintage, "Server-Timing": timing}
        return Response(body, media_type="application/json", headers=headers)

    def _expect(self, client: str, body: bytes, post: Post) -> None:
        """Refuse a long body before it is read, which costs as much as to answer it, where its rows may not wait."""
        if len(body) > SHORT:
            most = self._rows.half if client else self.most  # the estimate alone is no reason never to answer
            self._rows.check(client, min(about(body, len(post.reader.columns.names)), most))

    def _taken(self, client: str, n: int) -> Share:
        """Take room for rows, and return of what; small requests have some beside that of all."""
        try:
            self._rows.take(client, n)
        except RefusedError:
            if n > max(self.limits.waiting // FEW, 1):
                raise
        else:
            return self._rows
        self._beside.take(client, n)
        return self._beside

    async def _once(
        self, post: Post, name: str, asked: Asked, path: str, late: FutureError | None
    ) -> tuple[Known, str]:
        """Answer a request, or give the answer that it got before; only without one is the future refused."""
        if not asked.id:
            return await self._answered(post, name, asked, "", late)
        digest = asked.digest(path)
        within = self.limits.deadline * (1 + asked.n / 1000) + PATIENCE
        known = await self.ids.begin(name, digest, within)
        if known is not None:
            return known, "again;dur=0, "
        try:
            made, timing = await self._answered(post, name, asked, digest, late)
        except UnsettledError as problem:  # it goes on running, so that it is not logged twice
            problem.fate.add_done_callback(partial(self._settled, name, problem.known))
            raise
        except BaseException:
            self.ids.end(name, None)
            raise
        self.ids.end(name, made)
        return made, timing

    def _settled(self, name: str, known: Known, fate: asyncio.Future[int]) -> None:
        """Take note whether an answer is in the log that nobody waits for any more."""
        logged = not fate.cancelled() and fate.exception() is None
        self.ids.end(name, replace(known, place=fate.result()) if logged else None)

    async def _answered(
        self, post: Post, name: str, asked: Asked, digest: str, late: FutureError | None
    ) -> tuple[Known, str]:
        """Have a request answered, and log it before anybody is told."""
        if late is not None:
            raise late
        standing, writer = post.standing, post.writer
        if self.log.trouble and not self.limits.unlogged:
            raise self._unlogged()
        began = time.perf_counter()
        reply, arms = await standing.answer(asked, self._names(name, asked, writer))
        reply, middle = noted(asked, reply, _doubt(asked, standing)), time.perf_counter()
        body = writer.body(name, asked, reply, arms)
        vintage = ",".join(dict.fromkeys(reply["vintage"]))
        told = {"asked": digest, "answer": body, "vintage": vintage}
        known = Known(digest, body, vintage)
        try:
            known = replace(known, place=await self.log.add(writer.line(name, asked, reply, arms, told)))
        except FullError as problem:
            if not self.limits.unlogged:
                if isinstance(problem, StalledError):
                    raise UnsettledError(known, problem.fate) from None
                raise self._unlogged() from None
            self.meters.unlogged.inc(asked.n)
        end = time.perf_counter()
        self.meters.answered(reply, arms, middle - began)
        self.meters.ignored(asked.ignored)
        if standing.shadow is not None:
            self._shadow(post, name, asked)
        timing = f"model;dur={1000 * reply.seconds:.2f}, answer;dur={1000 * (middle - began):.2f}, "
        return known, timing + f"log;dur={1000 * (end - middle):.2f}, "

    def _unlogged(self) -> RefusedError:
        why = self.log.trouble and f": {self.log.trouble}"
        return RefusedError(503, f"The answer could not be logged{why}. Come again.", AGAIN)

    @staticmethod
    def _names(name: str, asked: Asked, writer: Writer) -> list[str]:
        """Return what rows are told apart by: the key of the event, or the request and its place in it."""
        key = None if writer.key is None else asked.columns[writer.names.index(writer.key)]
        if key is None:
            return [f"{name}/{row}" for row in range(asked.n)]
        return [f"{name}/{row}" if key[row] is None else str(key[row]) for row in range(asked.n)]

    def _shadow(self, post: Post, name: str, asked: Asked) -> None:
        """Have the shadow answer too, for the log alone; a shadow that is behind is left out."""
        shadow, writer = post.standing.shadow, post.writer
        assert shadow is not None
        if shadow.open_rows > BEHIND:
            self.meters.unshadowed.inc(asked.n)
            return

        async def scored() -> None:
            reply = await shadow.answer(asked.columns, asked.n)
            arms = [SHADOW] * asked.n
            told = {"asked": "", "answer": writer.body(name, asked, reply, arms), "vintage": reply["vintage"][0]}
            try:
                await self.log.add(writer.line(name, asked, reply, arms, told))
            except FullError:
                self.meters.unshadowed.inc(asked.n)

        task = asyncio.get_running_loop().create_task(scored())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self) -> None:
        """Wait for what is scored in shadow."""
        await asyncio.gather(*self._tasks)

    async def health(self, _: Request) -> Response:
        """Say that the process runs."""
        return JSONResponse({"status": "up"})

    async def ready(self, _: Request) -> Response:
        """Say whether a model answers, and its answers can be logged."""
        standing, trouble = self.post.standing, self.log.failing
        good = standing.champion.ready and (not trouble or self.limits.unlogged)
        said = {
            "ready": good,
            "log": trouble or "writes",
            "vintage": standing.champion.told["vintage"],
            "stages": standing.champion.told["stages"],
            "unguarded": standing.champion.told["unguarded"],
            "arms": {arm: pair.told["vintage"] for arm, pair in standing.pairs.items()},
            "workers": len(standing.champion.workers),
            "troubled": bool(self.arms.trouble),
        }
        return JSONResponse(said, 200 if good else 503)

    async def metrics(self, _: Request) -> Response:
        """Return the figures, as Prometheus reads them."""
        return Response(self.meters.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def application(front: Front) -> FastAPI:
    """Return the routes."""
    # A page with a slash behind it is another one: to lead there, an answer would name whatever host the client named.
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    routes: dict[str, tuple[Callable[[Request], Coroutine[Any, Any, Response]], str]] = {
        "/predict": (front.predict, "POST"),
        "/invocations": (front.invocations, "POST"),
        "/health": (front.health, "GET"),
        "/ready": (front.ready, "GET"),
        "/metrics": (front.metrics, "GET"),
    }
    for path, (answer, method) in routes.items():
        app.add_route(path, answer, methods=[method])

    async def openapi(request: Request) -> Response:
        # Who has a name came with a key: then all others need one too.
        return JSONResponse(described(front.post.standing, front.most, keyed=bool(request.scope["mlwild.client"])))

    app.add_route("/openapi.json", openapi, methods=["GET"])
    app.exception_handler(RefusedError)(_refused)
    app.exception_handler(HTTPException)(_refused_by_the_router)
    app.exception_handler(Exception)(_unforeseen)
    return app


def _named(request: Request) -> str | None:
    """Return the id in the head of a request."""
    given = request.headers.getlist("x-request-id")
    if len(given) > 1:
        raise RefusedError(400, "The header X-Request-Id stands there twice.")
    return given[0] if given else None


def _doubt(asked: Asked, standing: Standing) -> str:
    """Return why rows that the clock dated are not normal: it is behind what is known, and so wrong for certain."""
    newest = standing.champion.told["newest"] if asked.dated else None
    if newest is None or (now := now_seconds()) > newest - JUMP:
        return ""
    return f"its time is that of this machine's clock, {text_of(now)}, before the newest label was known"


async def _refused(_: Request, problem: Exception) -> Response:
    assert isinstance(problem, RefusedError)
    return JSONResponse({"error": problem.said}, problem.code, headers=problem.headers)


async def _unforeseen(_: Request, __: Exception) -> Response:
    return JSONResponse({"error": "The request could not be answered; the operator's terminal says why."}, 500)


async def _refused_by_the_router(_: Request, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)
    said = {404: "There is no such page.", 405: "This page takes another method."}
    return JSONResponse(
        {"error": said.get(problem.status_code, "The request cannot be answered.")},
        problem.status_code,
        headers=dict(problem.headers or {}),
    )


def teller(clock: Clock) -> Callable[[], int | None]:
    """Return what tells the time in microseconds, as a time column counts it; None where that holds integers."""
    if clock.kind == "tick":
        return lambda: None
    if clock.kind == "instant":
        return lambda: int(now_seconds() * 1e6)
    return lambda: clock.now() // 1000
