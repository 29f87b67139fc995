"""The core of the gate: outcomes, plain tests that are tried themselves, suites and waivers."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from mlwild.errors import AppError, DataError, StoreError
from mlwild.gate import Outcome, Plain, UnderpoweredError, Verdict, Waived, at_most
from mlwild.gate.cases import as_tests
from mlwild.gate.fitted import Fitted, answers_nan
from mlwild.gate.outcome import of_judged, worst
from mlwild.gate.run import in_order, judged, run_suite
from mlwild.gate.standard import standard
from mlwild.gate.waivers import in_force, read_waivers, signed
from mlwild.losses import named
from tests.gate.bench import Bench, table

TRIAL = Bench(table(1500), LogisticRegression())


# -- outcomes --------------------------------------------------------------------------------------


def test_nan_never_passes():
    for given in ({"estimate": math.nan, "limit": 0.3}, {"estimate": float("nan"), "limit": 0.0, "high": 0.1}):
        with pytest.raises(ValueError, match="NaN never passes: fine"):
            Outcome("pass", "fine", **given)
    assert Outcome("fail", "it is NaN", estimate=math.nan, limit=0.3).verdict == "fail"


def test_plain_data_hold_no_nan_and_no_arrays():
    outcome = Outcome(
        "fail", "x", n=np.int64(3), estimate=math.inf, rows=(np.int64(4),), parts=({"a": np.float64("nan")},)
    )
    made = Verdict("t", "own", outcome, 0.123456).as_dict()
    assert made["estimate"] is None
    assert made["limit"] is None
    assert made["rows"] == [4]
    assert made["parts"] == [{"a": None}]
    assert made["seconds"] == 0.1235
    assert made["waived"] is None


def test_the_worst_part_speaks_for_all():
    fine = Outcome("pass", "a", estimate=0.1, high=0.2, limit=0.5, n=10)
    near = Outcome("pass", "b", estimate=0.3, high=0.4, limit=0.5, n=20)
    found = worst([fine, near], "group", all_said="both")
    assert (found.said, found.n, found.high) == ("both", 30, 0.4)
    yellow = Outcome("underpowered", "c: few rows")
    assert worst([fine, yellow], "group", all_said="both").verdict == "underpowered"
    red = [Outcome("fail", word, estimate=by, limit=0.0) for word, by in (("little", 0.1), ("much", 0.4))]
    found = worst([fine, yellow, *red], "group", all_said="both")
    assert found.said == "much (2 of 4 groups red)"
    assert of_judged([fine, yellow], "group", all_said="both").verdict == "pass"
    assert of_judged([yellow], "group", all_said="both").verdict == "underpowered"


# -- plain tests -----------------------------------------------------------------------------------


def holds(model, events):
    assert model.mean_loss(events) < 0.7


def breaks(model, events):
    loss = model.mean_loss(events)
    assert loss < 0.1


def says_no(model, events):
    return bool(model.mean_loss(events) < 0.1)


def returns_a_number(model, events):
    return model.mean_loss(events)


def returns_an_array(model, events):
    return model.losses(events) < 0.1


def returns_an_outcome(model, events):
    return at_most(model.losses(events), 0.9, margin=0.2, what="loss")


def raises(model, events):
    if model.mean_loss(events) > 0:
        raise KeyError("no such shop")


def few_rows(model, events):
    assert model.predictions(events.where(np.arange(5))).min() >= 0


def few_in_a_slice(model, events):
    assert model.mean_loss(events) < 0.7
    for part in (np.arange(100), np.arange(100, 107)):
        assert model.mean_loss(events.where(part)) < 9


def row_by_row(model, events):
    whole = model.predictions(events)
    assert np.allclose([model.predict(events.where([row]).features)[0] for row in range(40)], whole[:40])


def exact(model, events):
    assert model.mean_loss(events) == 0.25


def one_tail(model, events):
    from scipy.stats import ttest_1samp

    assert ttest_1samp(model.losses(events), 1.0, alternative="less").pvalue < 0.05


def passes_for_nan(model, events):
    assert not model.predictions(events).max() > 2


def asks_too_much(model, weather):
    assert weather


def cannot_tell(model, events):
    model.predictions(events)
    if len(events) < 10_000:
        raise UnderpoweredError("500 rows are too few for this")


def whole(rehearsal):
    assert rehearsal.sheet


def with_default(model, events, limit=0.7):
    assert model.mean_loss(events) < limit


@pytest.mark.parametrize("first", [True, False])
def test_a_flaky_test_is_found_by_running_it_twice(first):
    turns = [first]

    def by_turns(model, events):
        turns.append(not turns[-1])
        assert model.mean_loss(events) < 0.7 and turns[-2]  # noqa: PT018

    found = Plain(by_turns).judge(TRIAL)
    words = "pass, then fail" if first else "fail, then pass"
    assert found.verdict == "error"
    assert found.said == f"the test itself is at fault: run twice on the same rows, it is {words}"


@pytest.mark.parametrize(
    ("function", "verdict", "said"),
    [
        (holds, "pass", "holds on 500 rows"),
        (with_default, "pass", "holds on 500 rows"),
        (returns_an_outcome, "pass", "the limit is 0.9"),
        (breaks, "fail", "loss = 0.5"),
        (says_no, "fail", "it returned False"),
        (returns_a_number, "error", "it returned a float, which cannot fail"),
        (returns_an_array, "error", "it returned a ndarray, which cannot fail"),
        (raises, "error", "it raised KeyError: 'no such shop'"),
        (few_rows, "underpowered", "it had 5 rows predicted; 30 at least"),
        (few_in_a_slice, "underpowered", "it takes the mean loss of 7 rows; 30 at least, or say few=True"),
        (row_by_row, "pass", "holds on 500 rows"),
        (exact, "error", "the test itself is at fault: 'model.mean_loss(events) == 0.25' asks floating-point numbers"),
        (one_tail, "error", "looks at one tail only"),
        (passes_for_nan, "error", "the test itself is at fault: it passes for a model that answers NaN"),
        (cannot_tell, "underpowered", "500 rows are too few for this"),
    ],
)  # fmt: skip
def test_plain_tests_are_tried_themselves(function, verdict, said):
    found = Plain(function).judge(TRIAL)
    assert (found.verdict, said in found.said) == (verdict, True), found


def test_few_rows_may_be_meant():
    assert Plain(few_rows, few=True).judge(TRIAL).verdict == "pass"


# -- rows that a test leaves out ---------------------------------------------------------------------

PRICES = table(1500).assign(paid=lambda rows: np.where(rows["y"] == 1, np.exp(rows["x0"] + 3), 0.0))
PAID = Bench(
    PRICES.drop(columns="y").rename(columns={"x1": "y"}), LinearRegression(), "squared", options={"outcomes": ("paid",)}
)


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (lambda events: events.labels < np.quantile(events.labels, 0.95), "leaves out the 25 of 500 rows with the greatest 'y'"),
        (lambda events: events.labels > np.quantile(events.labels, 0.05), "leaves out the 25 of 500 rows with the least 'y'"),
        (lambda events: np.abs(events.labels) < 2, "with the most extreme 'y' (outside -"),
        (lambda events: events.frame["paid"] < events.frame["paid"].quantile(0.98), "10 of 500 rows with the greatest 'paid'"),
        (lambda events: events.labels > np.quantile(events.labels, 0.9), ""),  # a look at the great ones is a slice
        (lambda events: np.arange(500) < 480, ""),
        (lambda events: events.frame["x0"] < 1, ""),
        (lambda events: np.argsort(np.argsort(events.labels)) < 498, ""),  # two rows may be the greatest by chance
        (lambda events: np.ones(500, dtype=bool), ""),
    ],
)  # fmt: skip
def test_a_test_that_leaves_out_great_answers_is_at_fault(chosen, said):
    def test_some(model, events):
        assert model.losses(events.where(np.asarray(chosen(events)))).mean() < 99

    found = Plain(test_some).judge(PAID)
    assert found.verdict == ("error" if said else "pass"), found.said
    assert said in found.said


def test_a_test_that_also_looks_at_all_rows_leaves_none_out():
    def test_both(model, events):
        usual = model.mean_loss(events.where(events.labels < 1))
        assert usual < 99
        assert model.predict(events.features).std() > 0

    assert Plain(test_both).judge(PAID).verdict == "pass"


def test_what_a_plain_test_may_ask_for():
    with pytest.raises(AppError, match="asks_too_much asks for 'weather'; a test may ask for model, events, history"):
        Plain(asks_too_much)
    assert Plain(whole).objection(TRIAL).startswith("it asks for the whole rehearsal")
    assert Plain(with_default).asked == ("model", "events")
    assert Plain(holds).name == "holds"


def test_tests_are_told_from_other_things():
    assert [one.name for one in as_tests([holds, Plain(breaks)])] == ["holds", "breaks"]
    with pytest.raises(AppError, match="'holds' is there twice"):
        as_tests([holds, Plain(holds)])
    with pytest.raises(AppError, match=r"Plain is a class. Give an instance: Plain\(\)"):
        as_tests([Plain])
    for strange in (3, "holds"):
        with pytest.raises(AppError, match="is neither a function that asserts nor a test"):
            as_tests([strange])


def test_a_sabotaged_model_answers_nan_everywhere():
    model = TRIAL.model.watched(answers_nan)
    assert np.isnan(model.predict(TRIAL.events.features)).all()
    assert np.isnan(model.predictions(TRIAL.events)).all()
    assert np.isnan(model.losses(TRIAL.events)).all()
    assert math.isnan(model.mean_loss(TRIAL.events))
    ranked = replace(model, loss=named("auc"))
    assert math.isnan(ranked.mean_loss(TRIAL.events))


def test_kept_predictions_are_not_used_for_changed_features():
    kept = Fitted(
        "kept",
        TRIAL.model.raw,
        "probability",
        np.array([0, 1]),
        named("brier"),
        kept=lambda rows: np.full(len(rows), 0.9),
    )
    assert (kept.predictions(TRIAL.events) == 0.9).all()
    changed = TRIAL.events.with_features(TRIAL.events.features)
    assert (kept.predictions(changed) != 0.9).all()


def test_rows_are_held_in_order_and_checked():
    held = TRIAL.events
    assert len(held.evenly(100)) == 100
    assert held.evenly(10_000) is held
    with pytest.raises(DataError, match="a mask of shape"):
        held.where(np.ones(3, dtype=bool))
    with pytest.raises(DataError, match="have no column 'x5'"):
        held.with_features(held.features.drop(columns="x5"))


# -- suites ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fixed:
    """A test with a verdict of its own."""

    name: str
    family: str
    verdict: str = "pass"
    owner: str = ""
    why: str = ""

    def objection(self, trial):
        return self.why

    def judge(self, trial):
        if self.verdict == "raise":
            raise RuntimeError("the model\n  broke")
        return Outcome(self.verdict, self.name)


def test_a_suite_runs_in_the_order_of_its_families():
    suite = [Fixed("d", "proxies"), Fixed("c", "strange"), Fixed("b", "leaks"), Fixed("a", "data")]
    assert [one.name for one in in_order(suite)] == ["a", "b", "c", "d"]


def test_whatever_a_test_raises_is_red_but_for_our_own_errors():
    assert judged(Fixed("x", "code", "raise"), TRIAL).said == "it raised RuntimeError: the model broke"

    class Ours(Fixed):
        def judge(self, trial):
            raise StoreError("the disk is full")

    with pytest.raises(StoreError):
        judged(Ours("x", "code"), TRIAL)

    class Wrong(Fixed):
        def judge(self, trial):
            raise DataError("tests: there is no column 'zz'")

    found = judged(Wrong("x", "code"), TRIAL)
    assert (found.verdict, found.said) == ("error", "tests: there is no column 'zz'")


def test_left_out_tests_are_told_with_their_reason():
    waived = Waived("Ada", "2026-01-01", "2026-02-01", "known")
    suite = [Fixed("a", "code", "fail", owner="Bea"), Fixed("b", "code", "fail"), Fixed("c", "code", why="no model")]
    said = []
    made, left_out = run_suite(suite, TRIAL, waivers={"b": waived}, owner="Cy", progress=said.append)
    assert left_out == [("c", "no model")]
    assert [(one.owner, one.blocks) for one in made] == [("Bea", True), ("Cy", False)]
    assert said == ["a", "b"]
    assert made[1].as_dict()["waived"]["by"] == "Ada"


def test_the_standard_suite_has_names_that_are_unique():
    suite = standard(TRIAL.app)
    assert len({one.name for one in as_tests(suite)}) == len(suite)
    names = [one.name for one in suite]
    assert "serving parity" not in names
    assert "serving parity" in [one.name for one in standard(TRIAL.bench(serve_features=lambda rows: rows).app)]


# -- waivers ---------------------------------------------------------------------------------------

ON, UNTIL = date(2026, 1, 5), date(2026, 2, 5)


def text(**changes):
    given = {"app": "shop", "test": "size", "by": "Ada", "on": ON, "until": UNTIL, "why": 'a "known"\nmatter'}
    return signed(**(given | changes)).text()


def test_a_waiver_survives_its_file():
    one = read_waivers(text(), "shop", "shop.waivers.toml")[0]
    assert (one.by, one.why, one.until) == ("Ada", 'a "known"\nmatter', UNTIL)
    assert in_force([one], ON)["size"] == Waived("Ada", "2026-01-05", "2026-02-05", 'a "known"\nmatter')


@pytest.mark.parametrize(
    ("day", "holds"), [(ON - timedelta(1), False), (ON, True), (UNTIL, True), (UNTIL + timedelta(1), False)]
)
def test_a_waiver_holds_from_its_day_to_its_last(day, holds):
    one = read_waivers(text(), "shop", "shop.waivers.toml")
    assert bool(in_force(one, day)) is holds


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('test = "size"', 'test = "leaks"'),
        ("2026-02-05", "2026-03-05"),
        ('by = "Ada"', 'by = "Bea"'),
        ("known", "minor"),
    ],
)
def test_a_changed_waiver_is_refused(old, new):
    assert old in text()
    with pytest.raises(AppError, match="was changed after it was signed"):
        read_waivers(text().replace(old, new), "shop", "shop.waivers.toml")


def test_a_waiver_of_another_app_is_refused():
    with pytest.raises(AppError, match="was changed after it was signed"):
        read_waivers(text(), "other", "other.waivers.toml")


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("waiver = 3", "it holds"),
        ("[[waivers]]\ntest = 'x'", "holds 'waivers'"),
        ("[[waiver]]\ntest = 'x'", "waiver 1 has no 'by'"),
        ("[[waiver", "is no TOML"),
        (text().replace("on = 2026-01-05", 'on = "2026-01-05"'), "is '2026-01-05', not a date"),
        (text() + 'mood = "fine"\n', "has a strange field 'mood'"),
    ],
)
def test_strange_files_are_refused(file, said):
    with pytest.raises(AppError, match=said):
        read_waivers(file, "shop", "shop.waivers.toml")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"by": " "}, "waiver.by: is empty"),
        ({"why": ""}, "waiver.why: is empty"),
        ({"until": ON - timedelta(1)}, "is before 2026-01-05"),
        ({"until": ON + timedelta(400)}, "more than a year after"),
    ],
)
def test_what_cannot_be_signed(changes, said):
    with pytest.raises(AppError, match=said):
        text(**changes)


def test_of_several_waivers_the_longest_counts():
    files = text() + text(until=UNTIL + timedelta(30), by="Bea")
    assert in_force(read_waivers(files, "shop", "f"), ON)["size"].by == "Bea"
    assert len(tomllib.loads(files)["waiver"]) == 2
