"""What the libraries of a table's format raise, as errors of the system and of the store."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlwild.errors import StoreError

#: How errors of the open format's library end where the system refused something, and what it colours them with.
_OF_THE_SYSTEM, _COLOURS = re.compile(r"\(os error (\d+)\)"), re.compile(r"\x1b\[\d+m")
#: Characters of what is not the system's.
_MOST = 200


@contextmanager
def of_the_system() -> Iterator[None]:
    """Raise what the system refused as the system's error: the open format's library hands on its text alone."""
    from deltalake.exceptions import DeltaError

    try:
        yield
    except (DeltaError, OSError) as problem:
        found = _OF_THE_SYSTEM.search(str(problem))
        if found is None:
            raise
        raise OSError(int(found[1]), os.strerror(int(found[1]))) from problem


@contextmanager
def readable(rows: Path) -> Iterator[None]:
    """
    Say in one sentence that the rows of a table cannot be read.

    Raises
    ------
    StoreError
        If a file is damaged, gone, or may not be read.
    """
    import pyarrow as pa
    from deltalake.exceptions import DeltaError

    try:
        yield
    except (DeltaError, pa.ArrowInvalid, OSError) as problem:
        found = _OF_THE_SYSTEM.search(str(problem))
        number = int(found[1]) if found else getattr(problem, "errno", None)
        if isinstance(problem, FileNotFoundError):  # Arrow gives the path alone
            number = errno.ENOENT
        said = os.strerror(number) if number else " ".join(_COLOURS.sub("", str(problem)).split())[:_MOST]
        raise StoreError(
            f"data: the rows of {rows.parent.name!r} cannot be read ({said}). Restore {rows} from a copy, or the right "
            "to read it."
        ) from problem
