"""A connection that nobody asks on is closed, whatever comes on it; one that asks for another protocol is answered."""

from __future__ import annotations

import asyncio
import socket
import time
from types import SimpleNamespace

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse

from mlwild.serve import head as module
from mlwild.serve.head import LEAST, Connection
from tests.serve.stand_ins import run, until

HEAD = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
IDLE = 0.6


def served(client):
    """Have a client talk to connections that are closed when they were idle for a moment."""

    async def app(scope, receive, send):
        if scope["method"] == "POST":
            said = JSONResponse((await Request(scope, receive).body()).decode())
        else:
            said = JSONResponse({})
        await said(scope, receive, send)

    async def main():
        words = {"http": Connection, "ws": "none", "lifespan": "off", "log_level": "error"}
        server = uvicorn.Server(uvicorn.Config(app, timeout_keep_alive=IDLE, **words))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            running = asyncio.create_task(server.serve(sockets=[listener]))
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                await asyncio.wait_for(client(reader, writer), 5)
                writer.close()
            finally:
                server.should_exit = True
                await running

    asyncio.run(main())


@pytest.mark.parametrize(
    ("asked", "then"),
    [(HEAD + b"\r\n", b"\r\n"), (HEAD + b"Content-Length: 1000\r\n\r\n", b"x")],
    ids=["line breaks", "a body that nobody reads"],
)
def test_who_sends_bytes_that_begin_no_request_is_hung_up_on(asked, then):
    async def client(reader, writer):
        writer.write(asked)
        assert (await reader.readuntil(b"{}")).startswith(b"HTTP/1.1 200")
        began = time.monotonic()
        while time.monotonic() - began < IDLE * 3:  # each alone would not be idle for long
            writer.write(then)
            try:
                if await asyncio.wait_for(reader.read(1), IDLE / 4) == b"":
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
        assert time.monotonic() - began < IDLE * 2

    served(client)


def test_who_asks_again_in_time_is_answered():
    async def client(reader, writer):
        for _ in range(2):
            writer.write(b"\r\n" + HEAD + b"\r\n")
            assert (await reader.readuntil(b"{}")).startswith(b"HTTP/1.1 200")
            await asyncio.sleep(IDLE / 2)
            writer.write(HEAD[:9])
            await asyncio.sleep(IDLE / 2)
            writer.write(HEAD[9:] + b"\r\n")
            assert (await reader.readuntil(b"{}")).startswith(b"HTTP/1.1 200")
        await asyncio.sleep(IDLE * 1.5)
        assert await reader.read(1) == b""

    served(client)


H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
ASKED = b"POST /predict HTTP/1.1\r\nHost: localhost\r\n" + H2C
BODIES = [b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"]


@pytest.mark.parametrize("body", BODIES, ids=["length", "chunks"])
@pytest.mark.parametrize("whole", [True, False])
def test_who_asks_for_another_protocol_is_answered_as_if_he_had_not(body, whole):
    """Clients that would speak HTTP/2 ask so with their first request, Java's without being told to."""

    async def client(reader, writer):
        for _ in range(2):
            for piece in (ASKED + body,) if whole else (bytes([one]) for one in ASKED + body):
                writer.write(piece)
                await asyncio.sleep(0)
            assert (await reader.readuntil(b'"hello"')).startswith(b"HTTP/1.1 200")
        writer.write(b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400")

    served(client)


def test_any_number_of_such_requests_on_end_is_answered():
    async def client(reader, writer):
        writer.write((HEAD + H2C + b"\r\n") * 1000)
        for _ in range(1000):
            assert (await reader.readuntil(b"{}")).startswith(b"HTTP/1.1 200")

    served(client)


def test_who_takes_no_answer_is_hung_up_on_and_his_place_is_free(monkeypatch, caplog, capfd):
    monkeypatch.setattr(module, "TAKE", 0.3)
    inside, answered = [], []

    async def app(scope, receive, send):
        inside.append(scope)
        answered.append(scope)
        try:
            await PlainTextResponse("x" * (16 << 20))(scope, receive, send)  # no system takes so much for a client
        finally:
            inside.remove(scope)

    async def main():
        words = {"http": Connection, "ws": "none", "lifespan": "off", "log_level": "error"}
        server = uvicorn.Server(uvicorn.Config(app, **words))
        with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
            running = asyncio.create_task(server.serve(sockets=[listener]))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(listener.getsockname())
            client.sendall((HEAD + b"\r\n") * 3)  # the second waits until the first was taken
            try:
                await until(lambda: len(inside) == 1 and len(answered) == 2)
                await until(lambda: not inside and not server.server_state.connections, 10)
            finally:
                server.force_exit = server.should_exit = True
                await running
            assert len(answered) == 2

    run(main())
    assert caplog.text == capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("left", "ends"),
    [
        ([0, 0, 0], False),
        ([5, 0, 5, 0], False),
        ([9 * LEAST, 8 * LEAST, 7 * LEAST], False),
        ([LEAST, 9 * LEAST, 8 * LEAST], False),  # another answer came
        ([9 * LEAST, 9 * LEAST], True),
        ([9 * LEAST, 8 * LEAST, 7 * LEAST + 1], True),
        ([5, 5], True),
    ],
)
def test_who_takes_his_answers_slowly_is_waited_for_and_who_hardly_does_is_not(left, ends):
    aborted, looks = [], iter(left)
    one = Connection.__new__(Connection)
    one._left, one.loop = 0, SimpleNamespace(call_later=lambda *_: None)
    one.transport = SimpleNamespace(get_write_buffer_size=lambda: next(looks), abort=lambda: aborted.append(True))
    for _ in left:
        assert not aborted
        one._look()
    assert bool(aborted) == ends
