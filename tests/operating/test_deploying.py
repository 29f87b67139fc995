"""A plan says what would change in production; it is carried out exactly, or not at all."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from mlwild import rules
from mlwild.errors import AppError
from mlwild.operating import deploy, operate
from tests.operating.test_cli import ledger, write
from tests.operating.worlds import bodies, ledger_of, world
from tests.test_cli import run


def test_a_plan_is_what_is_done_bit_by_bit(tmp_path):
    made = world()
    made.now = 551
    plan = deploy(made.app, rule=rules.Every(3), begin=250, dry=True, store=tmp_path)
    assert (plan.was, plan.reopened, plan.price) == ("", True, 2 * made.app.prices.retrain)
    assert not ledger_of(made, tmp_path).facts
    through_json = json.loads(json.dumps(plan.as_dict()))
    made.now = 651  # time goes on until somebody agrees: what is done is what was planned, and no more
    done = deploy(made.app, plan=through_json, rule=rules.Every(3), store=tmp_path)
    assert done.seal == plan.seal
    assert [one.facts for one in done.ticks] == [one.facts for one in plan.ticks]
    other = world()
    other.now = 551
    operate(other.app, rule=rules.Every(3), begin=250, store=tmp_path / "other")
    assert bodies(ledger_of(made, tmp_path)) == bodies(ledger_of(other, tmp_path / "other"))


def test_plans_that_differ_in_anything_have_other_seals(tmp_path):
    made = world(n=400)
    plan = deploy(made.app, rule=rules.Every(3), begin=250, dry=True, store=tmp_path)
    others = {"app": "other", "made_of": "0", "rule": "never", "reopened": False, "ticks": plan.ticks[1:]}
    seals = {replace(plan, **{name: value}).seal for name, value in others.items()}
    assert len(seals | {plan.seal}) == 1 + len(others)
    assert replace(plan, dry=False).seal == plan.seal


def test_a_deploy_that_ends_with_an_alarm_does_not_end_as_well(tmp_path):
    write(tmp_path)
    run("operate", "app.py", "--rule", "every 2", "--begin", "400", "--at", "440", "--no-gate", cwd=tmp_path)
    (tmp_path / "app_tests.py").write_text("def test_never(events):\n    assert len(events) < 0, 'always red'\n")
    done = run("deploy", "app.py", "--yes", "--no-record", cwd=tmp_path, code=1)
    assert "the gate blocks it: never red" in " ".join(done.stdout.split())


def test_a_plan_that_is_out_of_date_is_not_carried_out(tmp_path):
    made = world()
    made.now = 451
    plan = deploy(made.app, rule=rules.Every(3), begin=250, dry=True, store=tmp_path).as_dict()
    was = made.whole.loc[40, "a"]
    made.whole.loc[40, "a"] = was + 1.0  # somebody mends a row
    with pytest.raises(AppError, match="out of date: at 250 what the life begins with would be other"):
        deploy(made.app, plan=plan, rule=rules.Every(3), store=tmp_path)
    assert not ledger_of(made, tmp_path).facts
    made.whole.loc[40, "a"] = was
    with pytest.raises(AppError, match="the code is another"):
        deploy(replace(made.app, min_rows=7), plan=plan, rule=rules.Every(3), store=tmp_path)
    deploy(made.app, plan=plan, rule=rules.Every(3), store=tmp_path)
    with pytest.raises(AppError, match="has 5 ticks, and 0 are due"):
        deploy(made.app, plan=plan, store=tmp_path)  # it was carried out


def test_other_code_opens_a_new_life_by_the_rule_of_the_old_one(tmp_path):
    made = world()
    made.now = 451
    deploy(made.app, rule=rules.Every(3), begin=250, store=tmp_path)
    made.now = 551
    with pytest.raises(AppError, match="runs already, by the same code"):
        deploy(made.app, rule=rules.Every(2), store=tmp_path)
    changed = replace(made.app, min_rows=7, rules=[rules.Every(3)])
    plan = deploy(changed, dry=True, store=tmp_path)
    assert plan.reopened
    assert plan.rule == "every 3"
    assert plan.was == "6"
    done = deploy(changed, plan=plan.as_dict(), store=tmp_path)
    assert (done.live, len(done.ticks)) == (plan.live, 1)
    assert [fact.kind for fact in ledger_of(made, tmp_path).facts].count("opened") == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seal": None}, "it has no 'seal'"),
        ({"dry": False}, "it tells of ticks that were done"),
        ({"app": "other"}, "it is of 'other', not of 'small'"),
    ],
)
def test_what_is_no_plan_is_said(change, said, tmp_path):
    made = world()
    made.now = 451
    plan = deploy(made.app, rule=rules.Every(3), begin=250, dry=True, store=tmp_path).as_dict() | change
    plan = {name: value for name, value in plan.items() if value is not None}
    with pytest.raises(AppError, match=said):
        deploy(made.app, plan=plan, store=tmp_path)


def test_deploy_and_rollback_as_a_person_meets_them(tmp_path):
    write(tmp_path)
    asked = ("--rule", "every 2", "--begin", "400", "--no-gate")
    refused = run("deploy", "app.py", *asked, cwd=tmp_path, code=2)
    assert "What would change: a new life would be opened; vintage" in " ".join(refused.stdout.split())
    assert "Say --yes" in refused.stderr
    assert "Run the same command without --dry-run" not in " ".join(refused.stdout.split())
    run("deploy", "app.py", *asked, "--dry-run", "--json", "plan.json", cwd=tmp_path)
    assert not list(tmp_path.glob(".mlwild/operate/*/ledger.jsonl"))
    done = run("deploy", "app.py", *asked, "--plan", "plan.json", cwd=tmp_path)
    assert "ticks done" in done.stdout
    assert "nothing is due" in run("deploy", "app.py", cwd=tmp_path).stdout
    before = len(ledger(tmp_path))
    shown = run("rollback", "app.py", "--dry-run", cwd=tmp_path).stdout
    assert "Nothing was written" in shown
    assert "gain by going back" in " ".join(shown.split())
    assert len(ledger(tmp_path)) == before
    back = run("rollback", "app.py", "--why", "odd answers", "--hold", "2", "--json", "back.json", cwd=tmp_path).stdout
    assert "The rule must keep it for 2 ticks" in back
    assert ledger(tmp_path)[-1].body["why"] == "rolled back by hand: odd answers"
    told = json.loads((tmp_path / "back.json").read_text())
    assert told["to"] == ledger(tmp_path)[-1].body["live"]
    assert "ok" in run("status", cwd=tmp_path).stdout


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--plan", "none.json"), "cannot be read"),
        (("--plan", "app.py"), "is no JSON"),
        (("--plan", "list.json"), "is no plan"),
    ],
)
def test_a_plan_that_cannot_be_read_is_one_sentence(more, said, tmp_path):
    write(tmp_path)
    (tmp_path / "list.json").write_text("[]")
    done = run("deploy", "app.py", *more, cwd=tmp_path, code=2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
