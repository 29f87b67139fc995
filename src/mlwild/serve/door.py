"""What stands before the routes: names of hosts, keys, sizes and times; and what every response carries."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mlwild.hosts import ANY, knows, name_of
from mlwild.serve.keys import Key, holder
from mlwild.serve.requests import RefusedError
from mlwild.serve.shares import Share

#: Seconds in which a body must have come, and bytes of one that is too large that are read before it is refused.
SLOW, READ_ON = 10.0, 32 << 20
#: Requests that are answered at once; who comes beyond is told so.
AT_ONCE = 300
#: Largest bodies whose bytes may be held while more of them is to come; a body that comes in one piece always may.
ARRIVING = 100
#: Pages that are counted by name.
PAGES = frozenset({"/predict", "/invocations", "/health", "/ready", "/metrics", "/openapi.json"})
#: Those of them that have a body, and one such.
READ = {"/predict": '{"rows": [{...}]}', "/invocations": '{"dataframe_records": [{...}]}'}
#: Those that probes ask for, and of HTTP/1.0 without a Host header: no page in a browser can ask so.
PROBED = frozenset({"/health", "/ready", "/metrics"})
_CLOSE = (b"connection", b"close")
_HEADERS = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]


@dataclass
class Door:
    """
    The routes behind a door.

    Parameters
    ----------
    routes : ASGI application
        Gets the body of a request as ``scope["mlwild.body"]``, and who calls as ``scope["mlwild.client"]``: the name of
        a key, or nothing.
    body : int
        Bytes that a body may have.
    hosts : iterable of str
        Names that are answered to beside this machine's own.
    keys : tuple of Key or None
        Who may call; None for everybody.
    count : callable
        Called with page, code and seconds of each request.
    """

    routes: ASGIApp
    body: int
    count: Callable[[str, int, float], None]
    hosts: Iterable[str] = ()
    keys: tuple[Key, ...] | None = None
    _hosts: frozenset[str] = field(init=False)
    _inside: Share = field(init=False)
    _arriving: Share = field(init=False)

    def __post_init__(self) -> None:
        """Note the names, and that nobody is inside."""
        self._hosts = frozenset(self.hosts)
        self._inside = Share(AT_ONCE, "requests at once")
        self._arriving = Share(ARRIVING * self.body, "bytes are arriving")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            raise ValueError("only requests are served")
        began, code = time.perf_counter(), 500
        reads = scope["method"] == "POST" and scope["path"] in READ
        client, inside = "", 0
        headers = Headers(scope=scope)
        # Its body may never come: what comes next on the connection would be taken for it.
        waits = "expect" in headers

        async def told(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
                message["headers"] = [*message.get("headers", ()), *_HEADERS, *([_CLOSE] if waits else [])]
            await send(message)

        try:
            client = scope["mlwild.client"] = self._admit(scope, headers)
            scope["mlwild.body"] = b""
            if reads:
                scope["mlwild.body"] = await self._read(client, READ[scope["path"]], headers, receive)
                waits = False
                # Only now: bodies that never come would take every place, by however few callers.
                self._inside.take(client, 1)
                inside = 1
        except RefusedError as problem:
            await JSONResponse({"error": problem.said}, problem.code, headers=problem.headers)(scope, receive, told)
        else:
            await self.routes(scope, receive, told)
        finally:
            self._inside.leave(client, inside)
            path = scope["path"]
            self.count(path if path in PAGES else "other", code, time.perf_counter() - began)

    def _admit(self, scope: Scope, headers: Headers) -> str:
        """Return the name of the key of who calls; nothing where none is needed."""
        hosts = headers.getlist("host")
        nameless = not hosts and scope["path"] in PROBED and scope.get("http_version") == "1.0"
        if not nameless and (len(hosts) != 1 or not knows(name_of(hosts[0]), self._hosts)):
            raise RefusedError(421, f"This server {_called(self._hosts)}.")
        if self.keys is None or scope["path"] == "/health":
            return ""
        given = headers.get("authorization", "")
        secret = given[7:].strip() if given[:7].lower() == "bearer " else headers.get("x-api-key", "")
        name = holder(self.keys, secret)
        if not name:
            raise RefusedError(401, "The key is absent, wrong or revoked.", {"WWW-Authenticate": "Bearer"})
        return name

    async def _read(self, client: str, like: str, headers: Headers, receive: Receive) -> bytes:
        self._inside.check(client, 1)
        if not _json(headers.get("content-type", "")):
            raise RefusedError(415, f"The body is to be application/json in UTF-8, such as {like}.")
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise RefusedError(415, "The body is not to be compressed.")
        parts, size, held, most = [], 0, 0, self.body
        try:
            async with asyncio.timeout(SLOW):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise RefusedError(400, "The body ended early.")
                    part = message.get("body", b"")
                    size += len(part)
                    if size <= most:
                        parts.append(part)
                    elif size > READ_ON:  # who sends on and on is cut off
                        break
                    if not message.get("more_body"):
                        break
                    if size <= most:
                        self._arriving.take(client, len(part))
                        held += len(part)
        except TimeoutError:
            raise RefusedError(408, f"The body did not come within {SLOW:.0f} seconds.") from None
        finally:
            self._arriving.leave(client, held)
        if size > most:
            raise RefusedError(413, f"The body has more than {most} bytes. Send the rows in parts.")
        return parts[0] if len(parts) == 1 else b"".join(parts)


def _called(hosts: Container[str]) -> str:
    """Say by which names a server is to be called."""
    if ANY in hosts:
        return "is called by its address in figures, such as http://10.0.0.7:8000; with --host NAME it has a name"
    return "answers to localhost and to the name or address that it was started with only"


def _json(kind: str) -> bool:
    """Say whether a body is called JSON in UTF-8; what else is said of it (a profile, a version) makes it no other."""
    named, *more = (part.strip().lower() for part in kind.split(";"))
    said = [part.partition("=") for part in more]
    return named == "application/json" and all(
        value.strip(' "') in ("utf-8", "utf8") for name, _, value in said if name.strip() == "charset"
    )
