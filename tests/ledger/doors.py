"""The doors of ML-wild, asked in this process: what the commands decide, without their terminal."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from mlwild.checks import check
from mlwild.clock import today
from mlwild.comparisons import read_experiments
from mlwild.gate.outcome import Verdict
from mlwild.gating import judge, suite_of
from mlwild.loading import load_app, load_tests
from tests.ledger.mutation import APP, RUNS


@dataclass(frozen=True)
class Answer:
    """What a door said: its exit code, and a sentence for each check or test that is not green."""

    code: int
    said: dict[str, str]


def checked(folder: Path) -> Answer:
    """Return what `mlwild check` says."""
    report = check(load_app(folder / APP))
    red = {}
    for one in report.findings:
        if one.verdict == "fail":
            red[one.check] = f"{red.get(one.check, '')} {one.said}"
    return Answer(0 if report.passed else 1, red)


def gated(folder: Path, store: Path, tests: Collection[str] | None = None) -> Answer:
    """Return what `mlwild gate` says, of some tests only where they are named."""
    verdicts = judged(folder, store, tests)
    said = {one.test: one.outcome.said for one in verdicts if one.outcome.verdict != "pass"}
    yellow = any(one.outcome.verdict == "underpowered" for one in verdicts)
    return Answer(1 if any(one.blocks for one in verdicts) else 3 if yellow else 0, said)


def judged(
    folder: Path, store: Path, tests: Collection[str] | None = None, without: Collection[str] = ()
) -> list[Verdict]:
    """Return the verdicts of the gate."""
    loaded = load_app(folder / APP)
    suite = [one for one in suite_of(loaded, beside=load_tests(folder / APP)) if one.name not in without]
    chosen = suite if tests is None else [one for one in suite if one.name in tests]
    assert tests is None or len(chosen) == len(tests), [one.name for one in suite]
    return list(judge(loaded, tests=chosen, today=today(), past=False, store=store, jobs=1).verdicts)


def compared(folder: Path) -> Answer:
    """Return what `mlwild compare runs.csv --strict` says."""
    found = read_experiments(folder / RUNS).findings
    return Answer(1 if found else 0, {"findings": " ".join(found)} if found else {})
