"""What a test of the gate is: one of ours, or a plain function of yours that asserts."""

from __future__ import annotations

import inspect
import math
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from mlwild.errors import AppError
from mlwild.gate.fitted import Fitted, answers_nan
from mlwild.gate.looked import left_out, too_few
from mlwild.gate.outcome import Outcome, Record, UnderpoweredError
from mlwild.gate.source import faults_of
from mlwild.gate.trial import Trial
from mlwild.wording import count

#: What a plain test may ask for, by the names of its arguments.
FIXTURES = ("model", "events", "history", "champion", "trial", "rehearsal")


class Test(Protocol):
    """
    A test of the gate.

    A correct test is a frozen dataclass whose `judge` is a pure function of the trial. It may also have `owner`
    (who is to be asked), `family` (what it is about) and `objection(trial)`, a sentence that says why it does
    not apply, or empty.
    """

    @property
    def name(self) -> str:
        """Name in tables; unique in a suite."""
        ...

    def judge(self, trial: Trial) -> Outcome:
        """Judge the candidate."""
        ...


# Its name begins as those of tests do, and it is none: nothing for pytest to collect.
Test.__test__ = False  # type: ignore[attr-defined]


def family_of(test: Test) -> str:
    """Return what a test is about; "own" of a user's."""
    return str(getattr(test, "family", "own"))


def owner_of(test: Test) -> str:
    """Return who is to be asked about a test."""
    return str(getattr(test, "owner", ""))


def objection(test: Test, trial: Trial) -> str:
    """Return why a test does not apply to a trial, in a sentence, or nothing."""
    says = getattr(test, "objection", None)
    return str(says(trial)) if callable(says) else ""


@dataclass(frozen=True)
class Plain:
    """
    A plain function that asserts, as a test.

    Its arguments are found by their names: `model`, `events`, `history`, `champion`, `trial`, `rehearsal`. It fails
    if its assertion does, or it returns False. It is underpowered if it had fewer than 30 rows predicted, or takes the
    mean loss of fewer. And it is tried itself: one that cannot fail, that says another thing when it is run again, that
    leaves out the rows with the greatest answers, that passes for a model that answers NaN, or that raises anything
    else is an error, which blocks as well.

    Parameters
    ----------
    function : callable
    owner : str
        Who is to be asked.
    few : bool
        Whether few rows are meant: for cases written by hand.

    Raises
    ------
    AppError
        If it asks for something else.

    Examples
    --------
    >>> def test_mean(model, events):
    ...     assert abs(model.predictions(events).mean() - events.labels.mean()) < 0.1
    >>> Plain(test_mean).name
    'mean'
    """

    function: Callable[..., Any]
    owner: str = ""
    few: bool = False

    def __post_init__(self) -> None:
        """Check the arguments."""
        strange = [name for name in self.asked if name not in FIXTURES]
        if strange:
            raise AppError(
                f"tests: {self.function.__name__} asks for {strange[0]!r}; a test may ask for {', '.join(FIXTURES)}."
            )

    @property
    def asked(self) -> tuple[str, ...]:
        """Names of what it asks for."""
        return tuple(
            name
            for name, one in inspect.signature(self.function).parameters.items()
            if one.default is one.empty and one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
        )

    @property
    def name(self) -> str:
        """Name of the function, without ``test_``."""
        return self.function.__name__.removeprefix("test_").replace("_", " ")

    def objection(self, trial: Trial) -> str:
        """Say why it does not apply: the whole rehearsal holds what a trial of the past must not see."""
        if "rehearsal" in self.asked and trial.rehearsal is None:
            return "it asks for the whole rehearsal, which a trial of the past must not see"
        return "nothing was live before it" if "champion" in self.asked and trial.champion is None else ""

    def judge(self, trial: Trial) -> Outcome:
        """Run the function twice, and once on a model that answers NaN."""
        faults = faults_of(self.function)
        if faults:
            return Outcome("error", f"the test itself is at fault: {faults[0]}")
        record = Record()
        found, rows = self._once(trial, record)
        again = found if found.verdict == "error" else self._once(trial, Record())[0]
        if again.verdict != found.verdict:
            said = f"run twice on the same rows, it is {found.verdict}, then {again.verdict}"
            return Outcome("error", f"the test itself is at fault: {said}", n=rows)
        if found.verdict != "pass":
            return found
        few = "" if self.few else too_few(replace(record, rows=rows))
        if few:
            return Outcome("underpowered", f"{few}, or say few=True for cases written by hand", n=rows)
        spared = left_out(record, trial)
        if spared:
            return Outcome("error", f"the test itself is at fault: {spared}", n=rows)
        if rows and self._once(trial, Record(), nan=True)[0].verdict == "pass":
            return Outcome("error", "the test itself is at fault: it passes for a model that answers NaN", n=rows)
        return found

    def _once(self, trial: Trial, record: Record, *, nan: bool = False) -> tuple[Outcome, int]:
        """Run the function once; return what came of it, and the most rows it had predicted."""
        model = trial.model.watched(answers_nan if nan else None, record)
        champion = None if trial.champion is None else trial.champion.watched()
        given = {"model": model, "champion": champion, "trial": _Watched(trial, model)}
        try:
            said = self.function(
                **{name: given[name] if name in given else getattr(trial, name) for name in self.asked}
            )
        except UnderpoweredError as problem:
            return Outcome("underpowered", str(problem) or "it says that its rows cannot tell", n=record.rows), 0
        except AssertionError as problem:
            return Outcome("fail", _asserted(problem), n=record.rows), record.rows
        except (KeyboardInterrupt, MemoryError):
            raise
        except BaseException as problem:  # noqa: BLE001  a user's test may raise anything, or leave; it is a red test
            if type(problem).__name__ == "Skipped":  # pytest's
                return Outcome("underpowered", f"it skips itself: {problem}", n=record.rows), 0
            text = " ".join(str(problem).split())[:300]
            return Outcome("error", f"it raised {type(problem).__name__}: {text}", n=record.rows), 0
        rows = record.rows
        if isinstance(said, Outcome):
            return said, max(rows, said.n)
        if isinstance(said, bool | np.bool_) and not said:
            return Outcome("fail", "it returned False", n=rows), rows
        if said is not None and not isinstance(said, bool | np.bool_):
            what = type(said).__name__
            return Outcome("error", f"it returned a {what}, which cannot fail; return True or False, or assert"), rows
        return Outcome("pass", f"holds{f' on {count(rows)} rows' if rows else ''}", n=rows), rows


