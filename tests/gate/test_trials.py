"""What a trial offers to ready tests: fresh fits, changed rows, data read again, findings that are kept."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import mlwild as wild
from mlwild.errors import DataError
from mlwild.gate.ready.code import Deterministic, UnitChange
from mlwild.gate.ready.serving import ServingParity, UnknownCategories
from mlwild.gate.ready.splits import LegalSplits
from mlwild.loading import load_app
from mlwild.trials import findings as findings_module
from mlwild.trials.again import reloaded
from tests.gate.made import Logit, click_app, clicks, replay_of, trial_of
from tests.support import columns, small_app


def shops(rows):
    return rows[["a", "b"]].assign(south=(rows["shop"] == "south").astype(float))


def counted(rows):
    """Look at earlier rows: how often the shop was there before."""
    return rows[["a", "b"]].assign(before=rows.groupby("shop").cumcount().astype(float))


def unseeded():
    return np.random.default_rng()


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    return trial_of(click_app(features=shops), tmp_path_factory.mktemp("store"))


def test_a_fresh_fit_is_that_of_the_store(trial):
    kept, again, fresh = trial.fit(), trial.fit(), trial.fit(fresh=True)
    rows = trial.events.features
    assert (kept.predict(rows) == fresh.predict(rows)).all()
    assert (again.predict(rows) == trial.model.predict(rows)).all()


def test_a_fresh_fit_does_not_touch_the_store(tmp_path):
    def train(X, y):
        level = unseeded().normal()
        return lambda X: np.full(len(X), level)

    trial = trial_of(small_app(models={"train": train}), tmp_path)
    first, again, fresh, last = (
        trial.fit(fresh=one).predict(trial.events.features)[0] for one in (False, False, True, False)
    )
    assert first == again == last
    assert fresh != first
    assert Deterministic().judge(trial).verdict == "fail"


def test_honest_apps_are_green(trial):
    for test in (Deterministic(), LegalSplits(), UnknownCategories(allowed={"shop": "north"})):
        found = test.judge(trial)
        assert found.verdict == "pass", (test.name, found.said)


def test_a_flag_of_one_shop_takes_a_new_one_for_any_other(trial):
    found = UnknownCategories().judge(trial)
    assert found.verdict == "fail"
    assert "silently gets the features of" in found.said


def test_changed_rows_get_the_features_of_what_they_are_now(trial):
    rows = trial.events.evenly(20)
    changed = trial.changed(rows, rows.raw.with_columns(a=rows.raw["a"] * 0 + 7.0))
    assert changed.changed
    assert changed.table.column("a").to_pylist() == [7.0] * 20
    assert changed.table.column("b").to_pylist() == rows.table.column("b").to_pylist()


def test_features_that_look_back_are_computed_in_the_history(tmp_path):
    trial = trial_of(click_app(features=counted), tmp_path)
    rows = trial.events.evenly(20)
    same = trial.changed(rows, rows.raw)
    assert same.table.column("before").to_pylist() == rows.table.column("before").to_pylist()
    moved = rows.raw.with_columns(shop=rows.raw["shop"].replace_strict({"east": "new", "north": "new", "south": "new"}))
    assert trial.changed(rows, moved).table.column("before").to_pylist() == list(range(20))
    twice = rows.where(np.repeat(np.arange(20), 2))
    with pytest.raises(DataError, match="one is there twice, and the app's features look at other rows"):
        trial.changed(twice, twice.raw)
    assert UnknownCategories().judge(trial).verdict == "pass"  # a count of its own: none before


def test_a_declared_service_computes_changed_rows(tmp_path):
    def served(request):
        return shops(request).assign(a=request["a"] + 1)

    trial = trial_of(click_app(features=shops, serving=wild.Serving(features=served)), tmp_path)
    rows = trial.events.evenly(5)
    changed = trial.changed(rows, rows.raw)
    assert changed.table.column("a").to_pylist() == [value + 1 for value in rows.table.column("a").to_pylist()]


def test_a_word_may_be_missing_in_some_requests(tmp_path):
    """What is missing in a request of one row has the type of the others: NaN and None stand for a word too."""

    def coded(rows):
        return rows[["a"]].assign(shop=rows["shop"].where(rows["a"] > 0))

    class Level(Logit):
        def fit(self, X, y):
            return super().fit(X[["a"]], y)

        def predict_proba(self, X):
            return super().predict_proba(X[["a"]])

    def served(request):
        one = request.iloc[0]
        return pd.DataFrame([{"a": one["a"], "shop": one["shop"] if one["a"] > 0 else np.nan}])

    app = click_app(features=coded, models={"level": Level()}, serving=wild.Serving(features=served))
    found = ServingParity(rows=60).judge(trial_of(app, tmp_path))
    assert found.verdict == "pass", found.said


def test_labels_are_hidden_from_changed_rows(tmp_path):
    def peeks(rows):
        return rows[["a"]].assign(late=rows["y"].isna().astype(float))

    trial = trial_of(click_app(features=peeks), tmp_path)
    rows = trial.events.evenly(10)
    assert trial.changed(rows, rows.raw).table.column("late").to_pylist() == [1.0] * 10


def test_a_unit_on_real_rows(trial):
    back = lambda rows: rows.assign(a=rows["a"] / 3.6)  # noqa: E731
    assert UnitChange("a", 3.6, back).judge(trial).verdict == "pass"
    assert UnitChange("a", 3.6, lambda rows: rows).judge(trial).verdict == "fail"


# -- data that move ----------------------------------------------------------------------------------


def moving(turns):
    """Return a data function that gives another table each time."""
    left = iter(turns)
    return lambda: next(left)


ROWS = clicks(2000)


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (ROWS, ""),
        (pd.concat([ROWS, ROWS.tail(3).assign(when=2000, known=2001)]), ""),  # rows that were added
        (ROWS.assign(a=ROWS["a"].where(ROWS["when"] != 7, 0.0)), "data: column 'a' differs in 1 of 2,000 rows, first in row 7"),
        (ROWS.iloc[:-1], "data: 2,000 rows were read, then 1,999"),
        (ROWS.drop(columns="shop"), "data: column 'shop' was there, and then was not"),
        (ROWS.assign(when=ROWS["when"] + (ROWS["when"] == 5)), "data: 2,000 rows were read, then 2,000 of which the first are"),
    ],
)  # fmt: skip
def test_data_are_read_twice(tmp_path, second, said):
    app = click_app(features=columns, groups=[], data=moving([ROWS, second]))
    found = trial_of(app, tmp_path).reread()
    assert found.rows == 2000
    assert bool(found.differs) is bool(said)
    if said:
        assert found.differs[0].startswith(said), found.differs


def test_labels_that_arrive_are_no_difference(tmp_path):
    late = ROWS.assign(y=ROWS["y"].astype(float).where(ROWS["when"] < 1990))
    app = click_app(features=columns, groups=[], data=moving([late, ROWS.assign(y=ROWS["y"].astype(float))]))
    assert trial_of(app, tmp_path).reread().differs == ()


def test_features_drawn_at_random_are_seen(tmp_path):
    def jittered(rows):
        return rows[["a"]].assign(b=rows["b"] + unseeded().normal(size=len(rows)))

    trial = trial_of(click_app(features=jittered), tmp_path)
    assert trial.reread().differs[0].startswith("features: 'b' differs in 4,000 of 4,000 rows on the same data")
    assert "read twice, the data are not the same: features: 'b'" in Deterministic().judge(trial).said


def test_an_app_file_runs_again(tmp_path):
    from tests.gate.test_gating import APP

    (tmp_path / "steady.py").write_text(APP)
    assert trial_of(load_app(tmp_path / "steady.py"), tmp_path / "store").reloaded() == ""
    turning = APP.replace("def events", 'LEVEL = __import__("random").random()\n\ndef events', 1)
    turning = turning.replace("slope * X", "LEVEL * slope * X")
    (tmp_path / "turning.py").write_text(turning)
    said = trial_of(load_app(tmp_path / "turning.py"), tmp_path / "store").reloaded()
    assert said == "model 'line' has other settings or other code when turning.py is run again"
    assert trial_of(click_app(), tmp_path / "store").reloaded() == ""  # made in memory: no file


def test_a_file_that_chooses_the_same_at_first_is_run_often_enough(tmp_path):
    """A choice between two is the same in every other run; here it is another one in the sixth run only."""
    from tests.gate.test_gating import APP

    said = []
    for other in (6, 40):
        turn = f"import pathlib\nRUN = pathlib.Path(__file__).with_suffix('.{other}')\n"
        turn += "RUN.write_text(RUN.read_text() + '.' if RUN.exists() else '.')\n"
        text = turn + APP.replace('{"line": train}', f'{{"line" if RUN.stat().st_size != {other} else "other": train}}')
        (tmp_path / "choosing.py").write_text(text)
        said.append(reloaded(load_app(tmp_path / "choosing.py")))
    assert said == ["the model that lives is 'line', and when choosing.py is run again it is 'other'", ""]


# -- findings ----------------------------------------------------------------------------------------


def test_findings_are_found_once(tmp_path, monkeypatch):
    made = []
    real = findings_module.findings_of
    monkeypatch.setattr(findings_module, "findings_of", lambda *given: made.append(1) or real(*given))
    app = click_app(clicks(1500))
    first = replay_of(app, tmp_path).findings
    assert replay_of(app, tmp_path).findings == first
    assert len(made) == 1
    replay_of(click_app(clicks(1500, seed=1)), tmp_path).findings  # noqa: B018  other rows
    replay_of(click_app(clicks(1500), features=lambda rows: rows[["a", "b"]] * 1.0), tmp_path).findings  # noqa: B018
    assert len(made) == 3
    assert [one.check for one in first] == [one.check for one in real(app, *_parts(app, tmp_path))]


def _parts(app, store):
    replay = replay_of(app, store)
    return replay.events, replay.tables, replay.survey


def test_rows_that_no_digest_can_be_made_of_are_checked_anew(tmp_path, monkeypatch):
    made = []
    real = findings_module.findings_of
    monkeypatch.setattr(findings_module, "findings_of", lambda *given: made.append(1) or real(*given))
    mixed = clicks(1500).assign(note=[1 if place % 2 else "x" for place in range(1500)])
    app = click_app(mixed, features=columns)
    for _ in range(2):
        replay_of(app, tmp_path).findings  # noqa: B018
    assert len(made) == 2
