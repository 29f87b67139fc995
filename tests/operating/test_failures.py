"""A tick is never green if any part of it failed: whatever fails, however, is told, and the next run finishes the tick."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import mlwild as wild
from mlwild import rules
from mlwild.cli import cli
from mlwild.errors import StoreError
from mlwild.operating import status
from mlwild.operating.driver import Operation
from mlwild.records import Keep, Retrain
from mlwild.rules.view import Decision
from tests.operating.worlds import bodies, ledger_of, world
from tests.support import Line, columns
from tests.test_cli import GOOD

#: How code of a user's fails: it raises, it leaves, it is interrupted, it runs out of memory, the disk or network does.
KINDS = [ValueError("boom"), SystemExit(0), KeyboardInterrupt(), MemoryError("no room"), OSError(errno.ENOSPC, "full")]
QUIET = {"n": 600}
FIRST, LATER = 401, 501


def fails(part):
    """Fail if this part is to fail; what is to is told by the machine, since code and its data are the app's."""
    broken, _, kind = os.environ.get("BROKEN", "").partition(" ")
    if broken == part:
        raise next(one for one in KINDS if type(one).__name__ == kind)


class Data:
    """A history that cannot be read when it is to fail."""

    def __init__(self, made):
        self.made = made

    def __call__(self):
        fails("data")
        return self.made.read()


def features(rows):
    fails("features")
    return columns(rows)


class Model(Line):
    def fit(self, X, y):
        fails("fit")
        return super().fit(X, y)

    def predict(self, X):
        fails("predict")
        return super().predict(X)


class Rule:
    """A rule that retrains at cutoffs 5 and 7 and looks at a challenger at each."""

    name = "looks"

    def decide(self, view, memory):
        fails("rule")
        view.staleness()
        return Decision(Retrain() if view.cutoff in (5, 7) else Keep())


def gate(app, today):
    fails("gate")
    return ""


class Registrar:
    """Something that is told what goes live."""

    def champion(self, app, vintage, noted, model):
        fails("registry")
        return {"run": "", "version": 1}

    def challenger(self, app, vintage, noted, model):
        return {"run": "", "version": 1}

    def knows(self, app, version):
        """Nothing is ever forgotten."""
        return True

    def no_challenger(self, app):
        """Take note."""


def little(**fields):
    made = world(**QUIET, **fields)
    made.app = wild.App(**{**vars(made.app), "data": Data(made), "features": features, "models": {"line": Model()}})
    return made


