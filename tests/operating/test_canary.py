"""A challenger that answers a share of the requests: what a server is told, when it begins, and when it must not."""

from __future__ import annotations

import contextlib
import html
import json
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner

import mlwild as wild
from mlwild import rules
from mlwild.cli import cli
from mlwild.errors import AppError, DataError
from mlwild.ledger import Ledger
from mlwild.operating import challenge, challenge_of, change_share, end_challenge, operate, rollback, status
from mlwild.triangle.store import Store
from tests.operating.test_acid import Killed
from tests.operating.test_challenges import facts, rivals
from tests.operating.test_cli import ledger, write
from tests.operating.test_rescue import HARMS, At, Fickle, Trap, deleted, model_of
from tests.operating.worlds import bodies, ledger_of, tick_by_tick, world
from tests.support import Line, drifting

#: Learns at cutoffs 5 and 9.
RULE = At()


def root_of(folder):
    return folder / "operate" / "small"


def live(folder):
    return json.loads((root_of(folder) / "live.json").read_text())


def begun(folder, made=None, rule=RULE, moment=401):
    """Return a world that has been operated for a while."""
    made = made or rivals()
    tick_by_tick(made, folder, rule, moments=[moment])
    made.now = moment
    return made


def on(made, folder, moment, **words):
    """Operate until a moment."""
    made.now = moment
    return operate(made.app, store=folder, **words)


@dataclass
class Gate:
    """A gate that says what it is told to, and remembers what it was asked."""

    says: str = ""

    def __post_init__(self):
        self.asked: list[Any] = []

    def __call__(self, app, today):
        self.asked.append(app)
        return self.says


RED = "the gate blocks it: never red"


# -- what a server is told ------------------------------------------------------------------------------


def test_begin_tick_change_and_end_as_a_server_sees_it(tmp_path):
    made = begun(tmp_path)
    alone = live(tmp_path)
    assert {"shadow", "canary"}.isdisjoint(alone)
    assert challenge(made.app, "shrunk", share=0.1, store=tmp_path).share == 0.1
    said = live(tmp_path)
    assert {name: said[name] for name in alone} == alone
    canary, since = said["canary"], facts(made, tmp_path, "challenged")[0].body["at"]
    assert canary == {
        "key": canary["key"], "digest": canary["digest"], "name": "shrunk 5", "live": "5", "since": since,
        "model": "shrunk", "share": 0.1,
    }  # fmt: skip
    assert "shadow" not in said
    held = Store(root_of(tmp_path)).get(canary["key"], "model")
    assert held is not None
    assert held["digest"] == canary["digest"]
    assert canary["key"] != said["key"]
    # A tick that keeps the champion keeps it.
    on(made, tmp_path, 451)
    assert live(tmp_path)["canary"] == canary
    # Raised: the salt of the drawing stays, so that who was answered by it still is.
    assert change_share(made.app, 0.25, store=tmp_path).share == 0.25
    assert live(tmp_path)["canary"] == canary | {"share": 0.25}
    # When the champion learns anew, so does it.
    on(made, tmp_path, 551)
    now = live(tmp_path)
    assert (now["live"], now["canary"]["live"], now["canary"]["since"]) == ("9", "9", since)
    assert now["canary"]["share"] == 0.25
    assert now["canary"]["key"] != canary["key"]
    # Back into the shadow, and gone.
    change_share(made.app, 0.0, store=tmp_path)
    both = live(tmp_path)
    assert "canary" not in both
    assert both["shadow"] == {name: value for name, value in now["canary"].items() if name != "share"}
    end_challenge(made.app, store=tmp_path)
    assert {"shadow", "canary"}.isdisjoint(live(tmp_path))


