"""Who is answered, and what an answer may do: this machine's own names, reading only, no script but ours."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mlwild.hosts import knows, name_of

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-src 'self'; frame-ancestors 'self'; base-uri 'none'"
)
#: A self-contained page may show itself, and do nothing: it was made of other people's names and texts.
SANDBOX = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; base-uri 'none'; sandbox"
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """
    The pages behind a door: other names and other methods than GET and HEAD do not get in.

    Parameters
    ----------
    pages : ASGI application
    hosts : iterable of str
        Names that are answered to, beside this machine's own; `mlwild.hosts.ANY` for any address in figures.
    """

    def __init__(self, pages: ASGIApp, hosts: Iterable[str] = ()) -> None:
        self.pages, self.hosts = pages, frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "lifespan":
            await self.pages(scope, receive, send)
            return
        if scope["type"] != "http":
            raise ValueError("only pages are served")
        head = scope["method"] == "HEAD"
        answer = self._refusal(scope) or self.pages

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            elif message["type"] == "http.response.body" and head:
                message = {**message, "body": b""}
            await send(message)

        await answer({**scope, "method": "GET"} if head else scope, receive, told)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        hosts = Headers(scope=scope).getlist("host")
        if len(hosts) != 1 or not knows(name_of(hosts[0]), self.hosts):
            return PlainTextResponse("This page answers to the names of its own machine only.", 421)
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("This page only shows.", 405, headers={"Allow": "GET, HEAD"})
        return None
