"""The command line: verbs, exit codes, one sentence for bad input and nothing written."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.serve.servers import Server

MLWILD = [sys.executable, "-m", "mlwild.cli"]

GOOD = """
import numpy as np, pandas as pd
import mlwild as wild

def events():
    rng = np.random.default_rng(0)
    x = rng.normal(size=600)
    when = np.arange(600)
    frame = pd.DataFrame({"when": when, "known": when + 5, "x": x, "y": x + rng.normal(size=600)})
    #MORE
    return frame

def train(X, y):
    slope = float((X["x"] * y).sum() / (X["x"] ** 2).sum())
    return lambda X: slope * X["x"].to_numpy()

app = wild.App(
    name="little", data=events, time="when", label="y", known_at="known", features=lambda rows: rows[["x"]],
    models={"line": train}, loss="squared", every=50, start=100,
    prices=wild.Prices(loss=1.0, retrain=10.0, unit="EUR"),
)
"""


def run(*arguments, cwd, code=0, **options):
    """Run the command line in a process of its own."""
    done = subprocess.run(
        [*MLWILD, *arguments], cwd=cwd, capture_output=True, text=True, timeout=120, check=False, **options
    )
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done


def write(folder, more=""):
    """Write the little app, with another line in its data function."""
    (folder / "app.py").write_text(GOOD.replace("#MORE", more))


def test_new_check_rehearse_card_follow_one_another(tmp_path):
    out = run("new", "shop.py", cwd=tmp_path).stdout
    assert "mlwild rehearse shop.py" in out
    assert "no check failed" in run("check", "shop.py", cwd=tmp_path).stdout
    done = run("rehearse", "shop.py", "--json", "shop.json", "--card", "shop.html", cwd=tmp_path)
    *_, made, coming, after = done.stdout.strip().splitlines()
    assert made == "Card: shop.html"
    assert coming.startswith("Next: mlwild gate shop.py")
    assert after.startswith("then mlwild operate shop.py --dry-run")
    sheet = json.loads((tmp_path / "shop.json").read_text())
    assert sheet["app"] == "shop"
    assert sheet["fits"]["made"] > 80
    run("card", "shop.py", "-o", "again.html", cwd=tmp_path)
    assert (tmp_path / "again.html").read_bytes() == (tmp_path / "shop.html").read_bytes()


def test_a_starter_goes_live_and_answers_requests_and_files(tmp_path):
    run("new", "shop.py", cwd=tmp_path)
    run("check", "shop.py", "--write-contract", cwd=tmp_path)
    assert "Live: vintage" in run("operate", "shop.py", "--rule", "break-even", cwd=tmp_path).stdout
    with Server(tmp_path / "shop.py") as server:
        assert server.one(price=40, quantity=2)["status"] == "normal"
    (tmp_path / "week.csv").write_text("ordered_at,price,quantity\n2025-12-31T09:00:00,40,2\n")
    assert "normal" in run("predict", "shop.py", "--input", "week.csv", "--output", "out.csv", cwd=tmp_path).stdout


@pytest.mark.slow
def test_a_starter_is_blocked_where_it_says_so(tmp_path):
    run("new", "shop.py", cwd=tmp_path)
    text = (tmp_path / "shop.py").read_text()
    assert 'put "all" first' in text
    (tmp_path / "shop.py").write_text(text.replace('["90D", "all"]', '["all", "90D"]'))
    assert "BLOCKED by 1 of" in run("gate", "shop.py", cwd=tmp_path, code=1).stdout


def test_without_prices_what_comes_next_is_a_command_that_works(tmp_path):
    (tmp_path / "app.py").write_text(re.sub(r"\n    prices=.*", "", GOOD))
    asked = ("operate", "app.py", "--dry-run", "--no-gate")
    fresh = run(*asked, cwd=tmp_path, code=2).stderr
    done = run("rehearse", "app.py", "--card", "card.html", cwd=tmp_path)
    _, _, coming = done.stdout.partition("\nthen ")
    said, _, command = " ".join(coming.split()).partition(": mlwild ")
    assert said == "name a rule, as none is recommended"
    words = shlex.split(command.partition(" (")[0])
    assert "plan of" in run(*words, "--no-gate", cwd=tmp_path).stdout
    refused = run(*asked, cwd=tmp_path, code=2).stderr
    assert "rule: the rehearsal of 'little' recommends none, since no prices are given" in refused
    for hint in (fresh, refused):
        assert hint.endswith(" --rule 'every 4'.\n")
    card = (tmp_path / "card.html").read_text()
    assert "No rule is recommended" in card
    assert "the rule recommended is" not in card


def test_a_second_run_makes_a_card_that_is_the_same_to_the_byte(tmp_path):
    write(tmp_path)
    run("rehearse", "app.py", "--card", "one.html", cwd=tmp_path)
    run("rehearse", "app.py", "--card", "two.html", "--store", "elsewhere", cwd=tmp_path)
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_help_has_examples_and_exit_codes(tmp_path):
    assert "Exit codes" in run("--help", cwd=tmp_path).stdout
    for verb in ("new", "check", "rehearse", "card"):
        assert f"Example: mlwild {verb}" in run(verb, "--help", cwd=tmp_path).stdout
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", run("--version", cwd=tmp_path).stdout)


def test_where_there_is_no_key_that_is_said(tmp_path):
    done = run("serve", "keys", "list", cwd=tmp_path)
    assert (done.stdout, "No key in .mlwild. Make one with mlwild serve keys add NAME." in done.stderr) == ("", True)


def test_no_colours_outside_a_terminal(tmp_path):
    write(tmp_path)
    assert "\x1b" not in run("rehearse", "app.py", cwd=tmp_path).stdout


def test_names_in_brackets_and_colons_are_shown_as_they_are(capsys):
    from rich.table import Table

    from mlwild.show.terminal import terminal

    table = Table("km [/h]")
    table.add_row('write extra = "allow" in [features]')
    terminal().print(table)
    terminal().print("Group length [bold] of a :cat: [/cm]: loss 0.5")
    out = capsys.readouterr().out
    for said in ("km [/h]", 'write extra = "allow" in [features]', "length [bold] of a :cat: [/cm]: loss"):
        assert said in out


def test_wrong_usage_exits_2(tmp_path):
    run("rehearse", "--nonsense", cwd=tmp_path, code=2)
    assert "there is no file 'none.py'" in run("rehearse", "none.py", cwd=tmp_path, code=2).stderr
    write(tmp_path)
    assert "there is no folder" in run("rehearse", "app.py", "--json", "no/x.json", cwd=tmp_path, code=2).stderr
    assert "is a folder" in run("rehearse", "app.py", "--card", ".", cwd=tmp_path, code=2).stderr
    assert "exists already" in run("new", "app.py", cwd=tmp_path, code=2).stderr
    assert "does not end in .py" in run("new", "app.txt", cwd=tmp_path, code=2).stderr
    assert "no rehearsal" in run("card", "app.py", cwd=tmp_path, code=2).stderr
    (tmp_path / "empty.py").write_text("x = 1\n")
    assert "makes no App" in run("rehearse", "empty.py", cwd=tmp_path, code=2).stderr
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "__pycache__") == ["app.py", "empty.py"]


def test_a_leak_exits_1_and_names_the_column(tmp_path):
    text = GOOD.replace('features=lambda rows: rows[["x"]]', 'features=lambda rows: rows[["x"]] - rows[["x"]].mean()')
    (tmp_path / "app.py").write_text(text)
    done = run("check", "app.py", "--json", "found.json", cwd=tmp_path, code=1)
    assert "feature 'x' knows the future" in " ".join(done.stdout.split())
    assert json.loads((tmp_path / "found.json").read_text())["passed"] is False


BAD = {
    "empty data": ("frame = frame[:0]", "data: the table has no row"),
    "no row with a label": ("frame['y'] = np.nan", "label: no row has a label"),
    "infinite label": ("frame.loc[3, 'y'] = np.inf", "label: column 'y' is infinite in row 3"),
    "time of strings": ("frame['when'] = frame['when'].astype(str)", "time: column 'when' holds text ('0')"),
    "mixed zones": (
        "frame['when'] = [pd.Timestamp('2024-01-01', tz='UTC' if i % 2 else 'Asia/Tokyo') for i in range(600)]",
        "time: column 'when' mixes time zones",
    ),
    "known before its time": (
        "frame.loc[7, 'known'] = 2",
        "known_at: 1 labels are known before their event, first in row 7",
    ),
    "a missing time": (
        "frame['when'] = frame['when'].astype('Int64'); frame.loc[5, 'when'] = pd.NA",
        "time: column 'when' is missing in 1 of 600 rows, first in row 5",
    ),
    "too few cutoffs": ("frame = frame[:180]", "every: only 1 whole periods between 0 and 179"),
    "a column gone": (
        "frame = frame.drop(columns='known')",
        "known_at: the table has no column 'known'. It has when, x, y",
    ),
    "not a table": ("frame = 3", "data: got int, which is not a table"),
    "text labels for a loss of numbers": (
        "frame['y'] = 'a'",
        "label: column 'y' holds 'a', and the loss 'squared' needs numbers",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_data_is_one_sentence_exit_4_and_nothing_written(tmp_path, case):
    more, said = BAD[case]
    write(tmp_path, more)
    done = run("rehearse", "app.py", "--json", "out.json", "--card", "out.html", cwd=tmp_path, code=4)
    assert said in done.stderr
    assert done.stderr.startswith("mlwild: ")
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert [path.name for path in tmp_path.iterdir() if path.name != "__pycache__"] == ["app.py"]


def test_duplicate_keys_are_named(tmp_path):
    text = GOOD.replace('label="y"', 'label="y", key="id"').replace("#MORE", "frame['id'] = frame['when'] // 2")
    (tmp_path / "app.py").write_text(text)
    said = run("rehearse", "app.py", cwd=tmp_path, code=4).stderr
    assert "key: id=0 occurs twice, in rows 0 and 1 (300 repeats in all)" in said


@pytest.mark.parametrize("words", [["check", "{}.py"], ["rehearse", "app.py", "--card", "{}.html"]])
def test_a_name_that_no_disk_takes_is_one_sentence(tmp_path, words):
    run("new", "app.py", cwd=tmp_path)
    done = run(*[word.format("a" * 300) for word in words], cwd=tmp_path, code=4)
    assert done.stderr.startswith("mlwild: '")
    assert done.stderr.endswith("aaa...' cannot be used: file name too long.\n")
    assert len(done.stderr.splitlines()) == 1


def test_the_users_own_error_comes_with_its_place(tmp_path):
    write(tmp_path, "raise KeyError('warehouse')")
    done = run("rehearse", "app.py", cwd=tmp_path, code=4)
    assert "KeyError: 'warehouse'" in done.stderr
    assert re.search(r"mlwild: app.py, line \d+, in events raised KeyError", done.stderr)


def test_every_prediction_nan_is_one_sentence(tmp_path):
    text = GOOD.replace("slope * X", "np.nan * X")
    (tmp_path / "app.py").write_text(text)
    done = run("rehearse", "app.py", cwd=tmp_path, code=4)
    assert "no vintage could be made at any cutoff. The first: 50 of 50 predictions are NaN" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_while_a_module_is_imported_is_no_fault_of_the_app(tmp_path):
    module = "try:\n    raise KeyboardInterrupt\nexcept KeyboardInterrupt as stop:\n    raise ImportError('failed') from stop\n"
    (tmp_path / "slow.py").write_text(module)
    (tmp_path / "app.py").write_text("import slow\n" + GOOD)
    done = run("check", "app.py", cwd=tmp_path, code=130)
    assert done.stderr.strip() == "Stopped. What was fitted is kept; run the same command to go on."


SLOW_MODEL = GOOD.replace("def train(X, y):", "def train(X, y):\n    import time; time.sleep(0.4)")
#: Says that it is at work, and is for as long as it is told to wait.
WAITING_MODEL = GOOD.replace(
    "def train(X, y):",
    "def train(X, y):\n    import time; from pathlib import Path; Path('works').touch()\n"
    "    while Path('wait').exists(): time.sleep(0.02)",
)


def _until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.02)
    pytest.fail("it did not come to pass")


def test_ctrl_c_keeps_what_was_fitted_and_says_how_to_go_on(tmp_path):
    (tmp_path / "app.py").write_text(SLOW_MODEL)
    process = subprocess.Popen(
        [*MLWILD, "rehearse", "app.py", "--jobs", "1", "--json", "out.json"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    memo = tmp_path / ".mlwild" / "memo"
    _until(lambda: len(list(memo.rglob("*.arrow.json"))) >= 2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "What was fitted is kept; run the same command to go on." in err
    assert "Traceback" not in err
    assert not (tmp_path / "out.json").exists()
    assert not list(memo.rglob(".part-*"))
    kept = len(list(memo.rglob("*.arrow.json")))
    run("rehearse", "app.py", "--jobs", "1", "--json", "out.json", cwd=tmp_path)
    fits = json.loads((tmp_path / "out.json").read_text())["fits"]
    assert fits == {"made": 10 - kept, "reused": kept}


def test_two_rehearsals_of_one_app_at_once_are_refused(tmp_path):
    (tmp_path / "app.py").write_text(WAITING_MODEL)
    (tmp_path / "wait").touch()
    first = subprocess.Popen([*MLWILD, "rehearse", "app.py", "--jobs", "1"], cwd=tmp_path, stdout=subprocess.DEVNULL)
    try:
        _until((tmp_path / "works").exists)
        said = run("rehearse", "app.py", "--json", "out.json", cwd=tmp_path, code=4).stderr
        assert f"process {first.pid} is rehearsing 'little'" in said
        assert not (tmp_path / "out.json").exists()
        (tmp_path / "wait").unlink()
        assert first.wait(timeout=60) == 0
    finally:
        first.kill()


def test_a_killed_rehearsal_leaves_no_lock(tmp_path):
    (tmp_path / "app.py").write_text(SLOW_MODEL)
    first = subprocess.Popen([*MLWILD, "rehearse", "app.py", "--jobs", "1"], cwd=tmp_path, stdout=subprocess.DEVNULL)
    _until(lambda: list((tmp_path / ".mlwild" / "memo").rglob("*.arrow.json")))
    first.kill()
    first.wait()
    run("rehearse", "app.py", cwd=tmp_path)


def test_a_full_disk_is_one_sentence_and_the_next_run_goes_on(tmp_path, monkeypatch, capsys):
    import typer

    from mlwild import disk
    from mlwild.cli.guarded import guarded
    from mlwild.cli.rehearsing import rehearse

    write(tmp_path)
    monkeypatch.chdir(tmp_path)
    real, written = os.fdopen, []

    class Full(io.RawIOBase):
        """A file on a disk that has become full."""

        def writable(self):
            return True

        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

    def fdopen(*arguments):
        written.append(1)
        if len(written) < 12:
            return real(*arguments)
        os.close(arguments[0])
        return Full()

    monkeypatch.setattr(disk.os, "fdopen", fdopen)
    with pytest.raises(typer.Exit) as stopped:
        guarded(rehearse)(Path("app.py"), json_file=Path("out.json"), jobs=1)
    assert stopped.value.exit_code == 4
    assert "is full. What was finished is kept" in capsys.readouterr().err
    assert not Path("out.json").exists()
    assert not list(tmp_path.rglob(".part-*"))
    monkeypatch.undo()
    sheet = tmp_path / "out.json"
    run("rehearse", "app.py", "--json", str(sheet), cwd=tmp_path)
    fits = json.loads(sheet.read_text())["fits"]
    assert fits["reused"] >= 1
    assert fits["made"] + fits["reused"] == 10


def test_every_verb_has_its_function():
    import mlwild as wild
    from mlwild import operating, serve, versions, web
    from mlwild.cli import cli

    verbs = {command.name or command.callback.__name__ for command in cli.registered_commands}
    # A waiver is a file that a person signs, and a schedule one for other programs: what writes them is a command alone.
    functions = {
        "new": wild.new,
        "check": wild.check,
        "rehearse": wild.rehearse,
        "compare": wild.compare,
        "gate": wild.judge,
        "stress": wild.stress,
        "patch": wild.patch,
        "drill": wild.drill,
        "predict": wild.predict,
        "card": wild.Rehearsal.card,
        "operate": wild.operate,
        "status": operating.status,
        "deploy": operating.deploy,
        "rollback": operating.rollback,
        "shadow": operating.challenge,
        "serve": serve.serve,
        "ui": web.serve,
        "history": versions.runs,
        "show": versions.run_of,
        "reproduce": versions.reproduce,
    }
    assert verbs == {*functions, "waive", "export"}
    assert all(map(callable, functions.values()))


def test_import_is_quick_because_it_imports_little():
    code = (
        "import sys, mlwild; print([m for m in ('numpy', 'pandas', 'sklearn', 'pyarrow', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_field_that_there_is_not_is_answered_with_the_nearest(tmp_path):
    (tmp_path / "app.py").write_text(GOOD.replace("every=50", "window=50, every=50"))
    said = run("rehearse", "app.py", cwd=tmp_path, code=2).stderr
    assert said == "mlwild: window: App has no such field. Did you mean 'windows'?\n"


def test_a_file_beside_the_app_does_not_stand_in_for_a_library(tmp_path):
    (tmp_path / "app.py").write_text(SLOW_MODEL)
    for name in ("glob", "random", "joblib"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('I am not the library')\n")
    # As a user calls it: `python -m` itself puts the folder first.
    command = [Path(sys.executable).with_name("mlwild"), "rehearse", "app.py", "--jobs", "2"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_what_is_written_can_be_read_by_others(tmp_path):
    write(tmp_path)
    run("rehearse", "app.py", "--json", "out.json", "--card", "out.html", cwd=tmp_path)
    modes = {(tmp_path / name).stat().st_mode & 0o777 for name in ("out.json", "out.html", "app.py")}
    assert len(modes) == 1


def test_check_fails_where_the_model_cannot_be_trained(tmp_path):
    text = GOOD.replace("slope = float", "raise ValueError('could not convert string'); slope = float")
    (tmp_path / "app.py").write_text(text)
    out = " ".join(run("check", "app.py", cwd=tmp_path, code=1).stdout.split())
    assert "'line' cannot be trained on" in out


def test_a_syntax_error_names_the_users_file_and_line(tmp_path):
    (tmp_path / "app.py").write_text("x = 1\ndef orders(:\n")
    done = run("check", "app.py", cwd=tmp_path, code=4)
    assert "mlwild: app.py, line 2, raised SyntaxError" in done.stderr
    assert "importlib" not in done.stderr
