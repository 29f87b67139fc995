"""The gate of an app: its candidate judged by every test, and how often the suite would have blocked a good one."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from mlwild.app import App
from mlwild.cells import kinds
from mlwild.compute import Jobs
from mlwild.digest import digest, fingerprint, version
from mlwild.disk import write_atomically
from mlwild.errors import AppError
from mlwild.gate.cases import Test, as_tests, family_of
from mlwild.gate.outcome import RED, Outcome, Verdict, Waived
from mlwild.gate.run import run_suite
from mlwild.gate.standard import standard
from mlwild.gate.waivers import Waiver, in_force, read_waivers
from mlwild.lives import Life, led
from mlwild.rehearsal import STORE, Progress, Rehearsal, made_of_app, rehearse
from mlwild.stats.proportions import clopper_pearson
from mlwild.trials import Replay, TriangleTrial
from mlwild.trials.trial import PERIODS

#: A past champion was good if afterwards it lost no more than a fresh model by this share.
GOOD = 0.05


@dataclass(frozen=True)
class FalseBlocks:
    """
    How often the suite would have blocked past champions that were good.

    Parameters
    ----------
    blocked, of : int
        Good champions that were blocked, and in all.
    low, high : float
        95 % interval of the chance; NaN where there is none.
    promised : float
        Sum of the chances that the armed tests state: a bound.
    by_test : dict of str to int
        How often each test was red on a good champion.
    """

    blocked: int
    of: int
    low: float
    high: float
    promised: float
    by_test: dict[str, int]


@dataclass(frozen=True)
class GateReport:
    """
    What the gate says of a candidate.

    Attributes
    ----------
    app : str
    trial : str
        What was on trial.
    verdicts : tuple of Verdict
    left_out : tuple of (str, str)
        Tests that do not apply, and why.
    waivers : tuple of Waiver
        All in the file; those that do not hold today waive nothing.
    today : date
    false_blocks : FalseBlocks or None
        None where it was not asked for.
    """

    app: str
    trial: str
    verdicts: tuple[Verdict, ...]
    left_out: tuple[tuple[str, str], ...]
    waivers: tuple[Waiver, ...]
    today: date
    false_blocks: FalseBlocks | None

    @property
    def blocked(self) -> bool:
        """Whether a test is red and nobody answers for it."""
        return any(verdict.blocks for verdict in self.verdicts)

    @property
    def undecided(self) -> bool:
        """Whether nothing is red, and something is not green, or nothing was judged at all."""
        yellow = any(one.outcome.verdict == "underpowered" for one in self.verdicts)
        return not self.blocked and (yellow or not self.verdicts)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        held = in_force(self.waivers, self.today)
        names = {verdict.test for verdict in self.verdicts}
        return {
            "app": self.app,
            "verdict": "blocked" if self.blocked else "undecided" if self.undecided else "passed",
            "trial": self.trial,
            "tests": [verdict.as_dict() for verdict in self.verdicts],
            "left_out": [{"test": name, "why": why} for name, why in self.left_out],
            "waivers": [
                {
                    "test": one.test,
                    "by": one.by,
                    "on": one.on.isoformat(),
                    "until": one.until.isoformat(),
                    "why": one.why,
                    "holds": one.test in held and held[one.test] == one.waived,
                    "used": one.test in names,
                }
                for one in self.waivers
            ],
            "false_blocks": None if self.false_blocks is None else _blocks(self.false_blocks),
            "seconds": round(sum(verdict.seconds for verdict in self.verdicts), 3),
        }


def _blocks(found: FalseBlocks) -> dict[str, Any]:
    ends = {name: None if np.isnan(value) else value for name, value in (("low", found.low), ("high", found.high))}
    return {
        "blocked": found.blocked,
        "of": found.of,
        **ends,
        "promised": found.promised,
        "by_test": found.by_test,
        "good": f"lost at most {GOOD:.0%} more than a fresh model in the periods that followed",
    }


def judge(
    app: App,
    *,
    tests: Sequence[Any] | None = None,
    waivers: Sequence[Waiver] = (),
    today: date,
    past: bool = True,
    store: str | Path = STORE,
    jobs: Jobs = None,
    progress: Progress | None = None,
    said: Callable[[str], None] | None = None,
) -> GateReport:
    """
    Judge an app's candidate by every test.

    The candidate is the recipe that would go live, as it was made some periods ago, so that there are labels
    that it did not learn from. One red test blocks. Nothing is fitted that a rehearsal fitted before.

    Parameters
    ----------
    app : App
    tests : sequence of Test or callable, optional
        Default the app's own, or `mlwild.gate.standard`.
    waivers : sequence of Waiver
    today : date
        Day that waivers are held against.
    past : bool
        Whether to run the suite on past champions too, for the chance that it blocks a good model; what was
        judged before is not judged again.
    store, jobs, progress : optional
        As for `mlwild.rehearse`.
    said : callable, optional
        Called with what is being done.

    Returns
    -------
    GateReport

    Raises
    ------
    AppError, DataError
        If a field or the data are wrong, or there are too few periods with labels.
    """
    rehearsal = rehearse(app, store=store, jobs=jobs, progress=progress, keep_rows=True)
    replay = replay_of(rehearsal)
    suite = suite_of(app, tests)
    known = {test.name for test in suite}
    strange = [one.test for one in waivers if one.test not in known]
    if strange:
        raise AppError(f"waivers: {strange[0]!r} is no test of {app.name!r}. Remove its waiver, or mend the name.")
    trial = replay.now
    # Tests predict a few rows thousands of times: threads would wait for each other, on a busy machine for minutes.
    with threadpool_limits(limits=1):
        verdicts, left_out = run_suite(suite, trial, waivers=in_force(waivers, today), owner=app.owner, progress=said)
        verdicts, left_out = _asked_for(app, suite, verdicts, left_out)
        found = _false_blocks(suite, replay, verdicts, said) if past else None
    report = GateReport(app.name, trial.said, tuple(verdicts), tuple(left_out), tuple(waivers), today, found)
    said_of = report.as_dict() | {"data": rehearsal.survey.data_digest, "made_of": made_of_app(app)}
    text = json.dumps(said_of, allow_nan=False).encode()
    write_atomically(rehearsal.store.root / "gates" / f"{app.name}.json", lambda file: file.write(text))
    return report


def suite_of(app: App, tests: Sequence[Any] | None = None, beside: Sequence[Any] = ()) -> tuple[Test, ...]:
    """
    Return the tests of an app: those given, else its own, else the standard ones.

    Those in the file beside it come on top; one with the name of another takes its place.
    """
    given = tests if tests is not None else app.tests
    mine = as_tests(given if given is not None else standard(app))
    more = as_tests(beside)
    named = {test.name for test in more}
    return as_tests([*(test for test in mine if test.name not in named), *more])


def replay_of(rehearsal: Rehearsal, *, periods: int = PERIODS) -> Replay:
    """
    Return what trials are taken from: the recommended rule's life in a rehearsal that kept its rows.

    Parameters
    ----------
    rehearsal : Rehearsal
    periods : int
        Settled periods that a candidate is tried on.

    Raises
    ------
    AppError
        If the rehearsal did not keep the app's rows.
    """
    if rehearsal.events is None:
        raise AppError("rehearsal: it did not keep the app's rows. Use rehearse(app, keep_rows=True).")
    ours = next(one for one in rehearsal.triangles if one.model == rehearsal.survey.app.live)
    return Replay(ours, life_of(rehearsal), rehearsal.events, rehearsal.tables, periods, rehearsal)


def life_of(rehearsal: Rehearsal) -> Life:
    """Return the life of the rule that is recommended; of the default one where none is."""
    return led(rehearsal.recommended["rule"], rehearsal.lives)


def waivers_beside(path: Path, app: str) -> list[Waiver]:
    """
    Return the waivers in the file beside an app's, ``churn.waivers.toml`` for ``churn.py``; none where it is not there.

    Raises
    ------
    AppError
        If the file cannot be read or one of them does not hold water.
    """
    file = path.with_suffix(".waivers.toml")
    if not file.exists():
        return []
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise AppError(f"{file.name}: cannot be read: {problem}.") from problem
    return read_waivers(text, app, file.name)


def _asked_for(
    app: App, suite: Sequence[Test], verdicts: list[Verdict], left_out: list[tuple[str, str]]
) -> tuple[list[Verdict], list[tuple[str, str]]]:
    """Return verdicts with one that is not green for each test of the app's own that does not apply."""
    usual = standard(app)
    own = {test.name: test for test in suite if test not in usual}
    made = [
        Verdict(name, family_of(own[name]), Outcome("underpowered", f"it does not apply: {why}"), 0.0, app.owner)
        for name, why in left_out
        if name in own
    ]
    return [*verdicts, *made], [pair for pair in left_out if pair[0] not in own]