def test_the_share_is_in_the_ledger_and_the_state_says_who_answers(tmp_path):
    made = begun(tmp_path)
    challenge(made.app, "shrunk", share=0.1, store=tmp_path)
    first = status(tmp_path)[0]
    assert first.share == 0.1
    assert first.challenger == "'shrunk', which answers 10% of the requests: begins with the next tick"
    on(made, tmp_path, 451)
    change_share(made.app, 0.005, store=tmp_path)
    waits = "'shrunk', which answers 0.5% of the requests: no period has about all of its labels yet"
    assert status(tmp_path)[0].challenger == waits
    on(made, tmp_path, 501)
    assert "answers 0.5% of the requests: not settled after" in status(tmp_path)[0].challenger
    told = [
        (fact.kind, fact.body["share"], fact.body.get("was"))
        for fact in ledger_of(made, tmp_path).facts
        if "share" in fact.body
    ]
    assert told == [
        ("challenged", 0.1, None),
        ("shadowed", 0.1, None),
        ("shared", 0.005, 0.1),
        ("shadowed", 0.005, None),
    ]
    assert not status(tmp_path)[0].alarm
    assert not any("canary" in fact.body for fact in ledger_of(made, tmp_path).of("published"))
    line = (root_of(tmp_path) / "ledger.jsonl").read_text()
    (root_of(tmp_path) / "ledger.jsonl").write_text(line.replace('"share": 0.005', '"share": 0.5', 1))
    assert "does not agree with its digest" in status(tmp_path)[0].alarm


def test_without_a_share_it_runs_in_shadow_and_the_champion_lives_as_if_there_were_none(tmp_path):
    kept = []
    for folder, share in ((tmp_path / "none", None), (tmp_path / "shadow", 0.0), (tmp_path / "canary", 0.3)):
        made = begun(folder, rule=rules.BreakEven())
        if share is not None:
            challenge(made.app, "shrunk", share=share, store=folder)
            said = live(folder)
            assert ("canary" in said, "shadow" in said) == (share > 0, share == 0)
        for moment in (451, 551):
            on(made, folder, moment)
        kept.append([one for one in bodies(ledger_of(made, folder)) if one[0] not in ("challenged", "shadowed")])
    assert kept[0] == kept[1] == kept[2]


def test_killed_after_every_fact_a_life_with_a_canary_is_that_of_who_was_never_killed(tmp_path):
    calm, rough = tmp_path / "calm", tmp_path / "rough"
    lives = []
    for folder, dies in ((calm, False), (rough, True)):
        made = begun(folder)
        challenge(made.app, "shrunk", share=0.1, store=folder)
        with pytest.MonkeyPatch.context() as patch:
            if dies:
                _killed_after_each_fact(patch)
            for moment in (451, 551):
                while True:
                    try:
                        on(made, folder, moment)
                    except Killed:
                        continue
                    break
        lives.append((bodies(ledger_of(made, folder)), live(folder)))
    assert lives[0] == lives[1]
    assert lives[0][1]["canary"]["live"] == "9"


def _killed_after_each_fact(patch):
    written, seen = Ledger._write, set()

    def dies(self, data):
        written(self, data)
        if self._size not in seen:
            seen.add(self._size)
            raise Killed

    patch.setattr(Ledger, "_write", dies)


@pytest.mark.parametrize("what", ["begin", "change", "end"])
def test_who_was_killed_between_the_fact_and_the_file_is_finished_by_the_next_call(what, tmp_path):
    made = begun(tmp_path)
    if what != "begin":
        challenge(made.app, "shrunk", share=0.1, store=tmp_path)
    before = live(tmp_path)
    act = {
        "begin": lambda: challenge(made.app, "shrunk", share=0.1, store=tmp_path),
        "change": lambda: change_share(made.app, 0.2, store=tmp_path),
        "end": lambda: end_challenge(made.app, store=tmp_path),
    }[what]
    with pytest.MonkeyPatch.context() as patch:
        _killed_after_each_fact(patch)
        with pytest.raises(Killed):
            act()
    assert live(tmp_path) == before
    done = operate(made.app, store=tmp_path)  # no tick is due
    assert not done.ticks
    assert live(tmp_path).get("canary", {}).get("share") == {"begin": 0.1, "change": 0.2, "end": None}[what]


