"""The drill: what it counts, and what it says."""

import json
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from typer.testing import CliRunner

import mlwild as wild
from mlwild import App
from mlwild.card.drill import drill_html
from mlwild.cli import cli
from mlwild.drilling import FAULTS, SEVERITIES, drill
from mlwild.drilling.faults import Scene
from mlwild.drilling.replays import Run, cell_of, differs
from mlwild.errors import AppError, DataError
from mlwild.guards.guarded import Guarded
from mlwild.guards.missed import Missed
from mlwild.show import show_drill


def _rows(n=2400, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    z = x + 0.3 * rng.normal(size=n)
    word = rng.choice(["a", "b", "c"], n)
    y = 2 * x + (word == "a") + 0.3 * rng.normal(size=n)
    return pd.DataFrame({"when": np.arange(n), "x": x, "z": z, "word": word, "y": y})


def _features(rows):
    return rows[["x", "z"]].assign(word=rows["word"].astype(pd.CategoricalDtype(["a", "b", "c"])))


def _train(X, y):
    line = LinearRegression().fit(X[["x", "z"]].to_numpy(), y)
    return lambda X: line.predict(X[["x", "z"]].to_numpy(dtype=float)) + 0.0


def _app(**more):
    rows = more.pop("rows", None)
    rows = _rows() if rows is None else rows
    fields = {
        "models": {"line": _train},
        "label": "y",
        "loss": "absolute",
        "features": _features,
        "every": 200,
        "delay": 0,
    } | more
    return App(name="app", data=lambda: rows, time="when", start=400, **fields)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return drill(_app(), seeds=2, cutoffs=2, store=tmp_path_factory.mktemp("store"))


def test_every_fault_is_tried_at_every_severity_and_the_worst_comes_first(found):
    assert {(cell.fault, cell.severity) for cell in found.cells} == {
        (fault.name, severity) for fault in FAULTS for severity in SEVERITIES
    }
    rises = [cell.loss - cell.clean for cell in found.cells]
    assert rises == sorted(rises, reverse=True)
    assert found.replays == 4


def test_every_row_is_answered_and_hardly_worse_than_by_the_constant(found):
    spread = 2.0  # the absolute error of the constant is about 1.7
    for cell in found.cells:
        assert cell.available == 1, cell
        assert cell.answered == 1, cell
        assert cell.loss <= cell.constant + 0.02 * spread * 5, cell


def test_the_champion_alone_would_have_done_worse(found):
    cells = {(cell.fault, cell.severity): cell for cell in found.cells}
    assert cells["unit slip", 1.0].bare > 10 * cells["unit slip", 1.0].loss
    assert cells["model raises", 1.0].bare_answered == 0
    assert np.isnan(cells["model raises", 1.0].bare)
    assert cells["model raises", 1.0].detected == 0
    assert cells["missing column", 1.0].bare_answered == 0


def test_it_is_told_where_no_guard_would_have_lost_less(found, capsys):
    cells = {(cell.fault, cell.severity): cell for cell in found.cells}
    slip = cells["unit slip", 1.0]
    assert slip.gain == pytest.approx(slip.bare - slip.loss)  # both answer every row
    assert np.isnan(cells["model raises", 1.0].gain)  # there is nothing to hold it against
    assert [cell.gain for cell in found.costly] == sorted(c.gain for c in found.cells if c.gain < -0.02 * found.scale)
    dear = replace(slip, gain=-0.36)
    made = replace(found, scale=1.0, cells=(dear, *(replace(one, gain=0.0) for one in found.cells if one != slip)))
    assert made.costly == (dear,)
    assert made.as_dict()["costly"] == [["unit slip", 1.0]]
    show_drill(made)
    said = " ".join(capsys.readouterr().out.split())
    assert "In 1 of 45 cells the guard costs rather than helps: no guard at all would have lost less" in said
    assert "most under unit slip, 100% of rows, by 0.36." in said
    page = drill_html(made.as_dict())
    assert "In 1 of 45 cells the guard costs rather than helps" in page
    assert page.count(" less</span>") == 1
    none = replace(made, cells=tuple(replace(one, gain=0.1) for one in made.cells))
    show_drill(none)
    assert "guard costs" not in capsys.readouterr().out + drill_html(none.as_dict())


def test_it_is_told_what_each_feature_is_missed_by(found, capsys):
    """Of x and z, which go along, each tells the other; a word stands alone, and the model does not read it."""
    worth = {one.feature: one for one in found.features}
    assert set(worth) == {"x", "z", "word"}
    assert [one.loss for one in found.features] == sorted((one.loss for one in found.features), reverse=True)
    assert worth["x"].fill == "imputed"
    assert found.stages[0]["loss"] < worth["x"].loss < found.stages[-1]["loss"]
    assert worth["word"].loss == pytest.approx(found.stages[0]["loss"], rel=0.01)  # a sample of its rows
    show_drill(found)
    said = " ".join(capsys.readouterr().out.split())
    assert "Mean absolute without a feature feature in its place who answers absolute" in said
    assert "x what the rest of its row tells champion" in said
    many = tuple(Missed(f"f{place}", 1.0 - place / 100, "champion", "usual") for place in range(13))
    show_drill(replace(found, features=many))
    assert "And 3 more, none above 0.9." in capsys.readouterr().out
    assert found.as_dict()["features"][0]["feature"] == found.features[0].feature


def test_an_oracle_stands_between_the_clean_loss_and_the_guard(found):
    cells = {(cell.fault, cell.severity): cell for cell in found.cells}
    for cell in found.cells:
        assert np.isfinite(cell.oracle), cell
        if cell.fault in ("rows out of order", "rows doubled"):
            assert cell.oracle == pytest.approx(cell.clean)
    assert cells["model raises", 1.0].oracle == pytest.approx(cells["model raises", 1.0].loss)
    # It need not find out: what the guard sees late, or not at all, costs it nothing.
    for name in ("sign flip", "stale feature", "stuck value"):
        assert cells[name, 0.5].oracle < cells[name, 0.5].loss
    assert cells["unit slip", 0.5].oracle == pytest.approx(cells["unit slip", 0.5].loss, rel=0.02)
    assert np.mean([cell.oracle for cell in found.cells]) < np.mean([cell.loss for cell in found.cells])


def test_intervals_are_counted_under_each_fault(found):
    cells = {(cell.fault, cell.severity): cell for cell in found.cells}
    for cell in found.cells:
        assert 0 <= cell.held <= 1, cell
    assert cells["rows out of order", 1.0].held == pytest.approx(0.9, abs=0.05)
    # 2,000 rows without any feature that can be used, 500 that the constant's width comes from.
    assert cells["missing column", 1.0].held == pytest.approx(0.9, abs=4 * np.sqrt(0.09 / 500))


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        ([1.0, None, float("nan")], [1.0, None, float("nan")], [False, False, False]),
        ([1.0, None, 2.0], [1.0, 3.0, 2.5], [False, True, True]),
        (["1 kW", None], [1.0, None], [True, False]),
        ([None, None, 1.0], [float("nan"), 2.0, float("nan")], [False, True, True]),
    ],
)
def test_cells_that_differ_are_found(one, two, expected):
    assert differs(pa.chunked_array([pa.array(one)]), pa.chunked_array([pa.array(two)])).tolist() == expected


