"""Tests of the gate under pytest: `pytest churn_tests.py` judges the candidate of churn.py beside it."""

from __future__ import annotations

import inspect
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mlwild.rehearsal import Rehearsal
    from mlwild.trials import Replay, TriangleTrial

_REPLAYS: dict[Path, tuple[Rehearsal, Replay]] = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("mlwild")
    group.addoption(
        "--mlwild-app", metavar="FILE", help="App whose candidate is on trial; default churn.py for churn_tests.py."
    )
    group.addoption("--mlwild-store", metavar="DIR", default=".mlwild", help="Folder that keeps what was fitted.")


def pytest_pycollect_makeitem(collector: Any, name: str, obj: object) -> Any:
    """Collect ready tests, and lists of them, that a module gives a name which begins with test_."""
    if not name.startswith("test_"):
        return None
    many: list[Any] = list(obj) if isinstance(obj, list | tuple) else [obj]
    ready = [one for one in many if callable(getattr(one, "judge", None)) and not isinstance(one, type)]
    if not ready or len(ready) < len(many):
        return None
    return [
        ReadyItem.from_parent(collector, name=name if len(ready) == 1 else f"{name}[{one.name}]", test=one)
        for one in ready
    ]


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """
    Try a plain test itself, as the gate does.

    One that cannot fail, or says another thing when it is run again, is at fault; few rows are not green; and a model
    that answers NaN must not pass. What it returns counts.
    """
    if not _asks_for_ours(pyfuncitem):
        return None
    _read_test(pyfuncitem)
    _once(pyfuncitem)
    # Fixtures of others, such as a folder, are not made anew: such a test is run once.
    if set(_asked(pyfuncitem)) <= set(_ours()):
        _run_again(pyfuncitem)
        if "model" in _asked(pyfuncitem):
            _try_test(pyfuncitem)
    return True


def _ours() -> tuple[str, ...]:
    from mlwild.gate.cases import FIXTURES

    return FIXTURES


def _asked(item: pytest.Function) -> dict[str, Any]:
    """Return what a test asks for; arguments with a value of their own keep it."""
    names = inspect.signature(item.obj).parameters
    return {name: item.funcargs[name] for name in names if name in item.funcargs}


def _once(item: pytest.Function, **changes: Any) -> None:
    """Run a test, and raise what it says by what it returns."""
    from mlwild.gate.outcome import RED, Outcome, UnderpoweredError

    try:
        said = item.obj(**_asked(item) | changes)
    except UnderpoweredError as problem:
        pytest.skip(f"underpowered: {problem}")
    if isinstance(said, Outcome):
        if said.verdict == "underpowered":
            pytest.skip(f"underpowered: {said.said}")
        if said.verdict in RED:
            pytest.fail(said.said, pytrace=False)
    elif said is not None and not isinstance(said, bool):
        pytest.fail(
            f"the test itself is at fault: it returned a {type(said).__name__}, which cannot fail", pytrace=False
        )
    elif said is False:
        pytest.fail("it returned False", pytrace=False)


def _asks_for_ours(item: pytest.Function) -> bool:
    """Say whether a test asks for the candidate of an app: other suites use the same words for things of their own."""
    made = item._fixtureinfo.name2fixturedefs  # noqa: SLF001  pytest says it nowhere else
    return any(made[name][-1].func.__module__ == __name__ for name in ("model", "events", "trial") if name in made)


def _read_test(item: pytest.Function) -> None:
    from mlwild.gate.source import faults_of

    faults = faults_of(item.obj)
    if faults:
        pytest.fail(f"the test itself is at fault: {faults[0]}", pytrace=False)


def _run_again(item: pytest.Function) -> None:
    from mlwild.gate.fitted import Fitted

    fresh = {name: one.watched() for name, one in _asked(item).items() if isinstance(one, Fitted)}
    try:
        _once(item, **fresh)
    except (AssertionError, pytest.fail.Exception) as problem:
        said = " ".join(str(problem).split())[:200]
        pytest.fail(
            f"the test itself is at fault: run twice on the same rows, it passes, then fails: {said}", pytrace=False
        )