def test_who_says_it_again_after_he_was_killed_has_what_he_wants(tmp_path):
    made = begun(tmp_path)
    challenge(made.app, "shrunk", share=0.1, store=tmp_path)
    for act, want in (
        (lambda: change_share(made.app, 0.2, store=tmp_path), 0.2),
        (lambda: end_challenge(made.app, store=tmp_path), None),
    ):
        with pytest.MonkeyPatch.context() as patch:
            _killed_after_each_fact(patch)
            with pytest.raises(Killed):
                act()
        with contextlib.suppress(AppError):  # that none runs is said of one that was ended
            act()
        assert live(tmp_path).get("canary", {}).get("share") == want


# -- what may not be -------------------------------------------------------------------------------------


def test_a_share_that_cannot_be_is_refused_and_nothing_is_changed(tmp_path):
    made = begun(tmp_path)
    cannot = (-0.1, 0.51, 1.0, 20.0, float("nan"), float("inf"))
    for share in cannot:
        with pytest.raises(AppError, match=r"share: .* is not between 0 and 0\.5"):
            challenge(made.app, "shrunk", share=share, store=tmp_path)
    assert not facts(made, tmp_path, "challenged")
    challenge(made.app, "shrunk", store=tmp_path)
    for share in cannot:
        with pytest.raises(AppError, match=r"share: .* is not between 0 and 0\.5"):
            change_share(made.app, share, store=tmp_path)
    assert "canary" not in live(tmp_path)
    assert not facts(made, tmp_path, "shared")


def test_a_share_of_nothing_of_what_is_settled_and_of_what_runs_already(tmp_path):
    made = begun(tmp_path)
    with pytest.raises(AppError, match="none runs beside 'small'"):
        change_share(made.app, 0.1, store=tmp_path)
    challenge(made.app, "shrunk", share=0.5, store=tmp_path)
    with pytest.raises(AppError, match="runs already.*or change its share with mlwild shadow --share"):
        challenge(made.app, "shrunk", share=0.1, store=tmp_path)
    written = len(ledger_of(made, tmp_path).facts)
    assert change_share(made.app, 0.5, store=tmp_path).share == 0.5  # as it is
    assert len(ledger_of(made, tmp_path).facts) == written


def test_what_is_settled_answers_nothing_any_more(tmp_path):
    made = begun(tmp_path, rivals(ridge=3000.0, n=1500), rules.Never())
    challenge(made.app, "shrunk", least=0.3, share=0.1, store=tmp_path)
    said = [live(tmp_path)]
    for moment in range(451, 900, 50):
        on(made, tmp_path, moment)
        said.append(live(tmp_path))
    over = [fact.body["over"] for fact in facts(made, tmp_path)]
    assert over[-1]
    assert not over[0]
    # The tick that settles it takes it out, and the ones after.
    assert ["canary" in one for one in said] == [True, *(not one for one in over)] + [False] * (
        len(said) - len(over) - 1
    )
    assert "was to answer 10% and answers none (settled)" in status(tmp_path)[0].challenger
    assert not status(tmp_path)[0].alarm
    with pytest.raises(AppError, match="'shrunk' is settled"):
        change_share(made.app, 0.2, store=tmp_path)


def test_a_published_forecast_has_no_model_to_answer_with(tmp_path):
    rows = drifting(900, 0, 1.5, 60).assign(told=lambda frame: 0.8 * frame["a"])
    made = world(data=lambda: rows)
    made.app = replace(made.app, models=dict(made.app.models) | {"told": wild.Forecast("told")})
    begun(tmp_path, made)
    with pytest.raises(AppError, match="'told' is a published forecast: there is no model"):
        challenge(made.app, "told", share=0.1, store=tmp_path)
    assert not facts(made, tmp_path, "challenged")
    challenge(made.app, "told", store=tmp_path)
    with pytest.raises(AppError, match="'told' is a published forecast: there is no model"):
        change_share(made.app, 0.1, store=tmp_path)
    on(made, tmp_path, 451)
    assert {"shadow", "canary"}.isdisjoint(live(tmp_path))


# -- the gate --------------------------------------------------------------------------------------------


