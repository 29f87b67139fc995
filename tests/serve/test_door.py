"""The door of a server: by which names it is called, and how many bodies it takes."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter

import pytest
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.testclient import TestClient

from mlwild.hosts import answered
from mlwild.serve.door import ARRIVING, AT_ONCE, Door
from mlwild.serve.keys import Key, digest_of


@pytest.mark.parametrize(
    ("host", "good", "bad", "said"),
    [
        ("0.0.0.0", "10.0.0.7:8000", "vm:8000", "is called by its address in figures, such as http://10.0.0.7:8000"),
        ("predict.example", "predict.example:8000", "10.0.0.7", "the name or address that it was started with only"),
        ("127.0.0.1", "localhost:8000", "vm", "answers to localhost"),
    ],
)
def test_who_calls_by_another_name_is_told_which_would_do(host, good, bad, said):
    client = TestClient(Door(PlainTextResponse("in"), 100, lambda *_: None, answered(host)))
    refused = client.get("/health", headers={"host": bad})
    assert refused.status_code == 421
    assert said in refused.json()["error"]
    assert client.get("/health", headers={"host": good}).text == "in"


@pytest.mark.parametrize(
    ("path", "version", "hosts", "code"),
    [
        ("/health", "1.0", [], 200),
        ("/ready", "1.0", [], 200),
        ("/metrics", "1.0", [], 200),
        ("/predict", "1.0", [], 421),
        ("/openapi.json", "1.0", [], 421),
        ("/health", "1.1", [], 421),
        ("/health", "1.0", [b"evil.example"], 421),
        ("/health", "1.0", [b""], 421),
        ("/health", "1.0", [b"localhost", b"localhost"], 421),
    ],
)
def test_a_probe_of_http_1_0_need_not_name_the_host(path, version, hosts, code):
    codes = []

    async def send(message):
        codes.extend([message["status"]] if message["type"] == "http.response.start" else [])

    scope = {"type": "http", "path": path, "method": "GET", "http_version": version}
    scope["headers"] = [(b"host", one) for one in hosts]
    asyncio.run(Door(PlainTextResponse("in"), 100, lambda *_: None)(scope, None, send))
    assert codes == [code]


class Crowd:
    """Callers of a door whose answers, and the rest of whose bodies, come once an event is set."""

    def __init__(self):
        keys = tuple(Key(name, digest_of(name), "") for name in ("one", "two"))
        self.goes_on, self.entered, self.tasks = asyncio.Event(), Counter(), []
        self.door = Door(self.routes, 100, lambda *_: None, keys=keys)

    async def routes(self, scope, receive, send):
        self.entered[scope["mlwild.client"]] += 1
        await self.goes_on.wait()
        await JSONResponse({})(scope, receive, send)

    async def ask(self, name, *parts):
        """Return the code; a body without a brace at its end goes on."""
        told, codes = [*parts], []

        async def receive():
            if not told:
                await self.goes_on.wait()
                return {"type": "http.disconnect"}
            body = told.pop(0)
            return {"type": "http.request", "body": body, "more_body": not body.endswith(b"}")}

        async def send(message):
            codes.extend([message["status"]] if message["type"] == "http.response.start" else [])

        headers = [(b"host", b"localhost"), (b"content-type", b"application/json"), (b"x-api-key", name.encode())]
        await self.door({"type": "http", "path": "/predict", "method": "POST", "headers": headers}, receive, send)
        return codes[0]

    async def begin(self, n, *asked):
        """Have so many ask, and go on."""
        self.tasks += [asyncio.create_task(self.ask(*asked)) for _ in range(n)]
        await asyncio.sleep(0)

    async def end(self):
        """Have all of them answered, and return the codes."""
        self.goes_on.set()
        return Counter(await asyncio.gather(*self.tasks))


def crowded(work):
    """Have something done with a crowd, within some seconds."""

    async def main():
        await asyncio.wait_for(work(Crowd()), 10)

    asyncio.run(main())


def test_bodies_that_do_not_come_take_no_place():
    async def work(crowd):
        await crowd.begin(AT_ONCE + 1, "one", b"{")
        await crowd.begin(2, "one", b"{}")
        await crowd.begin(2, "two", b"{}")
        assert crowd.entered == {"one": 2, "two": 2}
        assert await crowd.end() == {400: AT_ONCE + 1, 200: 4}

    crowded(work)


def test_one_key_has_half_of_the_places():
    async def work(crowd):
        await crowd.begin(AT_ONCE // 2, "one", b"{}")
        assert await crowd.ask("one", b"{}") == 429
        await crowd.begin(AT_ONCE // 2, "two", b"{}")
        assert crowd.entered == {"one": AT_ONCE // 2, "two": AT_ONCE // 2}
        assert await crowd.end() == {200: AT_ONCE}
        assert await crowd.ask("one", b"{}") == 200

    crowded(work)


def test_what_is_held_of_bodies_that_go_on_coming_has_a_limit_and_whole_ones_are_taken_beside():
    async def work(crowd):
        await crowd.begin(ARRIVING // 2, "one", b"x" * 100)
        assert await crowd.ask("one", b"x", b"}") == 429
        await crowd.begin(1, "two", b"x" * 50, b"}")
        await crowd.begin(ARRIVING // 2, "two", b"x" * 100)
        assert await crowd.ask("two", b"x", b"}") == 503
        for name in ("one", "two"):
            await crowd.begin(1, name, b"x" * 99 + b"}")
        assert crowd.entered == {"one": 1, "two": 2}
        assert await crowd.end() == {200: 3, 400: ARRIVING}
        assert await crowd.ask("one", b"x", b"}") == 200

    crowded(work)


@pytest.mark.parametrize(
    ("path", "kind", "code"), [("/predict", "text/csv", 415), ("/nowhere", "application/json", 404)]
)
def test_who_is_refused_before_he_sends_his_body_is_hung_up_on(server, path, kind, code):
    """What he asks next would be taken for the body that he was told not to send."""
    with socket.create_connection(("127.0.0.1", server.port), 10) as line:
        ask = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: 20\r\n"
        line.sendall(ask.encode() + b"Expect: 100-continue\r\n\r\n")
        said = b""
        while part := line.recv(65536):
            said += part
    assert said.startswith(f"HTTP/1.1 {code} ".encode())
    assert b"connection: close" in said


def test_who_waits_to_send_his_body_is_told_to_and_answered(server):
    body = b'{"rows":[{"x":0.5}]}'
    with socket.create_connection(("127.0.0.1", server.port), 10) as line:
        for _ in range(2):  # the connection stays open
            ask = "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            line.sendall(f"{ask}Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n".encode())
            with line.makefile("rb") as answer:
                assert answer.readline() + answer.readline() == b"HTTP/1.1 100 Continue\r\n\r\n"
                line.sendall(body)
                assert answer.readline().startswith(b"HTTP/1.1 200 ")
                heads = dict(one.decode().lower().strip().split(": ", 1) for one in iter(answer.readline, b"\r\n"))
                assert "connection" not in heads
                assert b"predictions" in answer.read(int(heads["content-length"]))
