"""The drill of a running server: what it finds, and that it finds what is wrong."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from math import nan
from pathlib import Path

import pytest
from typer.testing import CliRunner

import mlwild as wild
from mlwild.card import server_drill_html
from mlwild.cli import cli
from mlwild.columns import Column, Columns
from mlwild.drilling import ServedCell, ServedDrill
from mlwild.serve.drill import drill_server, driller, faults, nonsense
from mlwild.serve.drill.faults import TROUBLES, Trouble
from mlwild.serve.drill.rows import Rows
from mlwild.serve.log import segments
from mlwild.serve.requests import Reader, RefusedError


def _forget(scene):
    """Take the last whole lines out of the log, as a disk that forgets."""
    path = segments(scene.log)[-1]
    lines = path.read_bytes().splitlines(keepends=True)
    with path.open("rb+") as file:
        file.truncate(sum(len(line) for line in lines[:-3]))


def _repeat(scene):
    path = segments(scene.log)[-1]
    lines = path.read_bytes().splitlines(keepends=True)
    with path.open("ab") as file:
        file.write(lines[-2])


def _named(*names):
    return [next(one for one in TROUBLES if one.name.startswith(name)) for name in names]


def test_a_drill_tells_a_log_that_forgets_and_one_that_doubles_from_faults_that_do_no_harm(
    app_file, tmp_path, monkeypatch
):
    wrong = [Trouble("log forgets", "", _forget), Trouble("log doubles", "", _repeat)]
    right = _named(
        "requests doubled, same", "nonsense", "times two days", "live.json nonsense", "clock jumps two days back"
    )
    monkeypatch.setattr(driller, "TROUBLES", (*wrong, *right))
    monkeypatch.setattr(driller, "STEADY", 0.2)
    before = {path: path.read_bytes() for path in app_file.parent.rglob("*") if path.is_file()}
    out = tmp_path / "found.json"
    command = ["drill", str(app_file), "--server", "--seconds", "0.5", "--json", str(out), "--card"]
    done = CliRunner().invoke(cli, [*command, str(tmp_path / "drill.html")])
    assert done.exit_code == 1, done.output
    found = json.loads(out.read_text())
    cells = {cell["fault"]: cell for cell in found["cells"]}
    assert set(cells) == {one.name for one in (*wrong, *right)}
    # Lines are taken out of the log soon after they were acknowledged: before the fault or while it lasts.
    assert sum(cell["lost"] for cell in (*cells.values(), found["clean"])) >= 3
    assert sum(cell["doubled"] for cell in (*cells.values(), found["clean"])) >= 1
    assert found["failed"]
    for name in (one.name for one in right):
        assert cells[name]["fails"] == []
        assert cells[name]["available"] == 1.0
        assert cells[name]["recovered"] < 30
    assert cells["nonsense beside good requests"]["wrong"] > 10
    assert cells["times two days ahead"]["wrong"] > 5
    assert found["clean"]["asked"] > 10
    html = (tmp_path / "drill.html").read_text()
    assert html == server_drill_html(found)
    assert "faults that the server does not come through" in html
    assert "http" not in html.replace("http-equiv", "")
    after = {path: path.read_bytes() for path in app_file.parent.rglob("*") if path.is_file()}
    assert {path for path in after if after[path] != before.get(path) and "__pycache__" not in str(path)} == set()


def test_where_a_shadow_runs_beside_faults_befall_the_champion_and_its_answers_are_logged_once(app_file, monkeypatch):
    wild.operating.challenge(wild.load_app(app_file), "flat", store=app_file.parent / ".mlwild")
    monkeypatch.setattr(driller, "TROUBLES", _named("workers killed, both"))
    monkeypatch.setattr(driller, "STEADY", 0.2)
    monkeypatch.setattr(driller.pair, "STEADY", 0.0)
    killed, real = [], faults.signalled

    def kill(pid, number):
        killed.append(json.loads(Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[-2])["key"])
        real(pid, number)

    monkeypatch.setattr(faults, "signalled", kill)
    found = drill_server(app_file, seconds=0.5)
    assert found.failed == ()
    assert found.clean.asked > 10
    assert len(killed) == 2
    assert len(set(killed)) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=lambda one: one.name)
def test_a_drill_that_is_ended_leaves_no_process_and_no_file(app_file, tmp_path, number):
    place = tmp_path / "place"
    place.mkdir()
    command = [sys.executable, "-m", "mlwild.cli", "drill", app_file.name, "--server"]
    with subprocess.Popen(
        command, cwd=app_file.parent, env=os.environ | {"TMPDIR": str(place)}, stderr=subprocess.PIPE, text=True
    ) as drill:
        assert drill.stderr.readline() == "  none\n"
        assert _run_there(place)
        drill.send_signal(number)
        drill.stderr.read()
    assert drill.returncode == (-number if number == signal.SIGKILL else 130)
    until = time.monotonic() + 10
    while _run_there(place) and time.monotonic() < until:
        time.sleep(0.05)
    assert _run_there(place) == []
    assert number == signal.SIGKILL or list(place.iterdir()) == []


def _run_there(place):
    """Return the commands of all processes that work in a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_bytes())
    return [one for one in found if str(place).encode() in one]