def test_a_canary_that_the_gate_blocks_does_not_begin_and_may_run_in_shadow(tmp_path):
    made, gate = begun(tmp_path), Gate(RED)
    with pytest.raises(DataError, match="'shrunk' may not answer 10% of the requests: the gate blocks it: never red"):
        challenge(made.app, "shrunk", share=0.1, gate=gate, store=tmp_path)
    assert not facts(made, tmp_path, "challenged")
    assert {"shadow", "canary"}.isdisjoint(live(tmp_path))
    asked = gate.asked[0]
    assert asked.live == "shrunk"  # the challenger is judged, on what is known now
    assert asked.data()["when"].max() < 400
    challenge(made.app, "shrunk", gate=gate, store=tmp_path)
    assert len(gate.asked) == 1  # who answers nobody is not asked about
    with pytest.raises(DataError, match="the gate blocks it"):
        change_share(made.app, 0.1, gate=gate, store=tmp_path)
    assert "shadow" in live(tmp_path)
    gate.says = ""
    change_share(made.app, 0.1, gate=gate, store=tmp_path)
    assert "canary" in live(tmp_path)


def test_what_a_canary_learns_later_is_judged_too_and_goes_back_into_the_shadow_if_blocked(tmp_path):
    made, gate = begun(tmp_path), Gate()
    champion = lambda app, today: gate(app, today) if app.live == "shrunk" else ""  # noqa: E731
    challenge(made.app, "shrunk", share=0.1, gate=champion, store=tmp_path)
    gate.says = RED
    on(made, tmp_path, 451, gate=champion)
    assert len(gate.asked) == 1  # what has answered has passed
    assert "canary" in live(tmp_path)
    done = on(made, tmp_path, 551, gate=champion)
    now = live(tmp_path)
    assert (now["live"], now["shadow"]["live"]) == ("9", "9")
    assert "canary" not in now
    assert done.alarms[-1][1] == f"canary 'shrunk' 9 answers nothing: {RED}"
    assert status(tmp_path)[0].alarm == done.alarms[-1][1]
    assert challenge_of(made.app, store=tmp_path).alarm == done.alarms[-1][1]
    assert "was to answer 10% and answers none" in status(tmp_path)[0].challenger
    gate.says = ""
    done = on(made, tmp_path, 601, gate=champion)
    assert live(tmp_path)["canary"]["share"] == 0.1
    assert not done.alarms
    assert not status(tmp_path)[0].alarm


# -- the artefact ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_canary_is_taken_out_at_once_and_made_again_by_the_next_tick(harm, tmp_path):
    made = begun(tmp_path)
    challenge(made.app, "shrunk", share=0.1, store=tmp_path)
    before = live(tmp_path)
    harm(model_of(root_of(tmp_path), before["canary"]["key"]))
    operate(made.app, store=tmp_path)  # no tick is due
    assert {"shadow", "canary"}.isdisjoint(live(tmp_path))
    assert live(tmp_path)["key"] == before["key"]
    done = on(made, tmp_path, 451)
    assert live(tmp_path)["canary"] == before["canary"]
    assert not done.alarms
    assert not Trap.sprung


@pytest.mark.parametrize("harm", HARMS)
def test_one_that_cannot_be_made_again_stays_out_and_is_an_alarm_until_another_is_learned(harm, tmp_path):
    made = world()
    made.app = replace(made.app, models=dict(made.app.models) | {"fickle": Fickle(300.0)})
    begun(tmp_path, made)
    challenge(made.app, "fickle", share=0.1, store=tmp_path)
    path = model_of(root_of(tmp_path), live(tmp_path)["canary"]["key"])
    kept = {one: one.read_bytes() for one in (path, path.with_name(path.name + ".json"))}
    harm(path)
    done = on(made, tmp_path, 451)
    assert {"shadow", "canary"}.isdisjoint(live(tmp_path))
    assert "canary 'fickle' 5 answers nothing: it could not be made" in done.alarms[-1][1]
    assert status(tmp_path)[0].alarm == done.alarms[-1][1]
    assert status(tmp_path)[0].share == 0.0
    assert done.ticks[-1].action == "keep"  # the champion goes on
    assert not Trap.sprung
    for one, held in kept.items():  # restored
        one.write_bytes(held)
    done = on(made, tmp_path, 501)
    assert live(tmp_path)["canary"]["live"] == "5"
    assert not done.alarms