def _false_blocks(
    suite: Sequence[Test], replay: Replay, verdicts: Sequence[Verdict], said: Callable[[str], None] | None
) -> FalseBlocks:
    """Run the suite on past champions; those that were good afterwards should not have been blocked."""
    blocked, red, good = 0, dict.fromkeys((test.name for test in suite), 0), 0
    for trial in replay.champions():
        if not _was_good(trial):
            continue
        good += 1
        if said is not None:
            said(f"the suite on a past champion: {trial.said}")
        names = _red_tests(suite, trial)
        blocked += bool(names)
        for name in names:
            red[name] += 1
    interval = clopper_pearson(blocked, good) if good else None
    promised = sum(one.outcome.blocks_good for one in verdicts if not np.isnan(one.outcome.blocks_good))
    return FalseBlocks(
        blocked,
        good,
        np.nan if interval is None else interval.low,
        np.nan if interval is None else interval.high,
        min(float(promised), 1.0),
        {name: times for name, times in red.items() if times},
    )


def _was_good(trial: TriangleTrial) -> bool:
    """Say whether a past champion lost about as little as a fresh model in the periods after its trial."""
    replay = trial.replay
    triangle, grid = replay.triangle, trial.survey.grid
    after = [k for k in range(trial.cutoff, min(trial.cutoff + replay.periods, grid.periods)) if grid.labelled[k]]
    fresh = {k: triangle.freshest(trial.vintage.window, k) for k in after}
    used = list(dict.fromkeys([trial.vintage, *(one for one in fresh.values() if one is not None)]))
    total, weight = triangle.matrix(used)
    ours = sum(total[0, k] for k in after)
    theirs = sum(total[used.index(one), k] for k, one in fresh.items() if one is not None)
    return bool(after) and bool(ours <= theirs + GOOD * abs(theirs)) and bool(weight[0, after].sum() > 0)


