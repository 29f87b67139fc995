"""The registry follows what is live: by digest, once a vintage, out of reach of what people try."""

from __future__ import annotations

import inspect
import pickle
from dataclasses import replace

import pytest

import mlwild.versions
from mlwild import rules
from mlwild.digest import bytes_digest
from mlwild.errors import AppError, StoreError
from mlwild.operating import challenge, end_challenge, operate, rollback, status
from mlwild.operating.lived import lived
from mlwild.versions import Made, Registrar, load_registered, place_of, record, registered, runs
from mlwild.versions.place import client_of
from tests.operating.worlds import bodies, ledger_of, world
from tests.support import Line


def ticked(made, folder, now, rule=None, begin=None, registrar=True):
    made.now = now
    keeper = Registrar(folder) if registrar else None
    return operate(made.app, rule=rule, begin=begin, store=folder, registrar=keeper)


def test_the_registry_follows_what_is_live(tmp_path):
    made = world()
    ticked(made, tmp_path, 501, rules.Every(2), 250)
    life = lived(ledger_of(made, tmp_path))
    found = registered(made.app, store=tmp_path)
    assert [one.vintage for one in found] == ["8", "6", "4", "3"]
    assert [one.aliases for one in found] == [("champion",), (), (), ()]
    assert {one.key for one in found} == {fact.body["key"] for fact in life.facts if fact.kind == "fitted"}
    model = load_registered(made.app, store=tmp_path)
    key = life.artefacts[life.path[-1]]
    kept = tmp_path / "operate" / made.app.name / "memo" / key[:2] / f"{key}.model"
    assert (model.weights == pickle.loads(kept.read_bytes()).weights).all()
    fits = runs(tmp_path, kind="fit")
    assert {run.space for run in fits} == {"production"}
    assert [run.params["vintage"] for run in fits] == ["8", "6", "4", "3"]
    # What went into the ledger beside it is what a life without a registry has.
    alone = world()
    ticked(alone, tmp_path / "alone", 501, rules.Every(2), 250, registrar=False)
    assert [one for one in bodies(ledger_of(made, tmp_path)) if one[0] != "registered"] == bodies(
        ledger_of(alone, tmp_path / "alone")
    )


def test_a_tick_that_keeps_its_champion_does_not_ask_the_registry(tmp_path, monkeypatch):
    made = world()
    ticked(made, tmp_path, 251, rules.Never(), 250)
    asked = []
    monkeypatch.setattr(Registrar, "champion", lambda *words: asked.append(words))
    ticked(made, tmp_path, 501)
    assert not asked
    assert len(ledger_of(made, tmp_path).of("registered")) == 1


def test_a_registry_that_is_away_fails_the_tick_and_the_next_catches_up(tmp_path, monkeypatch):
    made = world()
    ticked(made, tmp_path, 251, rules.Every(2), 250)
    with monkeypatch.context() as away:
        away.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        with pytest.raises(StoreError, match="cannot be reached"):
            ticked(made, tmp_path, 401)
    assert "failed (registered)" in status(tmp_path)[0].alarm
    ticked(made, tmp_path, 401)
    assert not status(tmp_path)[0].alarm
    whole = world()
    ticked(whole, tmp_path / "whole", 401, rules.Every(2), 250)
    told = [
        [one for one in bodies(ledger_of(made_, f)) if one[0] != "registered"]
        for made_, f in ((made, tmp_path), (whole, tmp_path / "whole"))
    ]
    assert told[0] == told[1]
    assert [one.vintage for one in registered(made.app, store=tmp_path)] == ["6", "4", "3"]


def test_one_that_was_killed_after_it_registered_does_not_register_twice(tmp_path, monkeypatch):
    made = world()
    champion = Registrar.champion

    def dies(self, *words):
        champion(self, *words)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Registrar, "champion", dies)
        with pytest.raises(KeyboardInterrupt):
            ticked(made, tmp_path, 251, rules.Every(2), 250)
    ticked(made, tmp_path, 251)
    assert [one.vintage for one in registered(made.app, store=tmp_path)] == ["3"]
    assert len(runs(tmp_path)) == 1


def test_going_back_moves_the_alias(tmp_path):
    made = world()
    ticked(made, tmp_path, 501, rules.Every(2), 250)
    done = rollback(made.app, registrar=Registrar(tmp_path), store=tmp_path)
    found = registered(made.app, store=tmp_path)
    assert [one.vintage for one in found if one.aliases] == [done.to] == ["6"]
    assert len(found) == 4