def test_rows_that_change_later_make_no_other_of_it(tmp_path):
    made = begun(tmp_path)
    challenge(made.app, "shrunk", share=0.1, store=tmp_path)
    before = live(tmp_path)
    made.whole.loc[made.whole["when"] < 150, "a"] += 1.0
    on(made, tmp_path, 451)
    now = live(tmp_path)
    assert (now["key"], now["canary"]) == (before["key"], before["canary"])


def test_a_person_who_wants_a_share_of_what_is_lost_is_told(tmp_path):
    made = world()
    made.app = replace(made.app, models=dict(made.app.models) | {"fickle": Fickle(300.0)})
    begun(tmp_path, made)
    challenge(made.app, "fickle", store=tmp_path)
    deleted(model_of(root_of(tmp_path), live(tmp_path)["shadow"]["key"]))
    with pytest.raises(DataError, match="'fickle' cannot answer requests: .*Nothing was changed"):
        change_share(made.app, 0.1, store=tmp_path)
    assert not facts(made, tmp_path, "shared")


# -- with what else a person does ------------------------------------------------------------------------


def test_a_rollback_takes_it_out_until_the_next_tick(tmp_path):
    made = begun(tmp_path)
    challenge(made.app, "shrunk", share=0.1, store=tmp_path)
    rollback(made.app, hold=3, store=tmp_path)
    assert live(tmp_path)["live"] == "3"
    assert {"shadow", "canary"}.isdisjoint(live(tmp_path))
    assert "answers none (not in use)" in status(tmp_path)[0].challenger
    on(made, tmp_path, 451)
    now = live(tmp_path)
    assert (now["live"], now["canary"]["live"]) == ("3", "3")


def test_a_new_life_has_none_and_a_plan_changes_nothing(tmp_path):
    made = begun(tmp_path)
    challenge(made.app, "shrunk", share=0.1, store=tmp_path)
    before = live(tmp_path)
    planned = on(made, tmp_path, 451, dry=True)
    assert planned.ticks[0].facts["shadowed"]["share"] == 0.1
    assert live(tmp_path) == before
    assert on(made, tmp_path, 451).ticks[0].facts == planned.ticks[0].facts
    made.app = replace(made.app, models={"shrunk": Line(ridge=300.0)})  # promoted
    on(made, tmp_path, 501, reopen=True, rule=rules.Never())
    assert {"shadow", "canary"}.isdisjoint(live(tmp_path))
    assert not status(tmp_path)[0].challenger


# -- as a person meets it --------------------------------------------------------------------------------

#: With features that the champion does not have: the rows of one must not push out those of the other.
NEW = """
import dataclasses

def shrunk(X, y):
    slope = 0.9 * float((X["x"] * y).sum() / (X["x"] ** 2).sum())
    return lambda X: slope * X["x"].to_numpy() + 0.0 * X["more"].to_numpy()

app = dataclasses.replace(
    app, models={"shrunk": shrunk}, features=lambda rows: rows[["x"]].assign(more=rows["x"] ** 2)
)
"""


@pytest.fixture
def called(tmp_path, monkeypatch):
    """Return what calls the command line in this process, on the little app and a challenger in another file."""
    write(tmp_path)
    (tmp_path / "new.py").write_text((tmp_path / "app.py").read_text() + NEW)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLWILD_RECORD", "0")

    def call(*arguments, code=0):
        done = CliRunner().invoke(cli, arguments)
        assert done.exit_code == code, (done.output, done.exception)
        return " ".join(done.output.split())

    return call


