"""The drill as a test of the gate: each of its limits, its chance of a false red, and that a trial sees no more."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from mlwild.drilling import Cell
from mlwild.errors import AppError, DataError
from mlwild.gate import ready
from mlwild.gate.run import judged
from mlwild.gate.standard import standard
from mlwild.gate.trial import Drilled
from mlwild.guards import Guarded
from tests.gate.made import clicks, replay_of, trial_of
from tests.support import small_app

GOOD = Cell("unit slip", 0.5, "rows", 1.0, 1.0, 1.02, 9.0, 1.0, 1.0, 2.0, 1.0, 0.0, 1200)


def _trial(*cells, rows=1000, clean=2000, trips=0):
    """Return a trial of which all is known that this test asks for: losses range over 1."""

    def drilled(seeds):
        assert seeds == 1
        return Drilled(cells, clean, trips, 1.0)

    return SimpleNamespace(events=range(rows), model=SimpleNamespace(raw=object()), drilled=drilled)


def _judge(*cells, test=None, **more):
    return (test or ready.SurvivesDrill()).judge(_trial(*cells, **more))


def test_a_guard_that_keeps_all_limits_passes_and_its_worst_fault_is_the_estimate():
    found = _judge(GOOD, replace(GOOD, fault="sign flip", loss=1.9))
    assert found.verdict == "pass"
    assert found.estimate == pytest.approx(-0.1)
    assert found.limit == 0.02
    assert found.said.startswith("at worst (sign flip, 50% of rows) answers lose 1.9, without the fault 1, and the")
    assert [part["fault"] for part in found.parts] == ["unit slip", "sign flip"]
    assert found.n == 2000


def test_where_nothing_is_ever_lost_there_is_no_range_and_the_loss_itself_is_told():
    test, cell = ready.SurvivesDrill(), replace(GOOD, loss=0.0, clean=0.0, constant=0.0, oracle=0.0, bare=0.0)
    for loss, verdict in ((0.0, "pass"), (0.3, "fail")):
        cells = (replace(cell, loss=loss),)
        trial = SimpleNamespace(events=range(1000), drilled=lambda _, cells=cells: Drilled(cells, 2000, 0, 0.0))
        found = test.judge(trial)
        assert (found.verdict, found.estimate) == (verdict, loss)


def test_what_no_guard_would_have_lost_is_reported_and_turns_nothing_red():
    found = _judge(replace(GOOD, bare=0.72, gain=-0.3), GOOD)
    assert found.verdict == "pass"
    assert [(part["no_guard"], part["gain"]) for part in found.parts] == [(0.72, -0.3), (9.0, None)]
    assert _judge(replace(GOOD, bare=float("nan"))).parts[0]["no_guard"] is None


@pytest.mark.parametrize(
    ("cells", "more", "verdict", "said"),
    [
        ([replace(GOOD, available=0.999)], {}, "fail", "under unit slip, 50% of rows 0.1% of rows got no answer"),
        ([replace(GOOD, loss=2.019)], {"test": ready.SurvivesDrill(most_above=1.0)}, "pass", "at worst"),
        (
            [replace(GOOD, loss=2.021)],
            {"test": ready.SurvivesDrill(most_above=1.0)},
            "fail",
            "tripped the guard 0 times; the worst is more than 2% of the range above the constant",
        ),
        (
            [replace(GOOD, loss=1.06)],
            {},
            "fail",
            "; those that lose more than without the fault are more than 50% of cells",
        ),
        ([replace(GOOD, loss=1.06), GOOD], {}, "pass", "in 1 of 2 cells"),
        ([replace(GOOD, loss=1.06)], {"test": ready.SurvivesDrill(above_clean=0.07)}, "pass", "in 0 of 1 cells"),
        ([replace(GOOD, clean=3.0, loss=2.01)], {}, "fail", "more than 50% of cells"),  # the constant is the lesser
        # In one of three so much more than an oracle would lose.
        (
            [replace(GOOD, loss=1.5, oracle=1.4), GOOD, GOOD],
            {},
            "fail",
            "; those that lose more than an oracle, too, are more than 25% of cells",
        ),
        ([replace(GOOD, loss=1.5, oracle=1.4), GOOD, GOOD, GOOD], {}, "pass", "in 1 so much more than an oracle would"),
        ([replace(GOOD, loss=1.5, oracle=1.46), GOOD, GOOD], {}, "pass", "in 0 so much more than an oracle would"),
        ([replace(GOOD, loss=1.5, oracle=0.7), GOOD, GOOD], {}, "fail", "more than 25% of cells"),
        (
            [replace(GOOD, loss=1.5, oracle=1.4), GOOD, GOOD],
            {"test": ready.SurvivesDrill(most_missed=0.4)},
            "pass",
            "in 1 of 3 cells",
        ),
        (
            [GOOD],
            {"trips": 1},
            "underpowered",
            "tripped the guard 1 time: these may be chance",
        ),  # 1 of 2,000: chance .18
        ([GOOD], {"trips": 2}, "fail", "more than 0.0001 of rows"),  # chance .017
        ([GOOD], {"trips": 2, "clean": 20_000}, "pass", "tripped the guard 2 times"),
        ([replace(GOOD, held=0.79)], {}, "fail", "intervals and sets hold 79% of the outcomes, not 90%"),
        ([replace(GOOD, held=0.81), replace(GOOD, held=0.3), replace(GOOD, held=0.95)], {}, "pass", "at worst"),
        ([replace(GOOD, held=0.79)], {"test": ready.SurvivesDrill(short=0.2)}, "pass", "at worst"),
        ([GOOD], {"rows": 499}, "underpowered", "499 events are too few"),
        ([replace(GOOD, loss=float("nan"))], {}, "underpowered", "under no fault was a row answered"),
        ([replace(GOOD, loss=float("nan"), available=0.0)], {}, "fail", "100.0% of rows got no answer"),
    ],
)
def test_each_limit_blocks_by_itself(cells, more, verdict, said):
    found = _judge(*cells, **more)
    assert found.verdict == verdict
    assert said in found.said


def test_trips_that_are_as_rare_as_allowed_are_seldom_called_too_many():
    """20,000 draws of 2,000 and of 30,000 rows, one trip in 10,000: red in 5 % at most, by three standard errors."""
    rng, slack = np.random.default_rng(0), 3 * np.sqrt(0.05 * 0.95 / 20_000)
    for rows in (2000, 30_000):
        counted = dict(zip(*np.unique(rng.binomial(rows, 1e-4, 20_000), return_counts=True), strict=True))
        red = sum(n for trips, n in counted.items() if _judge(GOOD, trips=int(trips), clean=rows).verdict == "fail")
        assert red / 20_000 <= 0.05 + slack
    assert _judge(GOOD, trips=12, clean=30_000).verdict == "fail"  # four times as many as allowed are found out


def test_without_a_guard_to_learn_nothing_is_told():
    def drilled(seeds):
        raise DataError("guard: no labelled row has come that models did not learn from. Wait.")

    trial = SimpleNamespace(events=range(900), model=SimpleNamespace(raw=object()), drilled=drilled)
    found = ready.SurvivesDrill().judge(trial)
    assert (found.verdict, found.n) == ("underpowered", 900)
    assert found.said.startswith("guard: no labelled row")


def test_a_published_forecast_has_no_guard_and_the_suite_of_everybody_leaves_it_to_whom_it_matters():
    trial = SimpleNamespace(model=SimpleNamespace(raw=None))
    assert "published forecast" in ready.SurvivesDrill().objection(trial)
    assert "survives drill" not in [test.name for test in standard(small_app())]


# -- of an app ---------------------------------------------------------------------------------------------------------


def _rows(n=4000, seed=0):
    """Two features that say the same, so that either does without the other."""
    rows = clicks(n, seed)
    rows["b"] = rows["a"] + 0.2 * np.random.default_rng(seed + 1).normal(size=n)
    chance = 1 / (1 + np.exp(-1.5 * rows["a"]))
    return rows.assign(y=(np.random.default_rng(seed + 2).random(n) < chance).astype(int))


def _app(rows):
    from sklearn.ensemble import HistGradientBoostingClassifier

    models = {"trees": HistGradientBoostingClassifier(max_iter=20, random_state=0)}
    return small_app(rows, models=models, loss="brier", every=200, start=1000)


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    return trial_of(_app(_rows()), tmp_path_factory.mktemp("store"))


def test_a_candidate_is_drilled_on_rows_that_it_did_not_learn_from(trial):
    found = judged(ready.SurvivesDrill(), trial)
    assert found.verdict == "pass", found.said
    assert len(found.parts) >= 36
    assert found.n == len(trial.events)
    assert all(part["available"] == 1 for part in found.parts)
    # Clean losses are those of the candidate on these rows: the stretch of the fault is three fifths of them.
    span = slice(round(0.2 * found.n / 50) * 50, round(0.8 * found.n / 50) * 50)
    lost = (trial.model.predictions(trial.events)[span] - trial.events.labels[span]) ** 2
    cleans = {part["fault"]: part["clean"] for part in found.parts}
    assert cleans["unit slip"] == pytest.approx(lost.mean(), rel=1e-5)


def test_a_guard_that_raises_is_red(trial, monkeypatch):
    plain = Guarded.answer

    def answer(self, native, *args, **words):
        if native["a"].isna().all():
            raise ZeroDivisionError
        return plain(self, native, *args, **words)

    monkeypatch.setattr(Guarded, "answer", answer)
    found = ready.SurvivesDrill().judge(trial)
    assert found.verdict == "fail"
    assert "got no answer" in found.said


def test_a_trial_of_the_past_is_drilled_on_what_was_known_then(tmp_path):
    """Rows and labels of later periods are others: nothing of what is found changes."""
    rows = _rows(3000)
    other = rows.copy()
    then = replay_of(_app(rows), tmp_path / "a").trial(6)
    later = rows["when"] >= then.survey.grid.edges[6]
    assert later.sum() == 800
    other.loc[later, "a"] = 7.0
    other.loc[later, "y"] = 1 - rows.loc[later, "y"]
    again = replay_of(_app(other), tmp_path / "b").trial(6)
    found, same = (one.drilled(1) for one in (then, again))
    assert len(found.cells) == len(same.cells) >= 36
    assert str(found.cells) == str(same.cells)  # as text: NaN is not itself
    assert (found.trips, found.scale) == (same.trips, same.scale) == (0, 1.0)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"above_clean": -0.01}, "above_clean of 'survives drill' is -0.01, and needs to be a share from 0 to 1"),
        ({"most_above": 50}, "most_above of 'survives drill' is 50"),
        ({"trips": float("nan")}, "trips of 'survives drill' is nan"),
        ({"seeds": 0}, "seeds of 'survives drill' is 0, and needs to be 1 at least"),
        ({"rows": -1}, "rows of 'survives drill' is -1"),
    ],
)
def test_limits_that_are_none_are_refused_where_the_test_is_written(more, said):
    with pytest.raises(AppError, match=said):
        ready.SurvivesDrill(**more)
