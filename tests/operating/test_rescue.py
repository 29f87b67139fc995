"""What is live and cannot be used any more: an earlier vintage stands in, an alarm stays, and nothing strange is loaded."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import pickle
import shutil
import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

import mlwild as wild
from mlwild import rules
from mlwild.digest import digest
from mlwild.errors import StoreError
from mlwild.ledger import Ledger
from mlwild.operating import rollback, status
from mlwild.operating.lived import lived
from mlwild.records import Keep, Retrain
from mlwild.rules.view import Decision
from tests.operating.test_acid import RULES, Killed
from tests.operating.worlds import bodies, ledger_of, tick_by_tick, world
from tests.support import Line


@dataclass(frozen=True)
class At:
    """A rule that retrains at some cutoffs."""

    cutoffs: tuple[int, ...] = (5, 9)
    name: str = "at"

    def decide(self, view, memory):
        return Decision(Retrain() if view.cutoff in self.cutoffs else Keep())


class Fickle(Line):
    """A model whose fit cannot be repeated: what is lost is lost."""

    def fit(self, X, y):
        super().fit(X, y)
        self.mark = np.random.default_rng().integers(2**62)
        return self


class Plugged(Line):
    """A model that keeps a part of another module: with more rows, of the newer one."""

    def fit(self, X, y):
        super().fit(X, y)
        self.part = importlib.import_module("older" if len(y) < 300 else "newer").Part()
        return self


def begun(store, *, moment=401, rule=At(), **fields):
    """Return a world that has been operated for a while, retrained at least once, and the folder of its app."""
    made = world(n=600, **({"models": {"line": Fickle()}} | fields))
    made.now = moment
    wild.operate(made.app, rule=rule, begin=250, store=store)
    return made, store / "operate" / made.app.name


def model_of(root, key):
    return next((root / "memo").rglob(f"{key}.model"))


def live(root):
    return json.loads((root / "live.json").read_text())


def forge(path):
    """Change an artefact and all that vouches for it but the ledger: loading it would be seen."""
    path.write_bytes(pickle.dumps(Trap()))
    note = {"digest": hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest(), "rows": 1}
    note["check"] = digest(json.dumps(note, sort_keys=True))
    path.with_name(path.name + ".json").write_text(json.dumps(note, sort_keys=True))


class Trap:
    """What must never be loaded."""

    sprung = False

    def __reduce__(self):
        return _spring, ()


def _spring():
    Trap.sprung = True
    return Line()


def dies_after_each_fact(patch):
    """Kill the process once after each fact that is written."""
    write, seen = Ledger._write, set()

    def dies(self, data):
        write(self, data)
        if self._size not in seen:
            seen.add(self._size)
            raise Killed

    patch.setattr(Ledger, "_write", dies)


def deleted(path):
    path.unlink()


def damaged(path):
    path.write_bytes(b"other weights")


HARMS = [deleted, damaged, forge]


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
def test_an_artefact_that_is_gone_or_another_is_not_loaded_and_the_one_before_stands_in(harm, tmp_path):
    made, root = begun(tmp_path)
    before = [fact.body for fact in ledger_of(made, tmp_path).facts if fact.kind == "decided"]
    assert [body["live"] for body in before] == ["3", "3", "5", "5"]
    harm(model_of(root, live(root)["key"]))
    made.now = 451
    found = wild.operate(made.app, store=tmp_path)
    assert not Trap.sprung
    decided = found.ticks[0].facts["decided"]
    assert (decided["action"], decided["live"], decided["lost"]) == ("fall back", "3", "5")
    assert (
        "vintage 5 cannot be used any more: its artefact was lost, and what was made again is not the same"
        in (decided["reason"])
    )
    assert found.ticks[0].facts["observed"]["lost"].keys() == {"5"}
    assert "vintage 3 stands in for 5" in found.alarms[0][1]
    assert "vintage 3 stands in for 5" in status(tmp_path)[0].alarm
    assert live(root)["live"] == found.live == "3"
    told = {fact.body["live"]: fact.body["digest"] for fact in ledger_of(made, tmp_path).facts if fact.kind == "fitted"}
    assert live(root)["digest"] == told["3"]
    # The period in which nothing could answer is a promise that was not kept, and counts for no vintage.
    outcomes = {one["period"]: one for one in found.ticks[0].facts["scored"]["periods"]}
    assert "gave no answer" in found.ticks[0].facts["scored"]["alarm"]
    assert all(np.isfinite(one["loss"]) for period, one in outcomes.items() if period != 6)


@pytest.mark.parametrize("delay", [0, 60])
def test_the_alarm_stays_until_another_vintage_goes_live(delay, tmp_path):
    made, root = begun(tmp_path, delay=delay)
    deleted(model_of(root, live(root)["key"]))
    made.now = 599
    found = wild.operate(made.app, store=tmp_path)
    lives = [(one.action, one.facts["decided"]["live"]) for one in found.ticks]
    assert lives == [("fall back", "3"), ("keep", "3"), ("retrain", "9")]
    assert ["stands in" in one.alarm for one in found.ticks] == [True, True, False]
    assert [at for at, _ in found.alarms][:2] == ["450", "500"]
    assert "stands in" not in status(tmp_path)[0].alarm
    missed = [one["period"] for tick in found.ticks for one in tick.facts["scored"]["periods"] if one["kept"] is False]
    assert 6 in missed


def test_an_artefact_that_can_be_made_again_is_and_a_forged_one_is_not_loaded(tmp_path):
    made, root = begun(tmp_path / "harmed", models={"line": Line()})
    forge(model_of(root, live(root)["key"]))
    made.now = 599
    wild.operate(made.app, store=tmp_path / "harmed")
    assert not Trap.sprung
    whole = tick_by_tick(world(n=600), tmp_path / "whole", At())
    assert bodies(ledger_of(made, tmp_path / "harmed")) == bodies(whole)


class Marked(Line):
    """A model that is marked by the place where it was fitted, as by another processor: lost, it is not made again."""

    def fit(self, X, y):
        super().fit(X, y)
        self.mark = os.environ.get("FITTED_ON", "")
        return self


@dataclass(frozen=True)
class Turned:
    """A rule that keeps, retrains at cutoff 5, and then does what another says."""

    rule: Any
    name: str = "turned"

    def __getattr__(self, name):
        if name != "monitor" or "rule" not in vars(self):
            raise AttributeError(name)
        return self.rule.monitor

    def decide(self, view, memory):
        said = self.rule.decide(view, memory)
        action = said.action if view.cutoff > 6 else Retrain() if view.cutoff == 5 else Keep()
        return replace(said, action=action)


def _slow_but(rules_, quick):
    return [pytest.param(one, id=one.name, marks=() if place in quick else pytest.mark.slow) for place, one in rules_]


@pytest.mark.parametrize("rule", _slow_but(enumerate(RULES), (1, 8, 10)))
def test_under_every_rule_a_life_goes_on_after_a_loss_the_same_however_it_is_interrupted(rule, tmp_path, monkeypatch):
    """The last retrain's model is lost in the middle; later ticks come at once, or one by one with memories lost."""
    left = []
    for moments in ([599], [451, 501, 551, 599]):
        monkeypatch.setenv("FITTED_ON", "one")
        store = tmp_path / str(len(moments))
        made, root = begun(store, rule=Turned(rule), models={"line": Marked()})
        deleted(model_of(root, live(root)["key"]))
        monkeypatch.setenv("FITTED_ON", "another")
        for moment in moments:
            made.now = moment
            for memory in (root / "memo").rglob("*.memory*"):
                memory.unlink()
            wild.operate(made.app, store=store)
        left.append(bodies(ledger_of(made, store)))
    assert left[0] == left[1]
    decided = {cutoff: body for kind, cutoff, body in left[0] if kind == "decided"}
    assert (decided[7]["live"], decided[7]["action"], decided[7]["lost"]) == ("3", "fall back", "5")
    assert len(decided) == 7


