"""A connection whose head comes soon and is short: who sends half of one would hold it for ever."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: Seconds in which the head of a request must have come, and bytes that it may have.
SLOW, LONG = 10.0, 64 << 10
_SAID = b'{"error":"The head of a request has at most 65536 bytes."}'
_TOO_LONG = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(_SAID), _SAID)
)


class Connection(HttpToolsProtocol):
    """One connection; uvicorn limits neither the time nor the size of a head."""

    def __init__(self, *words: Any, **named: Any) -> None:
        super().__init__(*words, **named)
        self._late: asyncio.TimerHandle | None = None
        self._size = 0

    def connection_made(self, transport: Any) -> None:
        """Wait for the first head."""
        super().connection_made(transport)
        self._wait()

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
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._done()
        super().connection_lost(exc)

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
