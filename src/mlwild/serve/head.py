"""A connection whose head comes soon and is short, and whose answers are taken: who does not would hold it for ever."""

from __future__ import annotations

import asyncio
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

#: Seconds in which the head of a request must have come, and bytes that it may have.
SLOW, LONG = 10.0, 64 << 10
#: Seconds between two looks at what is left of answers, and bytes of them that a client must have taken meanwhile.
TAKE, LEAST = 10.0, 10_000
_SAID = b'{"error":"The head of a request has at most 65536 bytes."}'
_TOO_LONG = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(_SAID), _SAID)
)


class Parser(httptools.HttpRequestParser):
    """
    A parser that goes on where a head asks for another protocol.

    There is none here, and a server that does not know one answers as if it had not been asked for (RFC 9110, 7.8);
    clients ask for HTTP/2 so with every first request, Java's without being told to. The parser would take the body for
    that protocol.

    Parameters
    ----------
    connection : Connection
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._connection = connection

    def feed_data(self, data: bytes) -> None:  # type: ignore[override]
        """Read some bytes."""
        parser = self
        while True:
            try:
                super(Parser, parser).feed_data(data)
            except httptools.HttpParserUpgrade as asked:
                data, parser = data[asked.args[0] :], self._connection.again()
            else:
                return


class Connection(HttpToolsProtocol):
    """One connection; uvicorn limits neither time and size of a head, nor the time in which answers are taken."""

    def __init__(self, *words: Any, **named: Any) -> None:
        super().__init__(*words, **named)
        self.parser = Parser(self)
        self._late: asyncio.TimerHandle | None = None
        self._looks: asyncio.TimerHandle | None = None
        self._answered: RequestResponseCycle | None = None
        self._size = self._left = 0

    def connection_made(self, transport: Any) -> None:
        """Wait for the first head."""
        super().connection_made(transport)
        self._wait()
        self._looks = self.loop.call_later(TAKE, self._look)

    def data_received(self, data: bytes) -> None:
        """Read some bytes, and count those of a head."""
        if self._late is not None:
            if self._size > LONG:  # what came before belongs to a head that has not ended
                self.transport.write(_TOO_LONG)
                self.transport.close()
                return
            self._size += len(data)
        idle = self.timeout_keep_alive_task
        super().data_received(data)
        # Bytes that begin no request, between two of them or of a body that nobody reads, do not make it less idle.
        ended = self._late is None and self.timeout_keep_alive_task is None and not self.transport.is_closing()
        if idle is not None and ended and self.cycle.response_complete:
            self.timeout_keep_alive_task = self.loop.call_at(idle.when(), self.timeout_keep_alive_handler)

    def on_message_begin(self) -> None:
        """Wait for the rest of a head."""
        self._wait()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Take note that the head is there."""
        self._done()
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Take note that the body is there; that of a head that is read once more comes then."""
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def again(self) -> Parser:
        """Read a head once more that asks for another protocol, without that; return who reads what comes after it."""
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        if method == b"CONNECT":  # that is no head of ours, whatever it asks for
            raise httptools.HttpParserError("CONNECT")
        kept = b"".join(b"%b: %b\r\n" % one for one in self.headers if one[0] != b"upgrade")
        self.parser = made = Parser(self)
        made.feed_data(b"%b %b HTTP/%b\r\n%b\r\n" % (method, self.url, version, kept))
        return made

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._done()
        if self._looks is not None:
            self._looks.cancel()
        # Else only the request that came last is told: the one before it that is being answered would write on.
        if self._answered is not None and not self._answered.response_complete:
            self._answered.disconnected = True
            self._answered.message_event.set()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    def _look(self) -> None:
        """End a connection whose client takes no answer: one that was closed would wait for that too."""
        left, before = self.transport.get_write_buffer_size(), self._left
        # It grows by answers that came meanwhile; where much is left none comes, so that it does not grow for long.
        if 0 < left <= before < left + LEAST:
            self.transport.abort()
            return
        self._left = left
        self._looks = self.loop.call_later(TAKE, self._look)

    def _wait(self) -> None:
        self._done()
        self._late = self.loop.call_later(SLOW, self._close)

    def _done(self) -> None:
        self._size = 0
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _close(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