def _try_test(item: pytest.Function) -> None:
    from mlwild.gate.fitted import Fitted, answers_nan
    from mlwild.gate.looked import left_out, too_few

    watched = item.funcargs["model"]
    if not isinstance(watched, Fitted) or not watched.record.rows:
        return
    few = too_few(watched.record)
    if few:
        pytest.skip(f"underpowered: {few}")
    spared = left_out(watched.record, trial_of(item.config, item.path))
    if spared:
        pytest.fail(f"the test itself is at fault: {spared}", pytrace=False)
    try:
        _once(item, model=watched.watched(answers_nan))
    except (Exception, pytest.skip.Exception, pytest.fail.Exception):  # noqa: BLE001  whatever it raises, it does not pass
        return
    pytest.fail("the test itself is at fault: it passes for a model that answers NaN", pytrace=False)


class ReadyItem(pytest.Item):
    """A ready test as an item of pytest."""

    def __init__(self, *, test: Any, **given: Any) -> None:
        super().__init__(**given)
        self.test = test

    def runtest(self) -> None:
        """Judge the candidate: red fails, underpowered is skipped, since it is never green."""
        from mlwild.gate.run import considered, judged

        trial = trial_of(self.config, self.path)
        why, found = considered(self.test, trial)
        if why:
            pytest.skip(f"does not apply: {why}")
        began = time.perf_counter()
        found = found or judged(self.test, trial)
        self.user_properties += [
            ("said", found.said),
            ("n", found.n),
            ("seconds", round(time.perf_counter() - began, 3)),
        ]
        if found.verdict == "underpowered":
            pytest.skip(f"underpowered: {found.said}")
        if found.verdict == "error":
            raise BrokenError(found.said)
        if found.verdict == "fail":
            raise RedError(found.said)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Say what was found; where it is in our own code is of no use."""
        if isinstance(excinfo.value, RedError | BrokenError):
            return f"{self.test.name}: {excinfo.value}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Return where the item is from."""
        return self.path, None, f"{self.name}: {self.test.name}"


class RedError(AssertionError):
    """A ready test is red."""


class BrokenError(Exception):
    """A ready test, or the model under it, raised."""


def app_of(config: pytest.Config, path: Path) -> Path:
    """
    Return the file of the app that a module of tests is about.

    Raises
    ------
    pytest.UsageError
        If there is none.
    """
    given = config.getoption("--mlwild-app")
    file = Path(given) if given else path.with_name(path.stem.removesuffix("_tests").removeprefix("test_") + ".py")
    if not file.is_file() or file.resolve() == path.resolve():
        raise pytest.UsageError(
            f"{path.name} asks for a model on trial, and there is no app {file.name} beside it. Name the app: "
            "--mlwild-app churn.py."
        )
    return file.resolve()


def _replay(config: pytest.Config, path: Path) -> tuple[Rehearsal, Replay]:
    from mlwild.gating import replay_of
    from mlwild.loading import load_app
    from mlwild.rehearsal import rehearse

    file = app_of(config, path)
    if file not in _REPLAYS:
        rehearsal = rehearse(load_app(file), store=config.getoption("--mlwild-store"), keep_rows=True)
        _REPLAYS[file] = rehearsal, replay_of(rehearsal)
    return _REPLAYS[file]


def trial_of(config: pytest.Config, path: Path) -> TriangleTrial:
    """Return the trial that a module of tests is about; rehearsed once a session."""
    replay = _replay(config, path)[1]
    return replay.now


@pytest.fixture(scope="module")
def trial(request: pytest.FixtureRequest) -> TriangleTrial:
    """Return all that a test may see of the candidate: see `mlwild.gate.Trial`."""
    return trial_of(request.config, request.path)


@pytest.fixture
def model(trial: TriangleTrial) -> Any:
    """Return the fitted candidate."""
    return trial.model.watched()


@pytest.fixture(scope="module")
def events(trial: TriangleTrial) -> Any:
    """Return labelled rows that the candidate did not learn from: see `mlwild.gate.Held`."""
    return trial.events


@pytest.fixture(scope="module")
def champion(trial: TriangleTrial) -> Any:
    """Return what was live when the candidate was made; None where nothing was."""
    return trial.champion


@pytest.fixture(scope="module")
def history(trial: TriangleTrial) -> Any:
    """Return what went live so far, by period: see `mlwild.gate.trial.History`."""
    return trial.history


@pytest.fixture(scope="module")
def rehearsal(request: pytest.FixtureRequest) -> Rehearsal:
    """Return the whole rehearsal of the app: see `mlwild.Rehearsal`."""
    return _replay(request.config, request.path)[0]
