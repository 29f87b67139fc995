"""Clients that ask on and on, and note what they got."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from math import isfinite
from typing import Any

from mlwild.serve.answers import written
from mlwild.serve.drill.rows import Rows

#: Seconds that wire, log and a busy machine may take beyond the deadline.
SLACK = 0.1
#: Seconds after which nobody waits any more: longer than whatever the server allows itself.
PATIENCE = 15.0
#: Seconds between two requests of a client: a few hundred requests a second leave the machine room.
PAUSES = {1: 0.02, 50: 0.08}
_STATUS = ("normal", "degraded", "fallback", "refused")


class Line:
    """A connection, that says exactly what it is told to."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        """Return code, headers and body; raises OSError if the line breaks or nobody answers."""
        self._socket.sendall(request)
        held = b""
        while b"\r\n\r\n" not in held:
            held += self._more()
        head, _, body = held.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)}
        parts, left = [body], int(headers.get("content-length", "0")) - len(body)
        while left > 0:
            part = self._more()
            parts.append(part)
            left -= len(part)
        if headers.get("connection") == "close":
            self.close()
        return int(first.split()[1]), headers, b"".join(parts)

    def say(self, request: bytes) -> None:
        """Send, and wait for nothing."""
        self._socket.sendall(request)

    def _more(self) -> bytes:
        part = self._socket.recv(1 << 16)
        if not part:
            raise ConnectionError
        return part

    @property
    def open(self) -> bool:
        """Whether it can be used again."""
        return self._socket.fileno() >= 0

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


def posted(body: bytes, name: str = "", path: str = "/predict") -> bytes:
    """Return a request as bytes."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
    lines += [f"X-Request-Id: {name}"] * bool(name) + [f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass(frozen=True)
class Got:
    """
    What came of a request.

    Parameters
    ----------
    began, ended : float
        By the monotonic clock.
    n : int
        Rows.
    name : str
        Its id.
    kind : {"answered", "turned", "refused", "silent", "away"}
    said : str
        The code, or why there is none.
    mark : bytes
        Digest of an answer.
    rows : Counter
        Rows by status.
    fresh : int
        Rows that are normal without a fault, and are not now.
    causes : frozenset of str
        Of those.
    """

    began: float
    ended: float
    n: int
    name: str
    kind: str
    said: str
    mark: bytes = b""
    rows: Counter[str] = field(default_factory=Counter)
    fresh: int = 0
    causes: frozenset[str] = frozenset()

    @property
    def upset(self) -> bool:
        """Whether it shows a fault."""
        return self.kind != "answered" or self.fresh > 0

    def late(self, deadline: float) -> bool:
        """Whether it came after the deadline, and what wire and log may take."""
        return self.ended - self.began > deadline * (1 + self.n / 1000) + SLACK


def mark(body: str) -> bytes:
    """Return what tells an answer from another."""
    return blake2b(body.encode(), digest_size=16).digest()


@dataclass
class Manner:
    """
    How rows are asked for.

    Parameters
    ----------
    days : int
        That times are moved by; ticks where they are integers.
    ahead : int, optional
        Hours that all times lie ahead of now.
    present : bool
        Whether rows are of now: every other says so, the others say no time.
    shuffled : bool
        Whether rows come in any order.
    again : {"", "same", "other", "before"}
        Whether each request is sent twice: with the same id, or with another; or the last one before this manner is
        sent again after each, with its own id.
    """

    days: int = 0
    ahead: int | None = None
    present: bool = False
    shuffled: bool = False
    again: str = ""


class Crowd:
    """
    Some clients, each a thread with a line of its own.

    Parameters
    ----------
    port : callable
        Returns where the server is; 0 while there is none.
    rows : Rows
    name : str
        What ids begin with.
    """

    def __init__(self, port: Callable[[], int], rows: Rows, name: str) -> None:
        self.port, self.rows, self.name = port, rows, name
        self.got: list[Got] = []
        self.manner = Manner()
        self.usual = [True] * len(rows)
        self._next, self._count, self._lock = 0, 0, threading.Lock()
        self._threads: list[tuple[threading.Thread, threading.Event]] = []

    def begin(self, sizes: Sequence[int]) -> list[threading.Event]:
        """Let more clients ask, each for requests of so many rows; return what ends each."""
        made = []
        for n in sizes:
            ends = threading.Event()
            thread = threading.Thread(target=self._run, args=(n, ends), daemon=True)
            self._threads.append((thread, ends))
            made.append(ends)
            thread.start()
        return made

    def end(self) -> None:
        """Let all of them stop."""
        for _, ends in self._threads:
            ends.set()
        for thread, _ in self._threads:
            thread.join(2 * PATIENCE)

    def learn(self) -> None:
        """Ask for every row once, and note which are normal where nothing is wrong."""
        line = Line(self.port())
        try:
            for begin in range(0, len(self.rows), 50):
                places = list(range(begin, min(begin + 50, len(self.rows))))
                code, _, body = line.ask(self._request(self._named(), places))
                if code == 200:
                    for place, one in zip(places, json.loads(body)["predictions"], strict=True):
                        self.usual[place] = one["status"] == "normal"
        finally:
            line.close()

    def since(self, began: float) -> list[Got]:
        """Return what came of requests that began at an instant or later."""
        return [one for one in self.got if one.began >= began]

    def _named(self) -> str:
        with self._lock:
            self._count += 1
            return f"{self.name}-{self._count}"

    def _places(self, n: int) -> list[int]:
        whole = len(self.rows)
        if self.manner.shuffled:
            return random.choices(range(whole), k=n)  # noqa: S311  no secret
        with self._lock:
            begin, self._next = self._next, (self._next + n) % whole
        return [(begin + place) % whole for place in range(n)]

    def _request(self, name: str, places: Sequence[int]) -> bytes:
        how = self.manner
        rows = [self.rows.row(place, how.days, how.ahead, present=how.present) for place in places]
        return posted(json.dumps({"rows": rows}).encode(), name)

    def _run(self, n: int, ends: threading.Event) -> None:
        line: Line | None = None
        manner = self.manner
        last: tuple[bytes, str, Sequence[int]] | None = None
        before = last
        while not ends.is_set():
            if manner is not self.manner:
                manner, before = self.manner, last
            places, name = self._places(n), self._named()
            request, again = self._request(name, places), manner.again
            last = request, name, places
            line = self._ask(line, *last)
            if again == "before":
                line = line if before is None else self._ask(line, *before)
            elif again:
                other = name if again == "same" else self._named()
                line = self._ask(line, request.replace(name.encode(), other.encode(), 1), other, places)
            ends.wait(PAUSES.get(n, 0.02))
        if line is not None:
            line.close()

    def _ask(self, line: Line | None, request: bytes, name: str, places: Sequence[int]) -> Line | None:
        began, port = time.monotonic(), self.port()
        try:
            line = line if line is not None and line.open else Line(port)
            code, headers, body = line.ask(request)
        except (OSError, ValueError, IndexError) as problem:
            if line is not None:
                line.close()
            # Who asked while the server went, or before it came, found nobody.
            kind = "away" if not port or not self.port() or self.port() != port else "silent"
            self.got.append(Got(began, time.monotonic(), len(places), name, kind, type(problem).__name__))
            time.sleep(0.02)
            return None
        ended = time.monotonic()
        self.got.append(self._noted((began, ended), name, places, (code, headers, body)))
        return line

    def _noted(
        self, spent: tuple[float, float], name: str, places: Sequence[int], said: tuple[int, dict[str, str], bytes]
    ) -> Got:
        code, headers, body = said
        if code in (429, 503) and headers.get("retry-after", "").isdigit():
            return Got(*spent, len(places), name, "turned", str(code))
        if 400 <= code < 500 and in_a_sentence(body):
            return Got(*spent, len(places), name, "refused", str(code))
        text = body.decode("utf-8", "replace")
        found = answers(text, len(places)) if code == 200 else None
        if found is None:
            return Got(*spent, len(places), name, "silent", str(code))
        fresh = [
            one for place, one in zip(places, found, strict=True) if self.usual[place] and one["status"] != "normal"
        ]
        rows = Counter(str(one["status"]) for one in found)
        causes = frozenset(str(one["cause"]) for one in fresh)
        return Got(*spent, len(places), name, "answered", "200", mark(text), rows, len(fresh), causes)


def answers(body: str, n: int) -> list[dict[str, Any]] | None:
    """
    Return the answers of a response, if every row has one: a status, and a finite value or a refusal with its cause.

    Examples
    --------
    >>> good = '{"predictions":[{"status":"normal","value":1.0,"cause":""}]}'
    >>> bad = '{"predictions":[{"status":"normal","value":null,"cause":""}]}'
    >>> len(answers(good, 1)), answers(bad, 1), answers(good, 2), answers("no", 1)
    (1, None, None, None)
    """
    with contextlib.suppress(ValueError, KeyError, TypeError):
        found = json.loads(body)["predictions"]
        if len(found) == n and all(_sound(one) for one in found):
            return list(found)
    return None


def _sound(one: dict[str, Any]) -> bool:
    value = one["value"]
    if one["status"] == "refused":
        return bool(one["cause"])
    if isinstance(value, list):
        return one["status"] in _STATUS and all(cell is not None and isfinite(cell) for cell in value)
    return one["status"] in _STATUS and value is not None and (not isinstance(value, float) or isfinite(value))


def in_a_sentence(body: bytes) -> bool:
    """Say whether a refusal is one sentence and nothing else."""
    with contextlib.suppress(ValueError):
        said = json.loads(body)
        return (
            isinstance(said, dict) and set(said) == {"error"} and bool(said["error"]) and "Traceback" not in str(said)
        )
    return False


def answer_mark(answer: Any) -> bytes:
    """Return the mark of an answer that was read back from the log."""
    return mark(written(answer))