@pytest.mark.parametrize("name", ["rows", "x"])
def test_no_nonsense_is_a_request_whatever_columns_are_called(name):
    time_, column = Column("when", "integer", 0, 9), Column(name, "text")
    reader = Reader(Columns((time_, column), (), "when", None), 50, lambda: None)
    dated = Reader(Columns((Column("when", "time", zoned=True), column), (), "when", None), 50, lambda: 0)
    some = nonsense.bodies(Rows([{name: "a"}], [0], time_, lambda: None), random.Random(0))
    for _ in range(700):
        body = next(some)
        for one in (reader, dated):
            with pytest.raises(RefusedError):
                one.predict(body, None)


def test_worst_comes_first_and_what_may_not_be_is_named():
    def cell(fault, **more):
        given = {
            "what": "", "asked": 10, "answered": 10, "turned": 0, "away": 0, "silent": 0, "rows": {"normal": 10}, "causes": {},
            "slowest": 5.0, "late": 0, "detected": nan, "recovered": 0.0, "lost": 0, "doubled": 0, "wrong": 0,
            "unsound": 0, "memory": (1.0, 1.0),
        }  # fmt: skip
        return ServedCell(fault, **(given | more))

    cells = [
        cell("fine"),
        cell("fallback", rows={"normal": 5, "fallback": 5}),
        cell("turned away", answered=4, turned=6),
        cell("late", late=1),
        cell("not back", recovered=nan),
        cell("silent", answered=9, silent=1),
        cell("lost", lost=1),
    ]
    ordered = sorted(cells, key=lambda one: one.badness, reverse=True)
    assert [one.fault for one in ordered] == [one.fault for one in reversed(cells)]
    failing = [one.fault for one in cells if one.fails]
    assert failing == ["not back", "silent", "lost"]
    found = ServedDrill("app", "1", 0.5, 1.0, tuple(ordered), cell("none"), 4, (), ())
    assert [said.partition(":")[0] for said in found.failed] == ["lost", "silent", "not back"]
    json.dumps(found.as_dict(), allow_nan=False)
    assert "does not come through" in server_drill_html(found.as_dict())
    fine = ServedDrill("app", "1", 0.5, 1.0, (cell("fine"),), cell("none"), 4, (), ())
    assert fine.failed == ()
    assert "came back by itself" in server_drill_html(fine.as_dict())


def test_an_app_that_is_not_in_operation_cannot_be_drilled(app_file, tmp_path):
    done = CliRunner().invoke(cli, ["drill", str(app_file), "--server", "--store", str(tmp_path / "none")])
    assert done.exit_code == 2
    assert f"not in operation in {tmp_path / 'none'}" in " ".join(done.output.split())
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_the_server_comes_through_every_fault(app_file):
    found = drill_server(app_file, seconds=3.0)
    assert found.failed == ()
    assert found.skipped == ()
    assert {cell.fault for cell in found.cells} == {one.name for one in TROUBLES}
    told = {cell.fault: cell for cell in found.cells}
    for cell in found.cells:
        assert cell.answered + cell.turned + cell.away == cell.asked
        if not cell.away and cell.fault != "disk full":
            assert cell.available == 1.0
    assert told["disk full"].turned > 0
    assert told["model file damaged"].rows.keys() == {"normal"}
    assert told["workers killed, both"].rows["fallback"] > 0
    assert "no worker is ready" in told["workers killed, both"].causes
    assert told["workers hang, both"].slowest < 2000
    assert Path(app_file).parent.joinpath(".mlwild/operate/faulty/served").exists() is False
