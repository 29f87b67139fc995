"""Look-ahead is impossible: whatever happens after t, nothing decided or computed for t changes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

import mlwild as wild
from mlwild import monitors
from mlwild.errors import LookAheadError
from mlwild.losses import named
from mlwild.records import Vintage
from mlwild.rules import (
    BreakEven,
    CumulativeThreshold,
    Every,
    LossThreshold,
    OnEDetector,
    OnLossAlarm,
    OnRiskLimit,
    OnSignal,
)
from mlwild.triangle import build, survey
from mlwild.triangle.store import Store
from tests.support import Line, Logit, columns, small_app

EVERY, N = 20, 200
RULES = [
    BreakEven(noise=0),
    BreakEven(noise=1, rollback=True),
    BreakEven(shadow_every=3),
    BreakEven(window="40"),
    LossThreshold(0.1),
    CumulativeThreshold(0.3),
    Every(3),
    Every(2, update=True),
    OnSignal(monitors.Disagreement(), above=0.3),
    OnSignal(monitors.KnownStaleness(), per_looks=5),
    OnSignal(monitors.LabelledLoss(), above=0.2),
    OnSignal(monitors.FeatureDrift(), per_looks=3, on_shift=True),
    OnEDetector(50, reference=20),
    OnLossAlarm(per_looks=5, reference=20),
    OnRiskLimit(2.0, top=30.0, alpha=0.5),
]


def _history(seed: int, delays: str) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(N, 2))
    slope = np.cumsum(rng.normal(size=N) * 0.2)
    when = np.sort(rng.integers(0, N, N))  # with ties
    late = {
        "none": np.zeros(N, int),
        "fixed": np.full(N, 15),
        "random": rng.integers(0, 60, N),
        "heavy": (rng.pareto(1.0, N) * 5).astype(int),
    }[delays]
    known = pd.array(when + late, dtype="Int64")
    known[rng.random(N) < 0.05] = pd.NA  # some labels never arrive
    y = slope * x[:, 0] + rng.normal(size=N)
    return pd.DataFrame({"when": when, "known": known, "a": x[:, 0], "b": x[:, 1], "y": y})


def _tamper(frame: pd.DataFrame, cutoff: int, how: str, seed: int) -> pd.DataFrame:
    """Change what could not be known at a cutoff: later rows, and labels that arrive later."""
    rng = np.random.default_rng(seed)
    changed = frame.copy()
    later_label = ~(changed["known"].fillna(10**9) <= cutoff).to_numpy()
    later_row = (changed["when"] >= cutoff).to_numpy()
    if how == "delete":
        # A label that would come later has not come.
        changed.loc[later_label, ["y"]] = np.nan
        changed["known"] = changed["known"].mask(later_label)
        return changed[~later_row].reset_index(drop=True)
    changed.loc[later_label, "y"] = rng.normal(size=int(later_label.sum())) * 100
    if how == "delay":
        changed["known"] = changed["known"].mask(later_label, changed["when"].clip(lower=cutoff) + 500)
    rows = np.flatnonzero(later_row)
    if how == "shuffle":
        order = rng.permutation(rows)
        values = changed.loc[order, ["a", "b", "y"]].to_numpy()
        changed.loc[rows, ["a", "b", "y"]] = values
    else:
        changed.loc[rows, ["a", "b"]] = rng.normal(size=(len(rows), 2)) * 100
    return changed


def _rehearse(frame: pd.DataFrame, loss: str, folder: str):
    app = wild.App(
        name="blind",
        data=lambda: frame,
        time="when",
        label="y",
        known_at="known",
        features=columns,
        models={"line": Line()},
        loss=loss,
        every=EVERY,
        start=40,
        min_rows=1,
        windows=["all", 40],
        update="partial_fit",
        prices=wild.Prices(loss=1.0, retrain=15.0),
    )
    # A detector watches losses of rows.
    return wild.rehearse(app, rules=RULES if loss == "squared" else RULES[:-3], store=folder, jobs=1)


@settings(max_examples=40, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(
    seed=st.integers(0, 10_000),
    delays=st.sampled_from(["none", "fixed", "random", "heavy"]),
    how=st.sampled_from(["change", "shuffle", "delete", "delay"]),
    at=st.integers(3, 6),
    loss=st.sampled_from(["squared", "rmse"]),
)
def test_nothing_after_a_cutoff_changes_what_was_decided_or_computed_at_it(seed, delays, how, at, loss):
    # Without what came after the third cutoff there may be too few whole periods left to rehearse.
    assume(how != "delete" or at > 3)
    frame = _history(seed, delays)
    cutoff = 40 + EVERY * at
    tampered = _tamper(frame, cutoff, how, seed)
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        before, after = _rehearse(frame, loss, one), _rehearse(tampered, loss, two)
        # Where the later rows are gone there is no whole period left to decide for at the cutoff itself.
        last = min(at, after.survey.grid.periods - 1)
        assert last == at or (how == "delete" and last >= at - 2)
        for name in before.lives:
            ours = [fact for fact in before.lives[name][0].facts if fact.cutoff <= last]
            theirs = [fact for fact in after.lives[name][0].facts if fact.cutoff <= last]
            assert ours == theirs, name
            assert len(ours) >= last - 1  # the comparison is not empty
        chosen = [[fact for fact in made.chosen[0].facts if fact.cutoff <= last] for made in (before, after)]
        assert chosen[0] == chosen[1]
        first, second = before.triangles[0], after.triangles[0]
        for vintage in first.scores:
            if vintage.cutoff > last:
                continue
            for known_at in range(vintage.cutoff, last + 1):
                for left, right in zip(first.totals(vintage, known_at), second.totals(vintage, known_at), strict=True):
                    assert left.tobytes() == right.tobytes()
            # The same fits were made: the digest of what they learned from is the same.
            assert first.recipe.fit_key(vintage) == second.recipe.fit_key(vintage)


N_SEEN, PERIOD = 1500, 100


def _seen_history(seed: int, delays: str) -> pd.DataFrame:
    """Return rows with two classes, a column of words and gaps, enough of them for estimators to speak."""
    rng = np.random.default_rng(seed)
    when = np.sort(rng.integers(0, N_SEEN, N_SEEN))
    late = {"none": np.zeros(N_SEEN, int), "random": rng.integers(0, 150, N_SEEN)}[delays]
    known = pd.array(when + late, dtype="Int64")
    known[rng.random(N_SEEN) < 0.05] = pd.NA
    a = rng.normal(size=N_SEEN) * np.linspace(1.5, 0.5, N_SEEN)
    words = rng.choice([f"w{k}" for k in range(8)], N_SEEN)
    b = np.where(rng.random(N_SEEN) < 0.1, np.nan, rng.normal(size=N_SEEN))
    y = (rng.random(N_SEEN) < 1 / (1 + np.exp(-2 * a))).astype(float)
    return pd.DataFrame({"when": when, "known": known, "a": a, "b": b, "word": words, "y": y})


class Gapless(Logit):
    """A logistic regression on the first column."""

    def fit(self, X, y):
        return super().fit(X[["a"]], y)

    def predict_proba(self, X):
        return super().predict_proba(X[["a"]])


def _seen_triangle(frame: pd.DataFrame, folder: str):
    app = wild.App(
        name="seen", data=lambda: frame, time="when", label="y", known_at="known",
        features=lambda rows: rows[["a", "b", "word"]].astype({"word": "category"}),
        models={"one": Gapless(), "other": Gapless()}, loss="log_loss", every=PERIOD, start=300,
    )  # fmt: skip
    return build(survey(app), Store(Path(folder)), jobs=1)[0]


@settings(max_examples=5, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(
    seed=st.integers(0, 10_000),
    delays=st.sampled_from(["none", "random"]),
    how=st.sampled_from(["change", "shuffle", "delete", "delay"]),
    at=st.integers(6, 9),
)
def test_nothing_after_a_cutoff_changes_what_a_monitor_said_at_it(seed, delays, how, at):
    frame = _seen_history(seed, delays)
    tampered = _tamper(frame, 300 + PERIOD * at, how, seed)
    tampered["y"] = (tampered["y"] > 0.5).astype(float).where(tampered["y"].notna())
    slices = {"positive": lambda rows: rows["a"] > 0}
    asked = [*monitors.standard(named("log_loss")), monitors.Disagreement("other"), monitors.Mandoline(slices)]
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        before, after = _seen_triangle(frame, one), _seen_triangle(tampered, two)
        last = min(at, after.survey.grid.periods)
        assert last == at or (how == "delete" and last >= at - 1)
        spoke = set()
        for monitor in asked:
            for vintage, cutoff in [(0, 2), (0, last), (3, last - 1), (last - 2, last), (last - 1, last)]:
                said = [triangle.signal(Vintage(vintage), cutoff, monitor) for triangle in (before, after)]
                assert repr(said[0]) == repr(said[1]), (monitor.name, vintage, cutoff)
                if np.isfinite(said[0].value):
                    spoke.add(monitor.name)
        assert spoke == {monitor.name for monitor in asked}  # the comparison is not of silence


def test_a_rule_that_asks_for_later_is_refused():
    class Asking(BreakEven):
        @property
        def name(self):
            return "asking"

        def decide(self, view, memory):
            view.known.totals(view.live, view.cutoff + 1)

    with tempfile.TemporaryDirectory() as folder, pytest.raises(LookAheadError, match="at cutoff 1 asked .* cutoff 2"):
        wild.rehearse(small_app(), rules=[Asking()], store=folder, jobs=1)


def test_the_property_test_would_notice_a_look_ahead():
    """A rule that peeks at what arrives later is caught by the same comparison."""

    class Peeking(BreakEven):
        @property
        def name(self):
            return "peeking"

        def decide(self, view, memory):
            everything = view.known._behind.totals(view.live, view.known._behind.survey.grid.periods)[0]
            from mlwild.records import Keep, Retrain
            from mlwild.rules import Decision

            return Decision(Retrain() if everything[view.cutoff] > 10_000 else Keep())

    frame = _history(1, "none")
    changed = _tamper(frame, 100, "change", 1)
    facts = []
    for data in (frame, changed):
        with tempfile.TemporaryDirectory() as folder:
            app = wild.App(
                name="blind", data=lambda data=data: data, time="when", label="y", known_at="known", features=columns,
                models={"line": Line()}, loss="squared", every=EVERY, start=40, min_rows=1,
            )  # fmt: skip
            made = wild.rehearse(app, rules=[Peeking()], store=folder, jobs=1)
            facts.append([(fact.cutoff, fact.action) for fact in made.lives["peeking"][0].facts if fact.cutoff <= 3])
    assert facts[0] != facts[1]
