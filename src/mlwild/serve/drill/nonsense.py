"""Requests that are none: each is to be refused in a sentence, beside good ones that are answered."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator

from mlwild.serve.drill.clients import Line, in_a_sentence, posted
from mlwild.serve.drill.rows import Rows

#: What stands where a value was.
VALUES = ("NaN", "1e999", '"../../etc/passwd"', "[[]]", '{"x":1}', "9" * 500, '"\\ud800"', '"{0.__class__}"', "true")


def bodies(rows: Rows, draw: random.Random) -> Iterator[bytes]:
    """
    Yield bodies without end that no app can read: bytes, halves of requests, other forms, other values, other fields.

    Examples
    --------
    >>> from mlwild.columns import Column
    >>> some = bodies(Rows([{"x": 1.0}], [0], Column("t", "integer"), lambda: None), random.Random(0))
    >>> [len(next(some)) > 0 for _ in range(3)]
    [True, True, True]
    """
    odd = [b"[]", b"{}", b"[1]"]
    if "rows" not in rows.row(0):  # else these may be values of that column
        odd += [b"null", b'"x"']
    while True:
        good = json.dumps({"rows": [rows.row(draw.randrange(len(rows)))]}).encode()
        yield draw.randbytes(draw.randint(1, 2000)).lstrip(b" ") + b"\xff"
        yield good[: draw.randint(1, len(good) - 1)]
        yield b"[" * draw.randint(2_000, 60_000)
        yield b'{"rows":' + draw.choice(odd) + b"}"
        yield b'{"rows":[{"no column of that name":' + draw.choice(VALUES).encode() + b"}]}"
        yield good[:-1] + b',"rows":[]}'
        yield b"\x80\x04\x95" + draw.randbytes(40)


class Vandal:
    """
    A client that sends nonsense, and hangs up in the middle.

    Parameters
    ----------
    port : callable
        Returns where the server is.
    rows : Rows
    seed : int
    """

    def __init__(self, port: Callable[[], int], rows: Rows, seed: int) -> None:
        self.sent = self.unsound = 0
        self._port, self._rows, self._draw = port, rows, random.Random(seed)  # noqa: S311  no secret
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Let it stop."""
        self._ends.set()
        self._thread.join(60)

    def _run(self) -> None:
        some = bodies(self._rows, self._draw)
        while not self._ends.is_set():
            self._ask(posted(next(some)))
            self._hang_up()
            self._ends.wait(0.02)

    def _ask(self, request: bytes) -> None:
        self.sent += 1
        try:
            line = Line(self._port())
            code, _, body = line.ask(request)
            line.close()
        except (OSError, ValueError, IndexError):
            self.unsound += 1
            return
        if not 400 <= code < 500 or not in_a_sentence(body):
            self.unsound += 1

    def _hang_up(self) -> None:
        """Send what is no HTTP, or half of a request, and be gone."""
        whole = posted(json.dumps({"rows": [self._rows.row(0)]}).encode())
        said = self._draw.choice((b"\x16\x03\x01\x02\x00" * 9, whole[: self._draw.randint(1, len(whole) - 1)], whole))
        try:
            line = Line(self._port())
            line.say(said)
        except OSError:
            self.unsound += 1
            return
        time.sleep(0.002)
        line.close()
