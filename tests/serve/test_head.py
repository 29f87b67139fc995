"""A connection that nobody asks on is closed, whatever comes on it."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest
import uvicorn
from starlette.responses import JSONResponse

from mlwild.serve.head import Connection

HEAD = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
IDLE = 0.6


def served(client):
    """Have a client talk to connections that are closed when they were idle for a moment."""

    async def app(scope, receive, send):
        await JSONResponse({})(scope, receive, send)

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
