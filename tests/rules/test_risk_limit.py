"""The rule on a risk limit: it acts when the labelled risk exceeds it, and as seldom as set where it does not."""

from __future__ import annotations

import numpy as np
import pytest

import mlwild as wild
from mlwild.errors import AppError
from mlwild.lives import first_vintage, fold
from mlwild.rules import OnRiskLimit
from tests.monitors.planted import ROWS, app_of, history, regression, triangles_of


def _fixed(X, y):
    """A model that stays what it is, wrong in 21 % of calm rows."""
    return lambda X: (X["a"].to_numpy() > 0).astype(int)


def _acted(rule, kind, seed, folder, *, delay=0, periods=20, **changes):
    frame = history(kind, seed, periods=periods, delay=delay, at=10)
    app = app_of(frame, **{"models": {"fixed": _fixed}, "loss": "zero_one", **changes})
    triangle = triangles_of(app, folder)[0]
    life = fold(rule, triangle, first_vintage(triangle))
    return [fact for fact in life.facts if fact.action == "retrain"]


@pytest.mark.parametrize("by_row", [True, False])
@pytest.mark.parametrize("delay", [0, 2 * ROWS])
def test_it_acts_when_the_risk_exceeds_the_limit_and_not_before(by_row, delay, tmp_path):
    rule = OnRiskLimit(0.3, by_row=by_row)
    assert not _acted(rule, "none", 3, tmp_path / "calm", delay=delay, periods=42)
    acted = _acted(rule, "concept", 3, tmp_path / "shift", delay=delay, periods=42)
    # The shift comes with period 8 (of 40 after the first two); labels two periods late are seen two periods later.
    # By look each is one bet, and it takes nine in the median of 40 draws.
    first = 9 + delay // ROWS
    assert first <= acted[0].cutoff <= first + (1 if by_row else 12)
    assert acted[0].reason == "the mean loss exceeds 0.3 (bets at 5%)"
    # Each deployment is watched anew, and this model never learns.
    assert len(acted) > 1


def _share(draws, folder, seed):
    # The limit is the very risk: P(y = 0 | a > 0) for y of chance 1 / (1 + exp(-2 a)).
    grid = np.random.default_rng(0).normal(size=2_000_000)
    risk = float((1 / (1 + np.exp(2 * np.abs(grid)))).mean())
    rule = OnRiskLimit(risk)
    return sum(bool(_acted(rule, "none", seed + draw, folder / str(draw), delay=ROWS)) for draw in range(draws)) / draws


def test_at_its_limit_it_seldom_acts(tmp_path):
    # 30 lives of one deployment, chance 5 % at most: 5 or more have a probability of 1.6 %.
    assert _share(30, tmp_path, 100) <= 4 / 30


@pytest.mark.slow
def test_at_its_limit_it_acts_in_at_most_five_percent_of_lives(tmp_path):
    # 400 lives; two standard errors of 1.1 %.
    assert _share(400, tmp_path, 1000) <= 0.05 + 0.022


def test_losses_in_other_units_are_cut_off_at_the_top(tmp_path):
    frame = history("concept", 1, periods=20)
    triangle = triangles_of(regression(frame, loss="absolute", models={"flat": _flat}), tmp_path)[0]
    start = first_vintage(triangle)
    acted = [
        [fact.cutoff for fact in fold(OnRiskLimit(limit, top=top), triangle, start).facts if fact.action == "retrain"]
        for limit, top in ((2.5, 20.0), (1.5, 20.0), (1.5, 1.6))
    ]
    assert not acted[0]
    assert acted[1]
    assert acted[1][0] <= 3  # it loses 1.7 from the start
    assert not acted[2]  # what lies above the top does not count


def _flat(X, y):
    return lambda X: np.zeros(len(X))


def test_it_stands_in_the_table_with_its_meaning(tmp_path):
    frame = history("none", 1)
    app = app_of(frame, models={"fixed": _fixed}, loss="zero_one", prices=wild.Prices(loss=1.0, retrain=5.0))
    made = wild.rehearse(app, rules=[wild.rules.Never(), OnRiskLimit(0.3, alpha=0.01)], store=tmp_path, jobs=1)
    assert "risk limit 0.3 at 1%" in {row["name"] for row in made.rules}
    assert [word for word, _ in wild.rules.meanings(["risk limit 0.3 at 1%"])] == ["risk limit"]


def test_wrong_limits_and_negative_losses_are_refused(tmp_path):
    for wrong in ((0.0, 1.0), (1.0, 1.0), (2.0, 1.0), (0.5, float("inf")), (float("nan"), 1.0)):
        with pytest.raises(AppError, match="must lie between 0 and top"):
            OnRiskLimit(wrong[0], top=wrong[1])
    with pytest.raises(AppError, match="alpha=0 must lie between 0 and 1"):
        OnRiskLimit(0.2, alpha=0)
    gain = wild.Loss(lambda y, p: -np.abs(y - p), "gain", predicts="value", bounds=(-np.inf, 0.0))
    triangle = triangles_of(regression(history("none", 1), loss=gain), tmp_path)[0]
    with pytest.raises(AppError, match=r"'risk limit 0.2' needs losses of at least 0; one is -"):
        fold(OnRiskLimit(0.2), triangle, first_vintage(triangle))
