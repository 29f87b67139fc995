"""Errors that a user can act on: what is wrong, where, and what to do."""

import traceback
from pathlib import Path

from mlwild.installed import is_installed

_OURS = str(Path(__file__).parent)


class MlwildError(Exception):
    """Base of every error that ML-wild raises on purpose."""


class AppError(MlwildError, ValueError):
    """A field of the app file is wrong; the message begins with the field's name."""


class DataError(MlwildError, ValueError):
    """The data cannot be used as they are; the message names column, row and value."""


class BlockedError(DataError):
    """The gate blocks what would answer; the message names the tests that are red."""


class TooEarlyError(DataError):
    """The gate has too little history to judge by."""


class StoreError(MlwildError, OSError):
    """Something could not be written to or read from the store on disk."""


class BusyError(MlwildError, RuntimeError):
    """Another process is already at work on the same app."""


class LookAheadError(MlwildError, RuntimeError):
    """A rule asked for something that was not known at its cutoff."""


class MissingPackageError(MlwildError, ImportError):
    """An optional package is needed and is not installed."""


def users_place(problem: BaseException) -> str:
    """
    Return where in the user's own code something was raised: file, line and function; empty if it was in none.

    Examples
    --------
    >>> users_place(ValueError("never raised"))
    ''
    """
    if isinstance(problem, SyntaxError) and problem.filename:  # nothing of the file ran, so that no frame is of it
        return f"{Path(problem.filename).name}, line {problem.lineno},"
    frames = [
        frame
        for frame in traceback.extract_tb(problem.__traceback__)
        if not frame.filename.startswith(("<frozen", _OURS))
        and not is_installed(frame.filename)
        # Compiled packages name their sources, which are nowhere on this machine.
        and not frame.filename.endswith((".pyx", ".pxi"))
    ]
    return f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}, in {frames[-1].name}" if frames else ""
