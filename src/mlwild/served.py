"""What a server answered: lines of its log, sealed by a checksum, in segments that follow each other, and read back."""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from mlwild.errors import StoreError

#: Bytes of the newest lines that are looked through at the start, to know requests that come again: a second or so.
TAIL = 256 << 20
SUFFIX = ".jsonl"
#: The folder of a log, in that of the app in operation.
SERVED = "served"
#: How a line begins whose request a client named.
_NAMED = re.compile(rb'[0-9a-f]{8} \{"id":"([^"]{1,128})","at":[0-9.]+,"asked":"[0-9a-f]{32}"')
_SEGMENT = re.compile(r"[0-9]{8}\.jsonl")
#: Bits of a place that say where in its segment a line begins.
_BITS = 40


def sealed(text: str) -> bytes:
    r"""
    Return a line of the log: its checksum, and the text.

    Examples
    --------
    >>> sealed('{"id":"a"}')
    b'9aa4e643 {"id":"a"}\n'
    """
    data = text.encode()
    return b"%08x %b\n" % (zlib.crc32(data), data)


def opened(line: bytes) -> bytes | None:
    """Return the text of a line; None where it is cut short or does not agree with its checksum."""
    if len(line) < 10 or line[8:9] != b" " or not line.endswith(b"\n"):
        return None
    body = line[9:-1]
    return body if line[:8] == b"%08x" % zlib.crc32(body) else None


def segments(folder: Path) -> list[Path]:
    """Return the segments of a log, oldest first; none where there is no log."""
    try:
        return sorted(path for path in folder.iterdir() if _SEGMENT.fullmatch(path.name))
    except FileNotFoundError:
        return []


def read_log(folder: str | Path, *, since: float = 0.0) -> Iterator[dict[str, Any]]:
    """
    Read back what was answered, oldest first.

    A last line of a segment that is cut short was never acknowledged and is left out. It may be read while the server
    writes, and while older segments are moved away.

    Parameters
    ----------
    folder : str or Path
        Such as ``.mlwild/operate/flights/served``.
    since : float
        The oldest segments that were last written to before this, in seconds since 1970, are left out: those after one
        that was not are read, whatever the machine's clock said.

    Yields
    ------
    dict
        A request: ``id``; ``at``, when it was answered, in seconds since 1970; ``vintage``; ``answer``, the response of
        ``/predict``; and ``rows``, one for each of its ``predictions``: ``key``, ``time``, ``arm``, ``event`` (what was
        asked) and ``features`` (what the model was fed). Times of columns are microseconds since 1970, dates are days.
        What a shadow scored stands in lines of its own, whose rows have the arm ``shadow``: nobody was told that.

    Raises
    ------
    StoreError
        If a line that was whole does not agree with its checksum, or agrees and is no request; or if the log may not be
        read.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "00000001.jsonl").write_bytes(sealed('{"id":"a"}') + sealed('{"id":"b"}')[:9])
    >>> list(read_log(folder))
    [{'id': 'a'}]

    What was Ada told, and why?

    >>> said = '{"value": 0.3, "status": "degraded", "cause": "absent: price", "vintage": "8"}'
    >>> line = '{"at": 1795774204.6, "rows": [{"arm": "champion", "event": {"who": "ada"}, "features": {"n": 4}}], '
    >>> _ = (folder / "00000001.jsonl").write_bytes(sealed(line + '"answer": {"predictions": [' + said + "]}}"))
    >>> for line in read_log(folder):
    ...     for row, said in zip(line["rows"], line["answer"]["predictions"], strict=True):
    ...         if row["event"]["who"] == "ada" and row["arm"] != "shadow":
    ...             print(line["at"], said["value"], said["status"], said["cause"], said["vintage"], row["features"])
    1795774204.6 0.3 degraded absent: price 8 {'n': 4}
    """
    begun, at = False, Path(folder)
    try:
        for path in segments(at):
            at = path
            try:
                file = path.open("rb")
            except FileNotFoundError:  # moved away since
                continue
            with file:
                begun = begun or os.fstat(file.fileno()).st_mtime >= since
                if begun:
                    yield from _requests(file, path)
    except OSError as problem:
        if isinstance(problem, StoreError):
            raise
        raise StoreError(f"log: {at} cannot be read: {problem.strerror or problem}.") from problem


def _requests(file: IO[bytes], path: Path) -> Iterator[dict[str, Any]]:
    """Yield the requests of a segment, but a last line that is torn."""
    for number, line in enumerate(file, start=1):
        body = opened(line)
        request = None if body is None else _request(body)
        if request is not None:
            yield request
        elif body is not None:
            raise StoreError(
                f"log: line {number} of {path} agrees with its checksum and is no request: no server wrote it. "
                "Restore the file from a copy."
            )
        elif line.endswith(b"\n"):
            raise StoreError(
                f"log: line {number} of {path} does not agree with its checksum: it was changed or damaged. "
                "Restore the file from a copy."
            )


def _request(body: bytes) -> dict[str, Any] | None:
    """Return what a line holds; None where it is no object of JSON."""
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def sound(path: Path) -> tuple[int, int]:
    """Return how many bytes stand before a last line that is torn; and a bad line that others follow, 0 if none is."""
    size = bad = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if bad:
                return size, bad
            if opened(line) is None:
                bad = number
            else:
                size += len(line)
    return size, 0


def place(segment: int, at: int) -> int:
    """Return one number for where a line begins."""
    return segment << _BITS | at


def places(folder: Path) -> Iterator[tuple[str, int]]:
    """Yield id and place of the newest requests that clients named, oldest first: those of the last `TAIL` bytes."""
    left, parts = TAIL, []
    for path in reversed(segments(folder)):
        if left <= 0:
            break
        size = path.stat().st_size
        parts.append((path, max(size - left, 0)))
        left -= size
    for path, begin in reversed(parts):
        with path.open("rb") as file:
            at = file.seek(begin)
            for line in file:
                if (found := _NAMED.match(line)) is not None:
                    yield found[1].decode(), place(int(path.stem), at)
                at += len(line)


def read_at(folder: Path, where: int) -> dict[str, Any] | None:
    """Return the line at a place; None where it is gone or damaged."""
    try:
        file = (folder / f"{where >> _BITS:08d}{SUFFIX}").open("rb")
    except FileNotFoundError:
        return None
    with file:
        file.seek(where & (1 << _BITS) - 1)
        body = opened(file.readline())
    return None if body is None else _request(body)