def test_a_rescue_that_is_killed_at_any_fact_is_done_once(tmp_path, monkeypatch):
    left = []
    for killed in (False, True):
        monkeypatch.setenv("FITTED_ON", "one")
        store = tmp_path / str(killed)
        made, root = begun(store, models={"line": Marked()})
        deleted(model_of(root, live(root)["key"]))
        monkeypatch.setenv("FITTED_ON", "another")
        made.now = 599
        with monkeypatch.context() as patch:
            if killed:
                dies_after_each_fact(patch)
            while True:
                try:
                    wild.operate(made.app, store=store)
                except Killed:
                    continue
                break
        left.append(bodies(ledger_of(made, store)))
    assert left[0] == left[1]


@pytest.fixture
def parts(tmp_path, monkeypatch):
    """Two modules beside the app, each with a part that models keep."""
    folder = tmp_path / "modules"
    folder.mkdir()
    for name in ("older", "newer"):
        (folder / f"{name}.py").write_text("class Part:\n    pass\n")
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for name in ("older", "newer"):
        sys.modules.pop(name, None)


def gone(folder, name):
    """Remove a module, as an upgrade does."""
    (folder / f"{name}.py").unlink()
    shutil.rmtree(folder / "__pycache__", ignore_errors=True)
    sys.modules.pop(name, None)
    importlib.invalidate_caches()