_OFFERED = tuple(name for name in dir(Trial) if not name.startswith("_"))


class _Watched:
    """A trial whose model is the watched one."""

    def __init__(self, trial: Trial, model: Fitted) -> None:
        self._trial = trial
        self.model = model

    def __getattr__(self, name: str) -> Any:
        if name not in _OFFERED:  # what lies behind a trial knows of later rows
            raise AttributeError(f"a trial has no {name!r} that a test may see; it has {', '.join(_OFFERED)}")
        return getattr(self._trial, name)


def _asserted(problem: AssertionError) -> str:
    """Return what was asserted and the numbers in it."""
    text = " ".join(str(problem).split())
    frames = list(traceback.walk_tb(problem.__traceback__))
    frame, line = frames[-1]
    where = traceback.extract_tb(problem.__traceback__)[-1].line or ""
    values = {
        name: value
        for name, value in frame.f_locals.items()
        if name in where and isinstance(value, int | float | np.number | bool)
    }
    shown = ", ".join(f"{name} = {value:.4g}" for name, value in values.items() if not math.isnan(value))
    return ": ".join(part for part in (text or where or f"line {line}", shown) if part)


def as_tests(given: Any) -> tuple[Test, ...]:
    """
    Return tests, with plain functions made into tests.

    Raises
    ------
    AppError
        If one is neither, or two have one name.

    Examples
    --------
    >>> def test_size(model):
    ...     assert model.size < 1e6
    >>> [test.name for test in as_tests([test_size])]
    ['size']
    """
    made: list[Test] = []
    for one in given:
        whole = callable(getattr(one, "judge", None)) and isinstance(getattr(one, "name", None), str)
        if whole and not isinstance(one, type):
            made.append(one)
        elif inspect.isfunction(one):
            made.append(Plain(one))
        else:
            if isinstance(one, type):
                raise AppError(f"tests: {one.__name__} is a class. Give an instance: {one.__name__}().")
            raise AppError(f"tests: {one!r} is neither a function that asserts nor a test with `name` and `judge`.")
    names = [test.name for test in made]
    doubles = sorted({name for name in names if names.count(name) > 1})
    if doubles:
        raise AppError(f"tests: {doubles[0]!r} is there twice. Give one of them another name.")
    return tuple(made)