@pytest.mark.parametrize("kind", ["gaps of an array", "times to the nanosecond"])
def test_rows_beside_the_stretch_are_not_taken_for_befallen(kind, tmp_path):
    """When a fault is seen, and when all is normal again, goes by the rows that it befell."""
    rows = _rows()
    rows["gap"] = rows["z"].where(np.arange(2400) % 3 < 2)
    rows["at"] = pd.Timestamp("2025-01-01") + pd.to_timedelta(np.arange(2400) * 1_000_000_007, unit="ns")

    def features(rows):
        return rows[["x", "gap"]].to_numpy() if kind == "gaps of an array" else rows[["x", "at"]]

    def train(X, y):
        return lambda X: 2 * (X[:, 0] if isinstance(X, np.ndarray) else X["x"].to_numpy(dtype=float))

    made = drill(_app(rows=rows, models={"line": train}, features=features), seeds=1, cutoffs=1, store=tmp_path)
    cells = {(cell.fault, cell.severity): cell for cell in made.cells}
    for name in ("empty rows", "missing column", "scattered gaps"):
        assert (cells[name, 1.0].detected, cells[name, 1.0].recovered) == (0.0, 0.0), name
    assert cells["empty rows", 0.1].detected == 0.0


def test_what_is_seen_more_seldom_weighs_more(tmp_path):
    """Every second row is off by 1.5, and its label is seen in one of ten; the others by 0.1, and nine in ten."""
    rows, place = _rows(6000), np.arange(6000)
    hard, turn = place % 2 == 1, place // 2 % 10
    rows["y"] = 2 * rows["x"] + np.where(hard, 1.5, 0.1) * np.random.default_rng(0).choice([-1, 1], 6000)
    rows["y"] = rows["y"].where(np.where(hard, turn == 0, turn > 0))
    rows["chance"] = np.where(hard, 0.1, 0.9)
    app = _app(rows=rows, feedback="selective", propensity="chance", fallback=[])
    made = drill(app, seeds=1, cutoffs=1, store=tmp_path)
    assert made.stages[0]["loss"] == pytest.approx(0.8, rel=0.1)  # of the labels that were seen it is 0.24
    for cell in made.cells:
        if cell.fault == "rows out of order":
            assert [cell.loss, cell.oracle, cell.bare, cell.clean] == pytest.approx([0.8] * 4, rel=0.1)
            assert cell.constant > 1.6