def _red_tests(suite: Sequence[Test], trial: TriangleTrial) -> list[str]:
    """Return the tests that are red on a past champion; read from the store where they were judged before."""
    store, read = trial.replay.triangle.store, trial.survey
    made_of = trial.replay.triangle.recipe.fit_key(trial.vintage)
    champion = None if trial.champion is None else trial.champion.name
    # What `mlwild check` finds and reads anew is of the whole history, which a past trial must not know.
    suite = [test for test in suite if family_of(test) not in ("leaks", "data")]
    named = [fingerprint(test) for test in suite]
    held = [part for name, values in read.groups.items() for part in (name, kinds(values))]
    key = digest(
        "gate 2",
        made_of_app(read.app),
        version("mlwild"),
        read.data_digest,
        made_of,
        champion,
        trial.cutoff,
        named,
        fingerprint(read.app.serving),
        *held,
    )
    if store.get(key, "gate") is None:
        verdicts, _ = run_suite(suite, trial)
        names = [one.test for one in verdicts if one.outcome.verdict in RED]
        text = json.dumps(names).encode()
        store.put(key, "gate", lambda file: file.write(text))
    return list(json.loads(store.payload(key, "gate").read_bytes()))


def last_gate(app: App, *, store: str | Path = STORE) -> dict[str, Any] | None:
    """Return what the gate said last, as plain data; None if it was never asked."""
    root = Path(store) if Path(store).is_absolute() else app.root / store
    path = root / "gates" / f"{app.name}.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


__all__ = [
    "FalseBlocks",
    "GateReport",
    "Waived",
    "judge",
    "last_gate",
    "life_of",
    "replay_of",
    "suite_of",
    "waivers_beside",
]