@pytest.mark.parametrize("quiet", [False, True], ids=["rows came", "no row came"])
def test_a_champion_whose_class_is_gone_is_replaced_by_the_last_one_that_loads(quiet, parts, tmp_path):
    made, root = begun(tmp_path, models={"line": Plugged()})
    gone(parts, "newer")
    if quiet:  # nothing is to be predicted; what is published has been loaded all the same
        made.whole = made.whole[~made.whole["when"].between(400, 449)].reset_index(drop=True)
        made.known = made.whole["known"]
    made.now = 452
    found = wild.operate(made.app, store=tmp_path)
    decided = found.ticks[0].facts["decided"]
    assert (decided["action"], decided["live"]) == ("fall back", "3")
    assert "ModuleNotFoundError: No module named 'newer'" in found.alarms[0][1]
    assert live(root)["live"] == "3"


def test_where_none_loads_the_tick_fails_nothing_is_published_and_it_goes_on_when_restored(parts, tmp_path):
    made, root = begun(tmp_path / "harmed", models={"line": Plugged()})
    kept = {name: (parts / f"{name}.py").read_text() for name in ("older", "newer")}
    for name in kept:
        gone(parts, name)
    published = (root / "live.json").read_bytes()
    made.now = 451
    for _ in range(2):
        with pytest.raises(StoreError, match=r"vintage 5, which is live, cannot be used any more: ModuleNotFoundError"):
            wild.operate(made.app, store=tmp_path / "harmed")
    assert (root / "live.json").read_bytes() == published
    last = ledger_of(made, tmp_path / "harmed").facts[-1]
    assert (last.kind, last.cutoff, last.body["part"]) == ("failed", 7, "decided")
    assert "neither can any of the 1 that were live before" in last.body["why"]
    assert status(tmp_path / "harmed")[0].alarm.startswith("the tick at 450 failed (decided): StoreError: store")
    for name, text in kept.items():
        (parts / f"{name}.py").write_text(text)
    importlib.invalidate_caches()
    made.now = 599
    found = wild.operate(made.app, store=tmp_path / "harmed")
    assert [one.action for one in found.ticks] == ["keep", "keep", "retrain"]
    # But for what was observed then, it is the life of one that nothing happened to.
    whole = tick_by_tick(world(n=600, models={"line": Plugged()}), tmp_path / "whole", At())
    now, then = ([one for one in bodies(ledger) if one[0] != "observed"] for ledger in
                 (ledger_of(made, tmp_path / "harmed"), whole))  # fmt: skip
    assert now == then


def test_what_would_stand_in_is_loaded_first_though_nothing_is_to_be_predicted(parts, tmp_path):
    made, root = begun(tmp_path, models={"line": Plugged()})
    for name in ("older", "newer"):
        gone(parts, name)
    made.whole = made.whole[~made.whole["when"].between(400, 449)].reset_index(drop=True)  # no row came
    made.known = made.whole["known"]
    made.now = 452
    published = (root / "live.json").read_bytes()
    with pytest.raises(StoreError, match="neither can any of the 1 that were live before"):
        wild.operate(made.app, store=tmp_path)
    assert (root / "live.json").read_bytes() == published


def test_the_first_vintage_has_none_before_it(tmp_path):
    made, root = begun(tmp_path, rule=rules.Never())
    deleted(model_of(root, live(root)["key"]))
    made.now = 451
    with pytest.raises(StoreError, match="no earlier one was live. Nothing was published. Restore .*model"):
        wild.operate(made.app, store=tmp_path)


