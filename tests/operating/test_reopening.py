"""A new life that cannot begin ends none: what is live goes on until the first model of the next one is in place."""

from __future__ import annotations

from dataclasses import replace

import pytest

import mlwild as wild
from mlwild import rules
from mlwild.errors import AppError, DataError
from mlwild.ledger import Ledger
from mlwild.operating import rollback, status
from tests.operating.test_ticks import RULE, SHORT
from tests.operating.worlds import bodies, ledger_of, world

BLOCKED = "the gate blocks it: size red"


def begun(store):
    """Return a world with a life, and its app with other code."""
    made = world(**SHORT)
    made.now = 401
    wild.operate(made.app, rule=rules.Every(2), begin=250, store=store)
    made.now = 451
    return made, replace(made.app, min_rows=7)


def files(store):
    """Return what a server, an operator and the next tick rest on."""
    folder = store / "operate" / "small"
    return (folder / "ledger.jsonl").read_bytes(), (folder / "live.json").read_bytes()


def test_a_new_life_that_the_gate_blocks_ends_none(tmp_path):
    made, other = begun(tmp_path)
    before, live = files(tmp_path), status(tmp_path)[0].live
    with pytest.raises(DataError, match=rf"{BLOCKED}\. .*; vintage {live} stays live\. See: mlwild gate APP\.py"):
        wild.operate(other, rule=RULE, reopen=True, gate=lambda app, day: BLOCKED, store=tmp_path)
    assert files(tmp_path) == before
    told = status(tmp_path)[0]
    assert told.live == live
    assert told.alarm.startswith(f"it could not be operated: {BLOCKED}")
    assert rollback(made.app, dry=True, store=tmp_path).live == live
    asked = []
    done = wild.operate(made.app, gate=lambda app, day: asked.append(app) or "", store=tmp_path)
    assert [one.at for one in done.ticks] == ["450"]
    assert status(tmp_path)[0].alarm == ""


@pytest.mark.parametrize("part", ["judged", "scored", "promised", "published"])
def test_a_new_life_whose_first_tick_fails_anywhere_ends_none(part, tmp_path, monkeypatch):
    made, other = begun(tmp_path)
    before = files(tmp_path)

    def fails(*_):
        raise DataError("data: boom.")

    with monkeypatch.context() as broken:
        broken.setattr(f"mlwild.operating.tick.{part}", fails)
        with pytest.raises(DataError, match="boom"):
            wild.operate(other, rule=RULE, reopen=True, gate=lambda app, day: "", store=tmp_path)
    assert files(tmp_path) == before
    assert len(wild.operate(made.app, store=tmp_path).ticks) == 1


def test_the_gate_is_asked_once_for_what_a_new_life_begins_with(tmp_path):
    made, other = begun(tmp_path)
    made.now, asked = 501, []
    done = wild.operate(
        other,
        rule=rules.Every(1),
        begin=450,
        reopen=True,
        gate=lambda app, day: asked.append(day) or "",
        store=tmp_path,
    )
    assert [one.action for one in done.ticks] == ["start", "retrain"]
    assert len(asked) == 2


class Killed(BaseException):
    """What a process that is killed does: nothing more."""


@pytest.mark.parametrize("lines", [0, 1, 2, 3])
def test_killed_while_a_new_life_begins_one_life_goes_on(lines, tmp_path, monkeypatch):
    """So many lines of the first ones of the new life reach the disk."""
    made, other = begun(tmp_path)
    calm, _ = begun(tmp_path / "calm")
    whole, old = Ledger._write, bodies(ledger_of(made, tmp_path))

    def dies(self, data):
        whole(self, b"".join(data.splitlines(keepends=True)[:lines]))
        raise Killed

    with monkeypatch.context() as machine:
        machine.setattr(Ledger, "_write", dies)
        with pytest.raises(Killed):
            wild.operate(other, rule=RULE, reopen=True, store=tmp_path)
    if lines < 3:
        assert bodies(ledger_of(made, tmp_path)) == old
        assert status(tmp_path)[0].alarm == ""
        wild.operate(made.app, store=tmp_path)
        wild.operate(calm.app, store=tmp_path / "calm")
    else:  # the first decision is there: the new life has begun, and the next call finishes its tick
        assert [kind for kind, *_ in bodies(ledger_of(made, tmp_path))[len(old) :]] == ["opened", "observed", "decided"]
        wild.operate(other, store=tmp_path)
        wild.operate(replace(calm.app, min_rows=7), rule=RULE, reopen=True, store=tmp_path / "calm")
    assert bodies(ledger_of(made, tmp_path)) == bodies(ledger_of(calm, tmp_path / "calm"))


@pytest.mark.parametrize("how", ["deploy", "operate"])
def test_new_code_between_two_cutoffs_is_told_when_it_can_begin(how, tmp_path):
    made, other = begun(tmp_path)
    made.now = 449
    before, live = files(tmp_path), status(tmp_path)[0].live
    said = (
        r"^data: the life so far has done its tick at 400, and a new one begins at the next cutoff: run the same "
        rf"command when the data reach 450\. Vintage {live} stays live until then\.$"
    )
    words = {"reopen": True} if how == "operate" else {}
    with pytest.raises(DataError, match=said):
        getattr(wild.operating, how)(other, rule=RULE, store=tmp_path, **words)
    with pytest.raises(AppError, match=r"^begin: the life so far has done its tick at 400, .* Give 450 or later\.$"):
        getattr(wild.operating, how)(other, rule=RULE, begin=300, store=tmp_path, **words)
    with pytest.raises(AppError, match=r"Restore it, or open a new life with --reopen when the data reach 450\.$"):
        wild.operate(other, store=tmp_path)
    assert files(tmp_path) == before
    made.now = 451
    assert getattr(wild.operating, how)(other, rule=RULE, store=tmp_path, **words).ticks[0].at == "450"


@pytest.mark.parametrize(("every", "at"), [(25, 425), (100, 500), (75, 475)])
def test_a_new_life_of_another_cadence_begins_at_its_own_next_cutoff(every, at, tmp_path):
    """The last tick was at 400, which of the cutoffs of either life that is: they are counted by another measure."""
    made, _ = begun(tmp_path)
    other, before = replace(made.app, every=every), files(tmp_path)
    made.now = at - 1
    with pytest.raises(DataError, match=rf"when the data reach {at}\."):
        wild.operate(other, rule=RULE, reopen=True, store=tmp_path)
    with pytest.raises(AppError, match=rf"Give {at} or later\.$"):
        wild.operate(other, rule=RULE, reopen=True, begin=400, store=tmp_path)
    assert files(tmp_path) == before
    made.now = at + 1
    done = wild.operate(other, rule=RULE, reopen=True, begin=at, store=tmp_path)
    assert [one.at for one in done.ticks] == [str(at)]
    assert done.live == status(tmp_path)[0].live != ""
    assert wild.operate(other, store=tmp_path).ticks == ()


def test_a_new_life_begins_where_the_history_does_now(tmp_path):
    """Rows of the beginning are gone: there are fewer cutoffs than the life so far has done ticks."""
    made, other = begun(tmp_path)
    read = other.data
    cut = replace(other, data=lambda: (rows := read())[rows["when"] >= 100])
    with pytest.raises(DataError, match="the history begins elsewhere than before"):
        wild.operate(replace(made.app, data=cut.data), store=tmp_path)
    assert wild.operate(cut, rule=RULE, reopen=True, store=tmp_path).ticks[0].at == "450"
