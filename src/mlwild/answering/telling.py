"""What is said to the operator, and by one process to another; never to a client."""

from __future__ import annotations

import sys
from typing import Any

from mlwild.errors import AppError, MlwildError


def tell(said: str) -> None:
    """Write a line to the operator."""
    sys.stderr.write(f"mlwild: {said}\n")
    sys.stderr.flush()


def refusal(problem: BaseException) -> dict[str, Any]:
    """
    Return why something was not done, for the process that asked for it: the user's file may raise anything.

    Examples
    --------
    >>> refusal(AppError("app: no."))
    {'why': 'app: no.', 'wrong': True}
    >>> refusal(KeyError("x"))
    {'why': "the app file raised KeyError: 'x'", 'wrong': False}
    """
    text = " ".join(str(problem).split())[:500]
    ours = isinstance(problem, MlwildError)
    why = text if ours else f"the app file raised {type(problem).__name__}: {text}"
    return {"why": why, "wrong": isinstance(problem, AppError)}