def test_a_challenger_has_an_alias_while_it_runs(tmp_path):
    made = world()
    made.app = replace(made.app, models=dict(made.app.models) | {"shrunk": Line(ridge=300.0)})
    ticked(made, tmp_path, 401, rules.Every(2), 250)
    challenge(made.app, "shrunk", least=1e-9, store=tmp_path)
    ticked(made, tmp_path, 451)
    found = {alias: one for one in registered(made.app, store=tmp_path) for alias in one.aliases}
    assert found["challenger"].vintage == "shrunk 6"
    assert found["champion"].vintage == "6"
    assert load_registered(made.app, "challenger", store=tmp_path).ridge == 300.0
    end_challenge(made.app, store=tmp_path)
    ticked(made, tmp_path, 501)
    assert {alias for one in registered(made.app, store=tmp_path) for alias in one.aliases} == {"champion"}


def test_another_artefact_is_not_loaded(tmp_path):
    made = world()
    ticked(made, tmp_path, 251, rules.Never(), 250)
    run = runs(tmp_path)[0]
    path = tmp_path / "artifacts" / "production" / made.app.name / run.id / "artifacts" / "model.pickle"
    path.write_bytes(pickle.dumps(Line()))
    with pytest.raises(StoreError, match="has another digest"):
        load_registered(made.app, store=tmp_path)
    path.unlink()
    with pytest.raises(StoreError, match="is gone"):
        load_registered(made.app, store=tmp_path)
    with pytest.raises(AppError, match="has no challenger"):
        load_registered(made.app, "challenger", store=tmp_path)


def test_what_people_try_cannot_move_the_champion(tmp_path):
    made = world()
    ticked(made, tmp_path, 251, rules.Never(), 250)
    before = registered(made.app, store=tmp_path)
    for kind in ("rehearsal", "gate", "stress", "comparison"):
        record(made.app, kind, Made({"n": 1}), store=tmp_path)
    assert registered(made.app, store=tmp_path) == before
    place = place_of(tmp_path)
    with client_of(place) as client:
        names = {one.name: one.experiment_id for one in client.search_experiments() if "/" in one.name}
        assert set(names) == {f"user/{made.app.name}", f"production/{made.app.name}"}
        mine = client.search_runs([names[f"production/{made.app.name}"]])
        assert [one.info.run_id for one in mine] == [before[0].run]
    # No word of the user's door names a space.
    assert "space" not in inspect.signature(mlwild.versions.record).parameters


@pytest.mark.parametrize("harm", ["deleted", "made anew", "another champion"])
def test_a_record_that_was_lost_is_told_again_by_the_next_tick(harm, tmp_path):
    made = world()
    ticked(made, tmp_path, 251, rules.Never(), 250)
    place = place_of(tmp_path)
    if harm == "another champion":
        with client_of(place) as client:
            client.delete_registered_model_alias(made.app.name, "champion")
    else:
        place.database.unlink()
    if harm == "made anew":
        record(made.app, "comparison", Made({}), store=tmp_path)
    ticked(made, tmp_path, 301)
    found = registered(made.app, store=tmp_path)
    assert [(one.vintage, one.aliases) for one in found] == [("3", ("champion",))]
    ticked(made, tmp_path, 401)
    assert len(ledger_of(made, tmp_path).of("registered")) == 2
    assert load_registered(made.app, store=tmp_path) is not None


def test_a_record_that_was_damaged_fails_the_tick_and_says_what_to_do(tmp_path):
    made = world()
    ticked(made, tmp_path, 251, rules.Never(), 250)
    kept = place_of(tmp_path).database
    whole = kept.read_bytes()
    kept.write_bytes(b"not a database" * 100)
    with pytest.raises(StoreError, match="Restore it from a copy, or move it away: a new one is begun"):
        ticked(made, tmp_path, 301)
    kept.write_bytes(whole)
    assert ticked(made, tmp_path, 301).ticks
    assert len(ledger_of(made, tmp_path).of("registered")) == 1


def test_what_does_not_agree_with_its_digest_is_not_registered(tmp_path):
    made = world()
    ticked(made, tmp_path, 251, rules.Never(), 250)
    (tmp_path / "model").write_bytes(b"another")
    noted = {"key": "k", "digest": "d" * 32, "rows": 3}
    with pytest.raises(StoreError, match="does not agree with its digest; it is not registered"):
        Registrar(tmp_path).champion(made.app, "9", noted, tmp_path / "model")
    assert [one.vintage for one in registered(made.app, store=tmp_path)] == ["3"]


def test_a_challenger_that_becomes_champion_has_both_names(tmp_path):
    made = world()
    ticked(made, tmp_path, 251, rules.Never(), 250)
    payload = pickle.dumps({"weights": 1.0})
    (tmp_path / "model").write_bytes(payload)
    noted = {"key": "k", "digest": bytes_digest(payload), "rows": 3}
    keeper = Registrar(tmp_path)
    first = keeper.challenger(made.app, "9", noted, tmp_path / "model")
    again = keeper.champion(made.app, "9", noted, tmp_path / "model")
    assert again == first
    assert [(one.vintage, one.aliases) for one in registered(made.app, store=tmp_path)] == [
        ("9", ("challenger", "champion")),
        ("3", ()),
    ]
    assert load_registered(made.app, store=tmp_path) == {"weights": 1.0}