def test_what_changes_nothing_costs_nothing(found):
    for cell in found.cells:
        if cell.fault in ("rows out of order", "rows doubled"):
            assert cell.loss == pytest.approx(cell.clean)


def test_it_is_the_same_again(found, tmp_path):
    assert drill(_app(), seeds=2, cutoffs=2, store=tmp_path).as_dict() == found.as_dict()


def test_classes_and_losses_of_sets_are_drilled_too(tmp_path):
    rows = _rows()
    rows["y"] = (rows["y"] > 0).astype(int)
    models = {"tree": DecisionTreeClassifier(max_depth=3), "rate": DummyClassifier()}
    app = _app(rows=rows, models=models, loss="auc", features=lambda rows: rows[["x", "z"]])
    made = drill(app, seeds=1, cutoffs=1, store=tmp_path)
    assert min(cell.available for cell in made.cells) == 1
    assert [stage["stage"] for stage in made.stages] == ["champion", "previous", "rate", "constant"]


def _set_of_classes(labels, chances):
    """One less the share of rows whose class is the likeliest: a loss of sets, by hand."""
    return float((chances.argmax(axis=1) != labels).mean())


def test_of_a_loss_of_sets_the_drill_tells_that_loss(tmp_path):
    """The area under the curve of 600 rows, not the mean distance of a probability from 0 or 1."""
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"when": np.arange(2400), "x": rng.normal(size=2400), "z": rng.normal(size=2400)})
    rows["y"] = (rng.random(2400) < 1 / (1 + np.exp(4 - 2 * rows["x"]))).astype(int)
    app = _app(rows=rows, models={"line": LogisticRegression()}, loss="auc", features=lambda rows: rows[["x", "z"]])
    made = drill(app, seeds=1, cutoffs=1, store=tmp_path)
    assert made.scale == 1.0
    for cell in made.cells:
        assert cell.constant == 0.5, cell
        # Some 40 rows are of the rarer class: a deviation of .02 to .03.
        assert cell.clean == pytest.approx(made.stages[0]["loss"], abs=0.08), cell
    told = {(cell.fault, cell.severity): cell for cell in made.cells}
    assert told["sign flip", 1.0].bare > 0.7  # the curve is turned round
    gone = told["model raises", 0.5]
    assert (gone.answered, gone.loss) == (1.0, pytest.approx(gone.clean, abs=0.02))
    assert abs(gone.gain) < 0.08
    assert gone.bare_answered < 1


