"""Whatever a command raises becomes one sentence and an exit code."""

from __future__ import annotations

import functools
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec

import typer

from mlwild.errors import AppError, BlockedError, MlwildError, users_place

FAILED, WRONG, UNDECIDED, COULD_NOT, INTERRUPTED = 1, 2, 3, 4, 130

P = ParamSpec("P")

_OURS = str(Path(__file__).parents[1])


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """Turn whatever a command raises into one sentence and an exit code."""

    @functools.wraps(command)
    def call(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except KeyboardInterrupt:
            code = _stopped()
        except MlwildError as problem:
            print(f"mlwild: {problem}", file=sys.stderr)
            code = (
                FAILED if isinstance(problem, BlockedError) else WRONG if isinstance(problem, AppError) else COULD_NOT
            )
        except (typer.Exit, typer.Abort):
            raise
        except (Exception, SystemExit) as problem:  # noqa: BLE001  the user's own file or functions raised, or left
            if _of_interrupt(problem):
                code = _stopped()
            elif said := _of_a_file(problem):
                print(f"mlwild: {said}", file=sys.stderr)
                code = COULD_NOT
            else:
                _print_users_part(problem)
                print(f"mlwild: {sentence(problem)}", file=sys.stderr)
                code = COULD_NOT
        else:
            return
        raise typer.Exit(code)

    return call


def _stopped() -> int:
    print("\nStopped. What was fitted is kept; run the same command to go on.", file=sys.stderr)
    return INTERRUPTED


def _of_interrupt(problem: BaseException | None) -> bool:
    """Say whether a problem came of Ctrl-C: C extensions make an ImportError of it while they are imported."""
    while problem is not None and not isinstance(problem, KeyboardInterrupt):
        problem = problem.__cause__ or problem.__context__
    return problem is not None


def sentence(problem: BaseException) -> str:
    """Say in one sentence what went wrong, and where if it was in the user's own code."""
    if isinstance(problem, MlwildError):
        return str(problem)
    said = " ".join(str(problem).split())[:300]
    return f"{users_place(problem) or _ours(problem)} raised {type(problem).__name__}: {said}"


def _of_a_file(problem: BaseException) -> str:
    """Say what is wrong with a file or folder that we were given; empty for anything else."""
    if not isinstance(problem, OSError) or not isinstance(problem.filename, str) or users_place(problem):
        return ""
    name = problem.filename if len(problem.filename) <= 100 else f"{problem.filename[:97]}..."
    return f"{name!r} cannot be used: {(problem.strerror or type(problem).__name__).lower()}."


def _print_users_part(problem: BaseException) -> None:
    """Print the traceback without our own frames."""
    shown = traceback.TracebackException.from_exception(problem)
    kept = [frame for frame in shown.stack if not frame.filename.startswith((_OURS, "<frozen importlib"))]
    shown.stack = traceback.StackSummary.from_list(kept)
    print("".join(shown.format()), end="", file=sys.stderr)


def _ours(problem: BaseException) -> str:
    frames = traceback.extract_tb(problem.__traceback__)
    mine = [frame for frame in frames if frame.filename.startswith(_OURS)]
    return f"{Path(mine[-1].filename).name}, line {mine[-1].lineno}, in {mine[-1].name}"
