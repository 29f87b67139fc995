"""Run a suite on a trial."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mlwild.errors import AppError, DataError, MlwildError
from mlwild.gate.cases import Test, family_of, objection, owner_of
from mlwild.gate.outcome import Outcome, Verdict, Waived
from mlwild.gate.trial import Trial

#: Order of the families: what is cheap and certain first.
FAMILIES = (
    "data", "leaks", "splits", "code", "operation", "behaviour", "own", "slices", "improvement", "proxies",
)  # fmt: skip


def in_order(tests: Sequence[Test]) -> list[Test]:
    """Return tests in the order of their families; within one as they were given."""
    known = {name: place for place, name in enumerate(FAMILIES)}
    return sorted(tests, key=lambda test: known.get(family_of(test), known["own"]))


def run_suite(
    tests: Sequence[Test],
    trial: Trial,
    *,
    waivers: Mapping[str, Waived] | None = None,
    owner: str = "",
    progress: Callable[[str], None] | None = None,
) -> tuple[list[Verdict], list[tuple[str, str]]]:
    """
    Judge a candidate by every test.

    Parameters
    ----------
    tests : sequence of Test
    trial : Trial
    waivers : mapping of str to Waived, optional
        Those that hold today, by name of the test.
    owner : str
        Who is to be asked where a test names nobody.
    progress : callable, optional
        Called with the name of each test before it runs.

    Returns
    -------
    verdicts : list of Verdict
        In the order of the families.
    left_out : list of (str, str)
        Tests that do not apply, and why.
    """
    waivers = waivers or {}
    made, left_out = [], []
    for test in in_order(tests):
        why, found = considered(test, trial)
        if why:
            left_out.append((test.name, why))
            continue
        if progress is not None:
            progress(test.name)
        began = time.perf_counter()
        found = found or judged(test, trial)
        seconds = time.perf_counter() - began
        named = owner_of(test) or owner
        made.append(Verdict(test.name, family_of(test), found, seconds, named, waivers.get(test.name)))
    return made, left_out


def considered(test: Test, trial: Trial) -> tuple[str, Outcome | None]:
    """Return why a test does not apply, or nothing; and, where asking it went wrong, the outcome that makes it red."""
    found = _kept(lambda: objection(test, trial))
    return ("", found) if isinstance(found, Outcome) else (found, None)


def judged(test: Test, trial: Trial) -> Outcome:
    """Return the outcome of a test; whatever goes wrong in it makes it red."""
    found = _kept(lambda: test.judge(trial))
    if not isinstance(found, Outcome):
        return Outcome("error", f"the test itself is at fault: it judges by a {type(found).__name__}, not an Outcome")
    return found


def _kept(ask: Callable[[], Any]) -> Any:
    """Return what a test says, or the outcome of what it raised."""
    try:
        return ask()
    except (AppError, DataError) as problem:
        return Outcome("error", " ".join(str(problem).split())[:300])
    except (MlwildError, MemoryError, KeyboardInterrupt):
        raise
    except BaseException as problem:  # noqa: BLE001  the user's model or test may raise anything, or leave; it is red
        said = " ".join(str(problem).split())[:300]
        return Outcome("error", f"it raised {type(problem).__name__}: {said}")