def test_a_loss_of_sets_over_many_classes_is_drilled(tmp_path):
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"when": np.arange(2400), "x": rng.normal(size=2400), "z": rng.normal(size=2400)})
    rows["y"] = np.digitize(rows["x"] + 0.3 * rng.normal(size=2400), [-0.5, 0.5])
    loss = wild.Loss(_set_of_classes, "wrong", per="set", predicts="probabilities", bounds=(0.0, 1.0))
    app = _app(rows=rows, models={"line": LogisticRegression()}, loss=loss, features=lambda rows: rows[["x", "z"]])
    made = drill(app, seeds=1, cutoffs=1, store=tmp_path)
    assert min(cell.available for cell in made.cells) == 1
    for cell in made.cells:
        assert cell.clean == pytest.approx(made.stages[0]["loss"], abs=0.06), cell


def test_faults_leave_the_rows_outside_of_their_stretch_alone():
    import pyarrow as pa

    rng = np.random.default_rng(0)
    table = pa.table({"x": rng.normal(size=100), "z": rng.normal(size=100), "word": ["a", "b"] * 50})
    scene = Scene(table, 20, 80)
    for fault in FAULTS:
        if fault.change is None or fault.name in ("text for numbers", "rows out of order", "rows doubled"):
            continue
        made = fault.change(scene, np.random.default_rng(1), 0.5)
        assert made.slice(0, 20).to_pylist() == table.slice(0, 20).to_pylist(), fault.name
        assert made.slice(80).to_pylist() == table.slice(80).to_pylist(), fault.name
        assert made.to_pylist() != table.to_pylist(), fault.name


def test_it_says_where_the_constant_is_better_anyway(found, capsys):
    cells = [replace(found.cells[0], constant=0.9 * found.cells[0].clean), *found.cells[1:]]
    show_drill(replace(found, cells=tuple(cells)))
    assert "It would have done better without any fault, too." in " ".join(capsys.readouterr().out.split())
    show_drill(found)
    assert "without any fault, too" not in " ".join(capsys.readouterr().out.split())


def test_what_is_printed_begins_with_the_worst(found, capsys):
    show_drill(found)
    said = capsys.readouterr().out
    assert said.strip().startswith("app: every row was answered under every fault. At worst (")
    assert "champion" in said
    assert "nan" not in said.lower().replace("model returns nan", "")


def _run(*seen, first=2, over=8):
    """Ten rows, of which a fault lasts from the third to the eighth."""
    tripped, same = np.isin(np.arange(10), seen), np.ones(10)
    return Run(np.zeros(10, dtype=np.int8), *[same] * 5, same > 0, same, same, tripped, 2, 8, first, over, same)


def test_losses_are_told_with_their_unit(found, capsys):
    money = replace(found, unit="EUR")
    page = " ".join(drill_html(money.as_dict()).split())
    assert page.count(" EUR</b>") == 3 + bool(money.costly)
    assert "Losses are mean absolute, EUR, lower is better." in page
    show_drill(money)
    said = " ".join(capsys.readouterr().out.split())
    assert "(absolute, EUR); the constant" in said
    assert "Mean absolute in EUR while the fault lasts" in said
    assert "EUR" not in drill_html(found.as_dict())


def test_what_is_far_too_large_is_written_with_few_digits(found):
    page = drill_html(replace(found, cells=(replace(found.worst, bare=11_921_991.04, bare_answered=1.0),)).as_dict())
    assert "<td>11,900,000</td>" in page


def test_half_a_row_is_no_second_one(found, capsys):
    show_drill(replace(found, cells=(replace(found.worst, detected=1.5),)))
    assert "1 row " in capsys.readouterr().out


def test_a_fault_that_most_replays_do_not_see_is_not_told_as_seen():
    """One replay of three saw it in its third row: that says nothing of when it is seen."""
    fault = FAULTS[0]
    rare = cell_of(fault, 0.1, [_run(4), _run(), _run()])
    assert np.isnan([rare.detected, rare.recovered]).all()
    often = cell_of(fault, 0.1, [_run(4), _run(6), _run()])
    assert (often.detected, often.recovered) == (4.0, 0.0)


def test_delays_are_counted_from_the_rows_that_were_befallen():
    """Of a stretch of which a tenth is befallen the first rows are as they should be; what stands still ends early."""
    late = cell_of(FAULTS[0], 0.1, [_run(2, 5, 6, first=5, over=6)])
    assert (late.detected, late.recovered) == (0.0, 1.0)  # the third row was taken for faulty before anything befell
    nothing = _run(first=8, over=8)  # no call failed in this replay
    seen = cell_of(FAULTS[0], 0.1, [_run(5, first=5), nothing, nothing])
    assert (seen.detected, seen.recovered) == (0.0, 0.0)
    assert np.isnan(cell_of(FAULTS[0], 0.1, [nothing]).detected)


