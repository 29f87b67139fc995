"""What front and worker processes say to each other: plain values, with their length before them."""

from __future__ import annotations

import marshal
import mmap
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: Bytes before a message that say how long it is.
HEAD = 4
#: How far a worker is with a call: it is on its way, was read, and has its features.
SENT, READ, MADE = range(3)
#: In place of a call's number: load these side tables.
TABLES = 0
#: What a worker says first: it has loaded all, and asks its models once before it says what it is.
LOADED = "loaded"
#: Before references, so that equal values have equal bytes.
_FORMAT = 2


def packed(message: Any) -> bytes:
    """
    Return a message as bytes: numbers, texts, lists, tuples and dicts only.

    Marshal holds plain values and no objects: to read it runs nothing, whoever wrote it.

    Examples
    --------
    >>> box = Box()
    >>> list(box.add(packed([1, {"a": None}])[:5])), list(box.add(packed([1, {"a": None}])[5:]))
    ([], [[1, {'a': None}]])
    """
    body = marshal.dumps(message, _FORMAT)
    return len(body).to_bytes(HEAD, "big") + body


def shared_slate() -> tuple[int, memoryview]:
    """Return the descriptor of eight bytes that another process may see too, and the bytes."""
    if sys.platform == "linux":
        made = os.memfd_create("mlwild")
    else:
        made, name = tempfile.mkstemp()
        Path(name).unlink()
    try:
        os.ftruncate(made, 8)
        return made, slate(made)
    except OSError:  # of descriptors there was this one left
        os.close(made)
        raise


def slate(shared: int) -> memoryview:
    """Return what a worker writes on how far it is: 4 n + `READ` or `MADE` in call n. To look at it wakes nobody."""
    return memoryview(mmap.mmap(shared, 8)).cast("Q")


class Box:
    """Messages that come in pieces."""

    def __init__(self) -> None:
        self._held = bytearray()

    def add(self, data: bytes) -> Iterator[Any]:
        """Take a piece; return the messages that are whole now."""
        held = self._held
        held += data
        at = 0
        try:
            while len(held) - at >= HEAD:
                end = at + HEAD + int.from_bytes(held[at : at + HEAD], "big")
                if len(held) < end:
                    break
                body = bytes(held[at + HEAD : end])
                at = end
                yield marshal.loads(body)  # noqa: S302  from our own process, and it holds no objects
        finally:
            del held[:at]