def test_what_was_superseded_is_told_of_once_and_is_not_gone_back_to(tmp_path):
    made, root = begun(tmp_path)
    life = lived(ledger_of(made, tmp_path))
    old = next(one for one in life.path if one != life.path[-1])
    deleted(model_of(root, life.artefacts[old]))
    made.now = 599
    found = wild.operate(made.app, store=tmp_path)
    said = f"vintage {old} cannot be used any more"
    assert [said in one.facts["observed"]["alarm"] for one in found.ticks] == [True, False, False]
    assert all(str(old) in one.facts["observed"]["lost"] for one in found.ticks)
    with pytest.raises(StoreError, match="is missing, or is not the one that was live"):
        rollback(made.app, to=str(old), store=tmp_path)


def test_what_was_restored_can_be_put_back_by_hand_and_ends_the_alarm(tmp_path):
    made, root = begun(tmp_path, rule=At())
    path = model_of(root, live(root)["key"])
    kept = path.read_bytes()
    path.unlink()
    made.now = 451
    wild.operate(made.app, store=tmp_path)
    path.write_bytes(kept)
    rollback(made.app, to="5", why="restored from the backup", store=tmp_path)
    assert status(tmp_path)[0].alarm == "" or "stands in" not in status(tmp_path)[0].alarm
    assert live(root)["live"] == "5"
    made.now = 501
    found = wild.operate(made.app, store=tmp_path)
    assert found.live == "5"
    assert "stands in" not in found.ticks[0].alarm
    assert "lost" not in found.ticks[0].facts["observed"]


def test_models_of_the_past_that_promises_rest_on_may_be_lost(parts, tmp_path):
    made, _ = begun(tmp_path, models={"line": Plugged()})
    gone(parts, "older")
    made.now = 599
    found = wild.operate(made.app, store=tmp_path)
    assert [one.action for one in found.ticks] == ["keep", "keep", "retrain"]
    assert [sorted(one.facts["observed"]["lost"]) for one in found.ticks] == [["0", "3"]] * 3
    assert all(one.facts["promised"]["low"] is not None for one in found.ticks)
    assert [bool(one.alarm) for one in found.ticks] == [True, False, False]


@pytest.mark.parametrize("harm", [os.unlink, lambda path: path.write_bytes(b"damaged")], ids=["gone", "damaged"])
def test_a_model_that_is_gone_between_two_ticks_is_said_and_made_again(harm, tmp_path):
    made, root = begun(tmp_path, models={"line": Line()})
    before, path = ledger_of(made, tmp_path).path.read_bytes(), model_of(root, live(root)["key"])
    whole = path.read_bytes()
    harm(path)
    if not path.exists():
        alarm = status(tmp_path)[0].alarm
        assert alarm.startswith(f"the model of vintage {live(root)['live']}, which is live, is gone: ")
        assert alarm.endswith(f"Restore {path}, or run mlwild operate, which makes it again")
    done = wild.operate(made.app, store=tmp_path)
    assert (done.ticks, path.read_bytes()) == ((), whole)
    assert done.mended.endswith("was gone or damaged, and was made again")
    assert status(tmp_path)[0].alarm == ""
    assert wild.operate(made.app, store=tmp_path).mended == ""
    assert ledger_of(made, tmp_path).path.read_bytes() == before


def test_earlier_models_that_are_gone_between_two_ticks_are_made_again(tmp_path):
    made, root = begun(tmp_path, models={"line": Line()})
    paths = sorted((root / "memo").rglob("*.model"))
    whole = [path.read_bytes() for path in paths]
    for path in paths:
        path.unlink()
    said = wild.operate(made.app, store=tmp_path).mended
    assert said.endswith(f"of earlier vintages {len(paths) - 1} were made again, of {len(paths) - 1} that were gone")
    assert [path.read_bytes() for path in paths] == whole
    assert wild.operate(made.app, store=tmp_path).mended == ""


def test_a_model_that_is_gone_between_two_ticks_and_cannot_be_made_again_is_no_success(tmp_path):
    made, root = begun(tmp_path)
    path = model_of(root, live(root)["key"])
    path.unlink()
    with pytest.raises(StoreError, match=r"which is live, cannot be used any more: .*mlwild rollback"):
        wild.operate(made.app, store=tmp_path)
    assert "it could not be operated: store: the model of vintage" in status(tmp_path)[0].alarm
    assert rollback(made.app, store=tmp_path).to == "3"
    assert status(tmp_path)[0].alarm == ""