def test_what_is_seen_in_the_first_row_or_call_that_it_befalls_is_seen_at_once(found):
    cells = {(cell.fault, cell.severity): cell for cell in found.cells}
    for name in ("empty rows", "unit slip", "model returns NaN"):
        for severity in SEVERITIES:
            assert cells[name, severity].detected == 0, (name, severity)


def _earned(labels, made):
    """A hundred for each row, less the error."""
    return 100.0 - np.abs(labels - made)


def test_what_is_earned_is_drilled_as_what_is_lost(found, tmp_path):
    """The same errors, turned round and moved by a hundred: nothing but the sign and the place of losses changes."""
    loss = wild.Loss(_earned, "earned", better="greater")
    made = drill(_app(loss=loss), seeds=2, cutoffs=2, store=tmp_path)
    assert made.scale == pytest.approx(found.scale, rel=0.02)  # from what is seldom undercut, not from 0
    assert [(one.fault, one.severity) for one in made.costly] == [(one.fault, one.severity) for one in found.costly]
    for one, other in zip(made.cells, found.cells, strict=True):
        assert (one.fault, one.severity) == (other.fault, other.severity)
        for name in ("loss", "bare", "clean", "constant", "oracle"):
            assert getattr(one, name) + 100 == pytest.approx(getattr(other, name), nan_ok=True, abs=1e-4)


def test_a_constant_that_is_seldom_off_has_a_range_too(tmp_path):
    """Of one row in 200 the outcome is not 0: the constant loses nothing on 99 % of rows, and losses still range."""
    rows = _rows()
    rows["y"] = np.where(np.arange(2400) % 200 == 7, 5.0, 0.0)
    assert drill(_app(rows=rows), seeds=1, cutoffs=1, store=tmp_path).scale == 5.0


@pytest.fixture(scope="module")
def careful(tmp_path_factory):
    """Drill an app that refuses what it is not sure of: a third of rows is easy, the others are a coin."""
    rng = np.random.default_rng(1)
    rows = pd.DataFrame({"when": np.arange(3000), "x": rng.normal(size=3000), "z": rng.uniform(size=3000)})
    rows["y"] = np.where(rows["x"] > 0.5, rng.random(3000) < 0.98, rng.random(3000) < 0.5).astype(int)
    models = {"tree": DecisionTreeClassifier(max_depth=2, min_samples_leaf=40)}
    app = _app(rows=rows, models=models, loss="log_loss", features=lambda rows: rows[["x", "z"]],
               guard=wild.Guard(risk=0.1))  # fmt: skip
    return drill(app, seeds=1, cutoffs=1, store=tmp_path_factory.mktemp("careful"))


def test_what_is_refused_by_its_risk_is_not_taken_for_faulty(careful):
    assert 0.5 < careful.refused < 0.9
    assert careful.trips == 0
    assert careful.away == 0
    harmless = [cell for cell in careful.cells if cell.fault == "rows out of order"]
    assert all(np.isnan(cell.detected) for cell in harmless)


def test_answered_rows_are_held_against_themselves(careful):
    """The clean loss of all rows, the refused ones too, is far above that of the easy ones that are answered."""
    for cell in careful.cells:
        if cell.fault in ("rows out of order", "rows doubled", "model hangs") and cell.severity < 1:
            assert cell.answered < 0.5
            assert cell.clean == pytest.approx(cell.loss, rel=0.05), cell


def test_an_oracle_is_held_against_the_rows_that_were_answered():
    """It answers a row that the guard refuses, and refuses one that the guard answers: neither says who did better."""
    run = _run(4)
    lost, told = np.where(np.arange(10) == 3, np.nan, 1.0), np.where(np.arange(10) == 3, 9.0, 1.0)
    told[4] = np.nan
    assert cell_of(FAULTS[0], 1.0, [replace(run, lost=lost, oracle=told)]).oracle == 1.0
    assert np.isnan(cell_of(FAULTS[0], 1.0, [replace(run, lost=lost, oracle=np.full(10, np.nan))]).oracle)