def test_another_app_file_as_a_canary_from_the_command_line(called, tmp_path):
    called("operate", "app.py", "--rule", "every 2", "--begin", "400", "--at", "440", "--no-gate")
    path = next(tmp_path.glob(".mlwild/operate/*/live.json"))
    assert "share: 0.7 is not between 0 and 0.5" in called("shadow", "app.py", "new.py", "--share", "0.7", code=2)
    (tmp_path / "app_tests.py").write_text("def test_never(events):\n    assert len(events) < 0, 'always red'\n")
    blocked = called("shadow", "app.py", "new.py", "--share", "0.1", code=1)
    assert "'new' may not answer 10% of the requests: the gate blocks it: never red (always red)." in blocked
    assert [fact.kind for fact in ledger(tmp_path)][-1] == "ticked"
    shown = called("shadow", "app.py", "new.py", "--share", "0.1", "--no-gate")
    assert "'new' answers 10% of the requests" in shown
    told = json.loads(path.read_text())["canary"]
    assert (told["file"], told["share"], told["name"]) == ("new.py", 0.1, f"new {told['live']}")
    assert "model" not in told
    assert "'new', which answers 10% of the requests" in called("status")
    called("operate", "app.py", "--at", "500", "--no-gate")
    assert json.loads(path.read_text())["canary"]["share"] == 0.1
    card = html.unescape(path.with_name("card.html").read_text())
    assert "Canary: 'new', which answers 10% of the requests" in card
    assert "answers 20% of the requests" in called("shadow", "app.py", "--share", "0.2")
    assert "--stop: it ends the challenge, and with it the share" in called(
        "shadow", "app.py", "--stop", "--share", "0", code=2
    )
    called("shadow", "app.py", "--stop")
    assert "canary" not in json.loads(path.read_text())


def test_the_standing_gate_lets_a_sound_one_answer_and_the_champions_report_and_folder_stay(called, tmp_path):
    (tmp_path / "app_tests.py").write_text("def test_always(events):\n    assert len(events) > 0\n")
    called("operate", "app.py", "--rule", "every 2", "--begin", "400", "--at", "440")
    folder = next(tmp_path.glob(".mlwild/operate/*/live.json")).parent
    report = (folder / "gates" / "little.json").read_bytes()
    called("shadow", "app.py", "new.py", "--share", "0.1")
    assert json.loads((folder / "live.json").read_text())["canary"]["share"] == 0.1
    assert (folder / "gates" / "little.json").read_bytes() == report
    called("operate", "app.py", "--at", "500")  # both learn anew, and are judged
    now = json.loads((folder / "live.json").read_text())
    assert now["canary"]["live"] == now["live"] == "8"
    assert [one.name for one in folder.parent.iterdir()] == ["little"]
    spilled = {name: list((folder / "rows" / name).glob("*/features.arrow")) for name in ("little", "little--beside")}
    read = {name: pa.ipc.open_file(path).schema.names for name, (path,) in spilled.items()}
    assert read == {"little": ["x"], "little--beside": ["x", "more"]}


def test_another_app_file_that_reads_other_rows_is_refused(called, tmp_path):
    called("operate", "app.py", "--rule", "every 2", "--begin", "400", "--at", "440", "--no-gate")
    later = "\nwhole = app.data\napp = dataclasses.replace(app, data=lambda: whole()[5:])\n"
    (tmp_path / "new.py").write_text((tmp_path / "new.py").read_text() + later)
    assert "new.py reads other rows than 'little'" in called("shadow", "app.py", "new.py", code=4)
    assert [fact.kind for fact in ledger(tmp_path)][-1] == "ticked"


def test_a_challenger_in_another_folder_has_its_own_modules(called, tmp_path):
    """A copy of the app's folder in which a module beside it was changed: as a branch that is checked out has it."""
    text = (tmp_path / "app.py").read_text()
    text += "\nimport dataclasses\nfrom steps import made\napp = dataclasses.replace(app, features=made)\n"
    for folder, more in ((tmp_path, ""), (tmp_path / "branch", " ** 3")):
        folder.mkdir(exist_ok=True)
        (folder / "app.py").write_text(text)
        (folder / "steps.py").write_text(f"def made(rows):\n    return rows[['x']]{more}\n")
    called("operate", "app.py", "--rule", "every 2", "--begin", "400", "--at", "440", "--no-gate")
    called("shadow", "app.py", "branch/app.py")
    called("operate", "app.py", "--at", "500", "--no-gate")
    told = [fact.body for fact in ledger(tmp_path) if fact.kind == "shadowed"][-1]
    assert told["challenger"] != told["champion"]