def tick(made, store, moment, **words):
    made.now = moment
    return wild.operate(made.app, store=store, gate=gate, registrar=Registrar(), **words)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The ledger of a life in which nothing failed."""
    made, store = little(), tmp_path_factory.mktemp("whole")
    tick(made, store, LATER, rule=Rule(), begin=250)
    return bodies(ledger_of(made, store))


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """The store of a life that has gone well so far."""
    store = tmp_path_factory.mktemp("begun")
    tick(little(), store, FIRST, rule=Rule(), begin=250)
    return store


@pytest.fixture
def going(begun, tmp_path):
    """A life that has gone well so far, in a folder of its own."""
    shutil.copytree(begun, tmp_path, dirs_exist_ok=True)
    assert status(tmp_path)[0].alarm == ""
    return little()


PARTS = {"data": "", "features": "observed", "rule": "decided", "gate": "decided", "registry": "registered"}


#: The first three always, the others in the slow run.
EACH = [
    pytest.param(one, id=type(one).__name__, marks=() if place < 3 else pytest.mark.slow)
    for place, one in enumerate(KINDS)
]


@pytest.mark.parametrize("kind", EACH)
@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_fails_is_told_and_the_next_run_finishes_the_tick(part, kind, going, whole, tmp_path, monkeypatch):
    before = (tmp_path / "operate" / "small" / "live.json").read_bytes()
    monkeypatch.setenv("BROKEN", f"{part} {type(kind).__name__}")
    for _ in range(2):
        with pytest.raises(type(kind)):
            tick(going, tmp_path, LATER)
    said, last = status(tmp_path)[0].alarm, ledger_of(going, tmp_path).facts[-1]
    interrupted = isinstance(kind, KeyboardInterrupt)
    if part == "data":  # the tick has not begun
        assert last.kind == "ticked"
        assert interrupted or ("could not be operated" in said and str(kind) in said)
    elif interrupted:
        assert "is not finished: run mlwild operate again" in said or part == "features"
    else:
        assert last.kind == "failed"
        assert last.body["part"] == PARTS[part]
        assert said.startswith("the tick at 450 failed")
        assert type(kind).__name__ in said
    if part != "registry":
        assert (tmp_path / "operate" / "small" / "live.json").read_bytes() == before
    monkeypatch.delenv("BROKEN")
    assert isinstance(tick(going, tmp_path, LATER), Operation)
    assert bodies(ledger_of(going, tmp_path)) == whole
    assert status(tmp_path)[0].alarm == ""


@pytest.mark.parametrize(
    ("part", "said"), [("features", "the tick at 450 failed (observed) in"), ("data", "it could not be operated:")]
)
def test_the_alarm_says_where_in_the_users_code_and_at_which_tick(part, said, going, tmp_path, monkeypatch):
    monkeypatch.setenv("BROKEN", f"{part} ValueError")
    with pytest.raises(ValueError, match="boom"):
        tick(going, tmp_path, LATER)
    line = next(n for n, text in enumerate(Path(__file__).read_text().splitlines(), 1) if "raise next(" in text)
    told = status(tmp_path)[0].alarm
    assert told.startswith(f"{said} test_failures.py, line {line}, in fails")
    assert told.endswith("ValueError: boom")
    page = " ".join((tmp_path / "operate" / "small" / "card.html").read_text().split())
    assert f"test_failures.py, line {line}, in fails" in page


@pytest.mark.parametrize("kind", EACH)
@pytest.mark.parametrize("part", ["fit", "predict"])
def test_a_model_that_cannot_be_made_or_gives_no_answer_is_an_alarm(part, kind, going, tmp_path, monkeypatch):
    """Models may fail while others live: that is no failed tick but it is not green either."""
    monkeypatch.setenv("BROKEN", f"{part} {type(kind).__name__}")
    if isinstance(kind, KeyboardInterrupt | MemoryError):  # not the model's fault: the tick is done again
        with pytest.raises(type(kind)):
            tick(going, tmp_path, LATER)
        assert "the tick at 450" in status(tmp_path)[0].alarm or isinstance(kind, KeyboardInterrupt)
        return
    found = tick(going, tmp_path, LATER)
    assert [at for at, _ in found.alarms] == ["450", "500"]
    assert status(tmp_path)[0].alarm
    first = found.ticks[0]
    if part == "fit":
        assert first.action == "refused"
        assert "vintage 7 could not be made" in first.alarm
        assert type(kind).__name__ in first.alarm
    else:
        assert "gave no answer to 50 of 50 rows" in first.facts["scored"]["alarm"]


def test_a_challenger_that_cannot_be_made_is_an_alarm_though_the_rule_keeps(tmp_path, monkeypatch):
    """A rule that compares with what is fresh would go on with older ones, and never retrain."""
    going, store = little(prices=wild.Prices(loss=1.0, retrain=1e6)), tmp_path
    tick(going, store, FIRST, rule=rules.BreakEven(), begin=250)
    monkeypatch.setenv("BROKEN", "fit ValueError")
    found = tick(going, store, LATER)
    assert [one.action for one in found.ticks] == ["keep", "keep"]
    assert [one.facts["decided"]["failed"] for one in found.ticks] == [
        {"6": "ValueError: boom"},
        {"7": "ValueError: boom"},
    ]
    assert "vintage 6 could not be made: ValueError: boom" in found.alarms[0][1]
    assert "vintage 7 could not be made" in status(store)[0].alarm


class Disk:
    """A disk that is full at one write, or from one write on."""

    def __init__(self, monkeypatch, folder, *, lasting):
        self.left, self.lasting, self.full = -1, lasting, 0
        self.folder = str(folder)
        write, opened = os.write, os.fdopen

        def writes(handle, data):
            self.asked(handle)
            return write(handle, data)

        def opens(handle, mode="r", *args, **words):
            if "w" in mode:
                try:
                    self.asked(handle)
                except OSError:
                    os.close(handle)
                    raise
            return opened(handle, mode, *args, **words)

        monkeypatch.setattr(os, "write", writes)
        monkeypatch.setattr(os, "fdopen", opens)

    def run(self, made, store, number, said):
        """Operate with so many writes left; say whether it got through, and note what it said if not."""
        self.left, self.full = number, 0
        try:
            tick(made, store, LATER)
        except StoreError as problem:
            said.append(str(problem))
            assert self.full
            return False
        finally:
            self.left, self.full = -1, 0
        return True

    def asked(self, handle):
        """Count a write below the folder, and refuse it if the disk is full then."""
        if self.left < 0 or not str(Path(f"/proc/self/fd/{handle}").readlink()).startswith(self.folder):
            return
        self.left -= 1
        if self.left < 0 or (self.lasting and self.full):
            self.full += 1
            self.left = 0 if self.lasting else -1
            raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("lasting", [False, True], ids=["at one write", "from one write on"])
def test_a_disk_that_fills_up_again_and_again_loses_and_doubles_nothing(lasting, going, whole, tmp_path, monkeypatch):
    """It is full at the first write of a run, then at the second of the next run, until a run gets through."""
    disk, said = Disk(monkeypatch, tmp_path, lasting=lasting), []
    for number in range(500):
        if disk.run(going, tmp_path, number, said):
            break
        assert lasting or status(tmp_path)[0].alarm
    assert len(said) >= 10
    assert all("is full. What was finished is kept" in one for one in said)
    assert bodies(ledger_of(going, tmp_path)) == whole
    assert status(tmp_path)[0].alarm == ""


@pytest.mark.slow
@pytest.mark.parametrize("lasting", [False, True], ids=["at one write", "from one write on"])
def test_a_disk_that_is_full_at_any_one_write_loses_and_doubles_nothing(lasting, begun, whole, tmp_path, monkeypatch):
    said = []
    for number in range(500):
        store, made = tmp_path / str(number), little()
        shutil.copytree(begun, store)
        with monkeypatch.context() as patch:
            if Disk(patch, store, lasting=lasting).run(made, store, number, said):
                break
        tick(made, store, LATER)
        assert bodies(ledger_of(made, store)) == whole
        assert status(store)[0].alarm == ""
    assert len(said) == number >= 25


BREAKS = """import os, sys
    broken = os.environ.get("BROKEN", "")
    if broken == "raise": raise ValueError("boom")
    if broken == "exit": sys.exit(0)
    if broken == "stop": raise KeyboardInterrupt
    frame = frame[frame["when"] < int(os.environ["NOW"])]"""


@pytest.mark.parametrize(("kind", "code"), [("raise", 4), ("exit", 4), ("stop", 130)])
def test_the_exit_code_is_not_that_of_success(kind, code, tmp_path, monkeypatch):
    (tmp_path / "app.py").write_text(GOOD.replace("#MORE", BREAKS))
    monkeypatch.chdir(tmp_path)
    asked = ["operate", "app.py", "--no-gate", "--no-record"]
    monkeypatch.setenv("NOW", "460")
    assert CliRunner().invoke(cli, [*asked, "--rule", "every 2", "--begin", "400"]).exit_code == 0
    monkeypatch.setenv("BROKEN", kind)
    done = CliRunner().invoke(cli, asked)
    assert done.exit_code == code
    assert {"raise": "ValueError: boom", "exit": "raised SystemExit: 0", "stop": "Stopped"}[kind] in done.stderr
    assert CliRunner().invoke(cli, ["status"]).exit_code == (0 if kind == "stop" else 1)
    monkeypatch.delenv("BROKEN")
    assert CliRunner().invoke(cli, asked).exit_code == 0
    assert CliRunner().invoke(cli, ["status"]).exit_code == 0