def test_it_is_not_said_that_refused_rows_were_answered(careful, capsys):
    show_drill(careful)
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith("app: every row was answered, or refused in words, under every fault (")
    assert f"{careful.refused:.0%} were refused, by what the guard may lose or risk." in said
    page = drill_html(careful.as_dict())
    assert "Every row was answered, or refused in words, under every fault." in page
    assert "Every row was answered under every fault" not in page


def test_the_page_says_under_which_fault_most_is_refused_and_of_how_few_answers_the_worst_is(careful, capsys):
    lost = [cell.answered for cell in careful.cells]
    assert min(lost) == 0.0
    page = " ".join(drill_html(careful.as_dict()).split())
    named = next(f"{cell.fault}, {cell.severity:.0%} of {cell.of}" for cell in careful.cells if not cell.answered)
    assert f"of rows are refused, by what the guard may lose or risk, and most under {named}: 100%;" in page
    few = replace(careful, cells=(replace(careful.worst, answered=0.002, n=1500), *careful.cells[1:]))
    assert ", by 3 answers of 1,500 rows. Losses are" in drill_html(few.as_dict())
    show_drill(few)
    assert "; 3 of 1,500 rows)" in " ".join(capsys.readouterr().out.split())


def test_where_every_row_is_refused_no_worst_loss_is_told(careful, capsys):
    none = replace(careful, refused=1.0, cells=tuple(cell for cell in careful.cells if not cell.answered))
    page = " ".join(drill_html(none.as_dict()).split())
    assert "Under every fault every row was refused, in words." in page
    assert "At worst" not in page
    assert "not known" not in page
    show_drill(none)
    said = capsys.readouterr().out
    assert "refused" in said
    assert "not known" not in said


def test_a_fault_under_which_all_is_refused_does_not_mix_up_the_order(careful):
    costs = [cell.loss - cell.clean for cell in careful.cells]
    known = [one for one in costs if not np.isnan(one)]
    assert len(known) < len(costs), "under some fault every row is refused"
    assert costs[: len(known)] == sorted(known, reverse=True)


APP = """
import numpy as np
import pandas as pd
from mlwild import App

rng = np.random.default_rng(0)
rows = pd.DataFrame({"when": np.arange(1500), "x": rng.normal(size=1500), "z": rng.normal(size=1500)})
rows["y"] = rows["x"] + rows["z"]


def train(X, y):
    return lambda X: (X["x"] + X["z"]).to_numpy()


app = App(name="sum", data=lambda: rows, time="when", label="y", delay=0, models={"sum": train}, loss="absolute", every=150, start=300)
"""


def test_the_command_line_prints_and_writes_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sums.py").write_text(APP)
    done = CliRunner().invoke(cli, ["drill", "sums.py", "--seeds", "1", "--cutoffs", "1", "--json", "drill.json"])
    assert done.exit_code == 0, done.output
    body = json.loads((tmp_path / "drill.json").read_text())
    assert len(body["cells"]) == len(FAULTS) * len(SEVERITIES)
    assert body["trips"] == 0


@pytest.mark.parametrize("wrong", [{"seeds": 0}, {"cutoffs": True}, {"seeds": 1.5}])
def test_numbers_are_checked(wrong, tmp_path):
    with pytest.raises(AppError, match=rf"^{next(iter(wrong))}: "):
        wild.drill(_app(), store=tmp_path, **wrong)


def test_too_short_a_history_is_refused(tmp_path):
    with pytest.raises(DataError, match="^drill: no cutoff has 200 labelled rows"):
        drill(_app(rows=_rows(600), every=50), store=tmp_path)


def test_a_guard_that_raises_is_counted_and_not_passed_over(tmp_path, monkeypatch):
    from mlwild.guards import Guarded

    plain = Guarded.answer

    def answer(self, native, *args, **words):
        if np.asarray(native["x"].isna()).any():
            raise KeyError("x")
        return plain(self, native, *args, **words)

    monkeypatch.setattr(Guarded, "answer", answer)
    made = drill(_app(), seeds=1, cutoffs=1, store=tmp_path)
    cells = {(cell.fault, cell.severity): cell for cell in made.cells}
    assert cells["missing column", 1.0].available == 0
    assert cells["unit slip", 1.0].available == 1


