"""A challenger in shadow: the champion's rows, another model, one verdict however often one looks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient

from mlwild import rules
from mlwild.comparisons.challenged import Plan, standing
from mlwild.errors import AppError, DataError
from mlwild.operating import challenge, challenge_of, end_challenge, operate, status
from mlwild.operating.lived import lived
from mlwild.records import Vintage
from mlwild.show import show_challenge, show_status
from mlwild.triangle import build
from mlwild.triangle.settled import settled
from mlwild.triangle.store import Store
from mlwild.triangle.survey import survey
from mlwild.web import Workspace, site
from tests.operating.test_cli import ledger, write
from tests.operating.worlds import World, ledger_of, tick_by_tick, world
from tests.support import Line, small_app
from tests.test_cli import run
from tests.web.conftest import HERE


def rivals(seed=0, ridge=300.0, **fields):
    """Return a world with another model: one that shrinks too much."""
    made = world(seed=seed, **fields)
    made.app = replace(made.app, models=dict(made.app.models) | {"shrunk": Line(ridge=ridge)})
    return made


def facts(made, folder, kind="shadowed"):
    return [fact for fact in lived(ledger_of(made, folder)).facts if fact.kind == kind]


def test_what_is_said_is_what_plain_loops_say(tmp_path):
    made = rivals(ridge=3000.0, n=1500)
    tick_by_tick(made, tmp_path, rules.Every(3), moments=[401])
    made.now = 401
    begun = challenge(made.app, "shrunk", least=0.3, store=tmp_path)
    assert begun.running
    assert not begun.standing
    tick_by_tick(made, tmp_path, None, begin=None, moments=range(451, 900, 50))
    said = facts(made, tmp_path)
    made.now = None
    read = survey(made.app)
    triangles = {one.model: one for one in build(read, Store(tmp_path / "whole"), jobs=1)}
    life = lived(ledger_of(made, tmp_path))
    start = facts(made, tmp_path, "challenged")[0].cutoff
    plan = Plan(**facts(made, tmp_path, "challenged")[0].body["plan"])
    assert said
    for fact in said:
        now, gaps = int(read.grid.edges[fact.cutoff]), []
        for row in range(int(read.grid.row_start[start]), int(read.grid.row_start[fact.cutoff])):
            if read.known_at[row] > now:
                continue
            period = int(np.searchsorted(read.grid.row_start, row, side="right") - 1)
            # A row counts from the first cutoff on at which its period is settled and its label is there.
            cutoffs = range(period + 1, fact.cutoff + 1)
            since = next((cutoff for cutoff in cutoffs if settled(read, cutoff)[period]), None)
            if since is None:
                continue
            counts = next(one for one in cutoffs if one >= since and read.known_at[row] <= read.grid.edges[one])
            live = life.path[period - life.first]
            ours, theirs = (
                float(triangles[model].row_losses(vintage, np.array([row]))[0])
                for model, vintage in ((made.app.live, live), ("shrunk", Vintage(live.cutoff, "all")))
            )
            gaps.append((counts, read.known_at[row], row, theirs, ours, period))
        gaps.sort()
        champion, challenger = np.array([one[4] for one in gaps]), np.array([one[3] for one in gaps])
        want = standing(challenger, champion, plan, periods=len({one[5] for one in gaps}))
        assert fact.body["verdict"] == want.verdict
        assert fact.body["n"] == want.n == len(gaps)
        for name in ("difference", "low", "high"):
            wanted = getattr(want, name)
            assert fact.body[name] == (None if wanted is None else pytest.approx(wanted, rel=1e-9))
    assert (said[0].body["n"], said[0].body["said"]) == (0, "no period has about all of its labels yet")
    assert said[-1].body["over"]
    assert said[-1].body["verdict"] in ("worse", "no gain worth it")
    # Once it is settled no tick scores it any more.
    assert said[-1].cutoff < life.decided[-1].cutoff
    assert not challenge_of(made.app, store=tmp_path).running


def test_the_champion_lives_as_if_there_were_no_challenger(tmp_path):
    beside, alone = rivals(), rivals()
    for made, folder in ((beside, tmp_path / "a"), (alone, tmp_path / "b")):
        tick_by_tick(made, folder, rules.BreakEven(), moments=[401])
        made.now = 401
        if made is beside:
            challenge(made.app, "shrunk", store=folder)
        tick_by_tick(made, folder, None, begin=None, moments=[701])
    kept = [
        [(fact.kind, fact.cutoff, dict(fact.body)) for fact in ledger_of(made, folder).facts]
        for made, folder in ((beside, tmp_path / "a"), (alone, tmp_path / "b"))
    ]
    assert [one for one in kept[0] if one[0] not in ("challenged", "shadowed")] == kept[1]


def test_a_better_challenger_is_found_better(tmp_path):
    made = rivals(drift=0.0, n=1500)
    made.app = replace(made.app, models={"shrunk": Line(ridge=3000.0), "line": Line()})
    tick_by_tick(made, tmp_path, rules.Never(), moments=[401])
    made.now = 401
    challenge(made.app, "line", store=tmp_path)
    tick_by_tick(made, tmp_path, None, begin=None, moments=[1500])
    last = facts(made, tmp_path)[-1].body
    assert last["verdict"] == "better"
    assert last["high"] < 0
    assert last["challenger"] < last["champion"]
    assert "'line': better after" in status(tmp_path)[0].challenger


def _of(answer):
    return lambda X, y: lambda X: np.full(len(X), answer)


def test_labels_that_come_early_settle_nothing(tmp_path):
    """Half of the outcomes are 1 and known at once, half are -1 and known 300 later: 0 loses 1, and 1 loses 2."""
    at = np.arange(1500)
    good = np.random.default_rng(0).random(1500) < 0.5
    rows = pd.DataFrame(
        {"when": at, "known": at + np.where(good, 1, 300), "a": 1.0, "b": 1.0, "c": 1.0, "y": np.where(good, 1.0, -1.0)}
    )
    made = World(small_app(rows, every=50, start=100, models={"middle": _of(0.0), "high": _of(1.0)}))
    tick_by_tick(made, tmp_path, rules.Never(), moments=[701], begin=550)
    made.now = 701
    challenge(made.app, "high", store=tmp_path)
    tick_by_tick(made, tmp_path, None, begin=None, moments=range(751, 1500, 50))
    said = [fact.body for fact in facts(made, tmp_path)]
    assert [one["n"] for one in said[:5]] == [0] * 5  # all that is known by then is good
    assert "better" not in {one["verdict"] for one in said}
    assert said[-1]["verdict"] == "worse"
    # Rows of settled periods are counted whole, whatever their labels say: half of them are good.
    last = said[-1]
    assert last["n"] >= 200
    assert last["challenger"] == pytest.approx(2.0, abs=3 * 2 / np.sqrt(last["n"]))
    assert last["champion"] == 1.0


def test_one_that_is_settled_is_said_to_be_on_all_faces(tmp_path, capsys):
    """The pages and the card said "In shadow" of one that no tick scores any more."""
    made = rivals(drift=0.0, n=1500)
    made.app = replace(made.app, models={"shrunk": Line(ridge=3000.0), "line": Line()})
    tick_by_tick(made, tmp_path, rules.Never(), moments=[401])
    made.now = 401
    challenge(made.app, "line", store=tmp_path)
    card = tmp_path / "operate" / made.app.name / "card.html"
    client = TestClient(site(Workspace(tmp_path)), base_url=HERE)

    def faces():
        show_status(status(tmp_path), "here")
        pages = [client.get(path).text for path in ("/", f"/apps/{made.app.name}")]
        return [" ".join(one.split()) for one in (card.read_text(), *pages, capsys.readouterr().out)]

    assert not status(tmp_path)[0].settled
    assert [("In shadow" in one, "ettled" in one) for one in faces()] == [*[(True, False)] * 3, (False, False)]
    tick_by_tick(made, tmp_path, None, begin=None, moments=[1500])
    assert facts(made, tmp_path)[-1].body["over"]
    assert status(tmp_path)[0].settled
    assert [("In shadow" in one, "ettled" in one) for one in faces()] == [*[(False, True)] * 3, (False, True)]
    assert f"{made.app.name}: settled challenger 'line': better after" in faces()[-1]
    end_challenge(made.app, store=tmp_path)
    assert not status(tmp_path)[0].settled


def test_a_challenger_costs_a_fit_for_each_of_the_champions(tmp_path):
    made = rivals()
    tick_by_tick(made, tmp_path, rules.Every(4), moments=[401])
    made.now = 401

    def models():
        return len(list(tmp_path.glob("operate/*/memo/*/*.model")))

    before = models()
    challenge(made.app, "shrunk", least=1e-9, store=tmp_path)
    begun = models() - before
    assert begun >= 1
    tick_by_tick(made, tmp_path, None, begin=None, moments=range(451, 900, 50))
    life = lived(ledger_of(made, tmp_path))
    new = len({one for one in life.path if one.cutoff > facts(made, tmp_path, "challenged")[0].cutoff})
    assert new >= 2
    assert models() - before - begun == 2 * new  # the champion's and the challenger's


def test_one_that_cannot_be_made_says_so_and_the_champion_goes_on(tmp_path):
    class Raises:
        def fit(self, X, y):
            if len(X) > 320:
                raise ValueError("too many rows for me")
            self.mean = float(np.mean(y))
            return self

        def predict(self, X):
            return np.full(len(X), self.mean)

    made = world()
    made.app = replace(made.app, models=dict(made.app.models) | {"raises": Raises()})
    tick_by_tick(made, tmp_path, rules.Every(2), moments=[351])
    made.now = 351
    challenge(made.app, "raises", store=tmp_path)
    tick_by_tick(made, tmp_path, None, begin=None, moments=[401, 501, 601])
    last = facts(made, tmp_path)[-1].body
    assert last["verdict"] == "failed"
    assert "too many rows for me" in last["said"]
    assert not status(tmp_path)[0].alarm
    assert lived(ledger_of(made, tmp_path)).path[-1].cutoff > 6


def test_what_does_not_compare_is_refused(tmp_path, capsys):
    made = rivals()
    with pytest.raises(AppError, match="not in operation"):
        challenge(made.app, "shrunk", store=tmp_path)
    tick_by_tick(made, tmp_path, rules.Every(3), moments=[401])
    made.now = 401
    with pytest.raises(AppError, match="no other model 'other'; it has 'shrunk'"):
        challenge(made.app, "other", store=tmp_path)
    with pytest.raises(AppError, match="none runs beside 'small'"):
        challenge_of(made.app, store=tmp_path)
    with pytest.raises(DataError, match="above zero"):
        challenge(made.app, "shrunk", least=0.0, store=tmp_path)
    assert not facts(made, tmp_path, "challenged")
    challenge(made.app, "shrunk", store=tmp_path)
    card = tmp_path / "operate" / made.app.name / "card.html"
    assert "In shadow: " in card.read_text()
    with pytest.raises(AppError, match="'shrunk' runs already"):
        challenge(made.app, "shrunk", store=tmp_path)
    changed = replace(made.app, models=dict(made.app.models) | {"shrunk": Line(ridge=2.0)})
    made.now = 451
    with pytest.raises(AppError, match="the code of 'shrunk' is not what it was"):
        operate(changed, store=tmp_path)
    assert "failed (shadowed)" in status(tmp_path)[0].alarm
    operate(made.app, store=tmp_path)
    ended = end_challenge(made.app, why="enough", store=tmp_path)
    assert not ended.running
    assert not status(tmp_path)[0].challenger
    assert "In shadow" not in card.read_text()
    show_challenge(ended)
    said = " ".join(capsys.readouterr().out.split())
    assert "'shrunk' began at" in said
    assert "and is settled or ended" in said


def test_another_app_file_as_a_person_meets_it(tmp_path):
    write(tmp_path)
    run("operate", "app.py", "--rule", "every 2", "--begin", "400", "--at", "440", "--no-gate", cwd=tmp_path)
    text = (tmp_path / "app.py").read_text()
    (tmp_path / "new.py").write_text(text + "\nimport dataclasses\napp = dataclasses.replace(app, min_rows=7)\n")
    same = run("shadow", "app.py", "new.py", cwd=tmp_path, code=4)
    assert "lose the same on every row" in same.stderr
    (tmp_path / "other.py").write_text(text + "\nimport dataclasses\napp = dataclasses.replace(app, every=7)\n")
    assert "declares every=7" in run("shadow", "app.py", "other.py", cwd=tmp_path, code=2).stderr
    assert [fact.kind for fact in ledger(tmp_path)][-1] == "ticked"