def test_what_is_replayed_came_after_all_that_was_learned(tmp_path):
    from mlwild.drilling.replaying import _live, _replay
    from mlwild.triangle import growing
    from mlwild.triangle.store import Store
    from mlwild.triangle.survey import survey

    app = _app(delay=150)
    triangle = growing(survey(app), Store(tmp_path), app.live, {})
    edges = triangle.survey.grid.edges
    for cutoff in (3, 6):
        rows = _live(triangle, cutoff)
        assert triangle.survey.time[rows].min() >= edges[cutoff]
        replay = _replay(triangle, cutoff)
        assert replay.rows.tolist() == rows.tolist()
        assert max(link.vintage.cutoff for link in replay.chain.links) == cutoff


@pytest.mark.parametrize("kind", ["numpy", "polars", "pyarrow"])
def test_other_kinds_of_features_are_drilled_as_well(kind, tmp_path):
    """Models are given the app's kind of frame under every fault: an array turns to text where one column does."""
    import polars as pl
    import pyarrow as pa

    def features(rows):
        plain = rows[["x", "z"]]
        return {"numpy": plain.to_numpy, "polars": lambda: pl.from_pandas(plain), "pyarrow": lambda: pa.table(plain)}[
            kind
        ]()

    def train(X, y):
        return lambda X: 2 * np.asarray(X if kind == "numpy" else X["x"].to_numpy().reshape(-1, 1), dtype=float)[:, 0]

    made = drill(_app(features=features, models={"line": train}), seeds=1, cutoffs=1, store=tmp_path)
    assert [cell for cell in made.cells if cell.available < 1] == []
    assert made.cells[0].loss < made.cells[0].constant + 0.1


@pytest.mark.parametrize("kind", ["Int64", "Float64", "int64[pyarrow]", "decimal"])
def test_columns_of_other_kinds_of_numbers_are_befallen_too(kind, tmp_path):
    """Under a fault they hold what their kind has no room for, words and fractions among it: no fault is left out."""
    rows = _rows(1600)
    whole = (100 * rows["x"]).round()
    rows["x"] = [Decimal(int(one)) / 100 for one in whole] if kind == "decimal" else whole.astype("int64").astype(kind)

    def train(X, y):
        return lambda X: pd.to_numeric(X["x"], errors="coerce").astype(float).fillna(0).to_numpy()

    app = _app(rows=rows, models={"line": train}, features=lambda rows: rows[["x", "z"]])
    made = drill(app, seeds=2, cutoffs=1, store=tmp_path)
    assert (len(made.cells), made.skipped) == (45, ())
    assert min(cell.available for cell in made.cells) == 1
    cells = {(cell.fault, cell.severity): cell for cell in made.cells}
    assert cells["rows out of order", 1.0].bare == pytest.approx(cells["unit slip", 1.0].clean)
    assert cells["unit slip", 1.0].recovered == 0


def test_it_is_said_why_no_model_can_be_fitted(tmp_path):
    def train(X, y):
        raise ValueError("there is a gap in x")

    with pytest.raises(DataError, match=r"^drill: no model can be fitted at \d+: ValueError: there is a gap in x\.$"):
        drill(_app(models={"line": train}), seeds=1, cutoffs=1, store=tmp_path)


def test_the_guard_is_told_when_rows_are_of(monkeypatch, tmp_path):
    told, answer, x = [], Guarded.answer, _rows()["x"].to_numpy()

    def noted(self, native, predict, watch, now=0.0, stale=None, times=None):
        told.append((native, times))
        return answer(self, native, predict, watch, now, stale, times)

    monkeypatch.setattr(Guarded, "answer", noted)
    drill(_app(), seeds=1, cutoffs=1, store=tmp_path)
    asked = [one for one in told if one[1] is not None]
    assert len(asked) > 40 * len(FAULTS)
    assert all(len(native) == len(times) for native, times in asked)
    native, times = asked[0]  # without a fault
    assert native["x"].tolist() == x[times.astype(int)].tolist()
