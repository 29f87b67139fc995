"""What answers is changed while requests come: another vintage, a canary for a share, a shadow for none, keys."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import time
from collections import Counter

import pytest

import mlwild as wild
from mlwild.answering.bundle import KIND
from mlwild.answering.bundling import LATEST, bundle
from mlwild.errors import StoreError
from mlwild.rules import Every
from mlwild.serve import read_log
from mlwild.serve.keys import Keys
from mlwild.triangle.store import Store
from tests.serve.servers import Load, Server


def row(number=1, x=0.5):
    return {"id": number, "when": None, "x": x, "n": number % 7, "city": "rome", "vip": True, "day": None}


def folder_of(file):
    return file.parent / ".mlwild" / "operate" / "faulty"


def vintages(answers):
    return Counter(said["predictions"][0]["vintage"] for said in answers)


def test_another_vintage_is_put_in_place_without_a_failed_request(app_file):
    app = wild.load_app(app_file)
    store = app_file.parent / ".mlwild"
    # With time enough on a busy machine: every answer is to be the model's.
    with Server(app_file, "--deadline", "30") as server:
        before = server.get("/ready")[2]["vintage"]
        load = Load(server.port, clients=4)
        time.sleep(0.5)
        for at in ("2026-01-15", "2026-01-17"):
            wild.operate(app, at=at, store=store, jobs=1)
            live = json.loads((folder_of(app_file) / "live.json").read_text())["live"]
            assert live != before
            server.until(lambda live=live: server.get("/ready")[2]["vintage"] == live, 60)
            time.sleep(0.3)
        load.end()
        assert (load.broken, load.refused) == (0, [])
        seen = vintages(load.answers.values())
        assert len(seen) == 3
        assert sum(seen.values()) == len(load.answers)
        assert set(Counter(said["predictions"][0]["status"] for said in load.answers.values())) == {"normal"}
        for line in read_log(server.served):
            assert {one["vintage"] for one in line["answer"]["predictions"]} == {line["vintage"]}
        server.until(lambda: len(server.workers) == 2, 40)  # the old ones are gone


def test_callers_who_still_give_a_column_that_was_dropped_are_answered_and_told(app_file):
    code, store = app_file.read_text(), app_file.parent / ".mlwild"
    again = {"rule": Every(1), "reopen": True, "store": store, "jobs": 1}
    with Server(app_file) as server:
        assert server.ask({"rows": [row()]})[2].keys() == {"id", "predictions"}
        later = code.replace('"n": np.arange(N) % 7, ', "").replace('"day": day, ', '"weekday": day.day_of_week, ')
        app_file.write_text(later)
        wild.operate(wild.load_app(app_file), at="2026-01-15", **again)
        server.until(
            lambda: "weekday" in server.get("/openapi.json")[2]["components"]["schemas"]["Row"]["properties"], 60
        )
        new = {"id": 1, "when": None, "x": 0.5, "city": "rome", "vip": True, "weekday": 3}
        for path, body in {
            "/predict": {"rows": [new, new | {"n": "whatever"}, row()]},
            "/invocations": {"dataframe_records": [new, new | {"n": "whatever"}, row()]},
        }.items():
            code_, _, said = server.ask(body, path=path)
            assert code_ == 200, said
            assert said["ignored"] == ["n", "day"]
            answers = said["predictions"] if path == "/predict" else said["statuses"]
            assert [one["status"] for one in answers] == ["normal", "normal", "degraded"]
            assert answers[2]["cause"] == "absent: weekday"
        assert said["predictions"][0] == said["predictions"][1]
        assert "ignored" not in server.ask({"rows": [new]})[2]
        assert server.ask({"rows": [{"n": 3}]})[0] == 422
        assert server.ask({"rows": [new | {"m": 3}]})[0] == 422
        assert server.ask({"instances": [list(new.values())]}, path="/invocations")[0] == 200
        told = [line["answer"].get("ignored") for line in read_log(server.served)]
        assert told == [None, ["n", "day"], ["n", "day"], None, None]
        figures = server.get("/metrics")[2]
        assert 'mlwild_ignored_rows_total{field="n"} 4.0' in figures
        assert 'mlwild_ignored_rows_total{field="day"} 2.0' in figures
        properties = server.get("/openapi.json")[2]["components"]["schemas"]["Row"]["properties"]
        assert properties["n"]["deprecated"]
        # The code of before is brought back: who gives what is newer than it is answered too.
        app_file.write_text(code)
        wild.operate(wild.load_app(app_file), at="2026-01-17", **again)
        server.until(
            lambda: (
                "deprecated" not in server.get("/openapi.json")[2]["components"]["schemas"]["Row"]["properties"]["n"]
            ),
            60,
        )
        _, _, said = server.ask({"rows": [row() | {"weekday": 3}]})
        assert said["ignored"] == ["weekday"]
        assert said["predictions"][0]["status"] == "normal"


def test_what_cannot_be_loaded_is_not_put_in_place(app_file):
    path = folder_of(app_file) / "live.json"
    with Server(app_file) as server:
        before = server.one(**row())["vintage"]
        body = json.loads(path.read_text())
        for said in (b"{", json.dumps(body | {"digest": "0" * 64, "at": "later"}).encode()):
            path.write_bytes(said)
            server.until(lambda: server.get("/ready")[2]["troubled"])
            assert server.one(**row())["vintage"] == before
        assert "cannot be" in server.errors.read_text()
        path.write_text(json.dumps(body | {"at": "still later"}))
        server.until(lambda: not server.get("/ready")[2]["troubled"], 60)


@pytest.mark.parametrize("recent", [2, LATEST + 2])
def test_bundles_of_earlier_ticks_go_and_those_that_are_used_stay(app_file, recent):
    store, day = Store(folder_of(app_file)), 86_400.0
    for key, kind in list(store.entries()):
        if kind == KIND:  # those of other tests, where the app was copied from
            store.drop(key, kind)
    first = bundle(app_file)[1]
    for number in range(20):  # some of them used within the last day
        key = f"{number:02d}left"
        store.put(key, KIND, lambda file: file.write(b"a bundle, and side tables with it"))
        since = time.time() - (number / 40 if number < recent else number) * day
        os.utime(store.payload(key, KIND), (since, since))
    old = time.time() - 30 * day
    os.utime(store.payload(first, KIND), (old, old))
    assert bundle(app_file)[1] == first  # it is used, though nothing is made
    path = folder_of(app_file) / "live.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"at": "later"}))
    made = bundle(app_file)[1]
    left = {key for key, kind in store.entries() if kind == KIND}
    assert left == {made, first, *(f"{number:02d}left" for number in range(max(LATEST - 2, recent)))}


def challenged(file, share):
    """Put another model of the app beside the champion."""
    app = wild.load_app(file)
    wild.operating.challenge(app, "flat", share=share, store=file.parent / ".mlwild")


def test_a_canary_answers_its_share_and_always_the_same_events(app_file):
    challenged(app_file, 0.3)
    with Server(app_file) as server:
        assert server.get("/ready")[2]["arms"].keys() == {"champion", "canary"}
        _, _, said = server.ask({"rows": [row(number) for number in range(400)]})
        arms = [one["arm"] for one in said["predictions"]]
        assert 80 < arms.count("canary") < 160  # 120 of 400 expected, six standard deviations
        for one in said["predictions"]:
            assert (one["vintage"] == "flat 4") == (one["arm"] == "canary")
        again = [one["arm"] for one in server.ask({"rows": [row(number) for number in range(400)]})[2]["predictions"]]
        assert arms == again
        last = list(read_log(server.served))[-1]
        assert [one["arm"] for one in last["rows"]] == again
        assert 'arm="canary"' in server.get("/metrics")[2]
        # It is taken out at once: the champion stays as it is, and nothing is bundled for that.
        workers, bundles = server.workers, set(folder_of(app_file).rglob("*.bundle"))
        path = folder_of(app_file) / "live.json"
        path.write_text(
            json.dumps({name: said for name, said in json.loads(path.read_text()).items() if name != "canary"})
        )
        server.until(lambda: server.get("/ready")[2]["arms"].keys() == {"champion"}, 5)
        _, _, said = server.ask({"rows": [row(number) for number in range(400)]})
        assert {one["arm"] for one in said["predictions"]} == {"champion"}
        server.until(lambda: len(server.workers) == 2, 5)
        assert set(server.workers) < set(workers)
        assert set(folder_of(app_file).rglob("*.bundle")) == bundles != set()


def test_a_shadow_answers_nobody_and_is_logged(app_file):
    challenged(app_file, 0)
    with Server(app_file) as server:
        for number in range(20):
            one = server.one(**row(number))
            assert (one["arm"], one["vintage"]) == ("champion", "4")
        server.until(lambda: sum(line["rows"][0]["arm"] == "shadow" for line in read_log(server.served)) == 20)


@pytest.mark.slow
def test_a_canary_that_cannot_be_loaded_leaves_all_to_the_champion(app_file):
    challenged(app_file, 0.5)
    path = folder_of(app_file) / "live.json"
    body = json.loads(path.read_text())
    body["canary"]["digest"] = "0" * 64
    path.write_text(json.dumps(body))
    with Server(app_file) as server:
        assert server.get("/ready")[2]["arms"].keys() == {"champion"}
        assert {server.one(**row(number))["arm"] for number in range(20)} == {"champion"}
        assert "canary cannot be started" in server.errors.read_text()


def said_by(folder, *words):
    made = subprocess.run(
        [sys.executable, "-m", "mlwild.cli", "serve", *words], cwd=folder, capture_output=True, text=True, check=False
    )
    return made.returncode, made.stdout, made.stderr


def keyed(file, *words):
    return said_by(file.parent, "keys", *words)


def test_who_comes_from_elsewhere_needs_a_key(app_file):
    with Server(app_file, "--host", "0.0.0.0", wait=False) as server:
        assert server.process.wait(60) == 2
        assert "mlwild serve keys add NAME" in server.errors.read_text()
    code, out, _ = keyed(app_file, "add", "till")
    secret = out.split()[0]
    assert code == 0
    path = app_file.parent / ".mlwild" / "serve-keys.json"
    assert secret not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with Server(app_file, "--host", "0.0.0.0") as server:
        good = {"Authorization": f"Bearer {secret}"}
        assert server.ask({"rows": [row()]}, headers=good)[0] == 200
        assert server.ask({"rows": [row()]}, headers={"X-Api-Key": secret})[0] == 200
        for bad in ({}, {"Authorization": "Bearer x"}, {"Authorization": f"Basic {secret}"}, {"X-Api-Key": "\u00e9"}):
            code, _, said = server.ask({"rows": [row()]}, headers=bad)
            assert (code, said) == (401, {"error": "The key is absent, wrong or revoked."})
        assert server.get("/metrics")[0] == 401
        assert server.get("/health")[0] == 200
        assert keyed(app_file, "revoke", "till")[0] == 0
        server.until(lambda: server.ask({"rows": [row()]}, headers=good)[0] == 401, 5)


def test_who_starts_a_server_from_another_folder_is_told_where_it_reads_its_keys(app_file, tmp_path):
    code, _, said = said_by(tmp_path, f"app/{app_file.name}", "--host", "0.0.0.0", "--port", "0")
    assert code == 2
    command = re.search(r"Make it with mlwild serve (keys add NAME --store .+)\.", said.replace("\n", " "))
    assert command, said
    code, _, said = said_by(tmp_path, *shlex.split(command[1].replace("NAME", "till")))
    assert code == 0, said
    assert (app_file.parent / ".mlwild" / "serve-keys.json").exists()
    assert not (tmp_path / ".mlwild").exists()


def test_a_key_that_was_revoked_does_not_come_back_with_a_power_cut(tmp_path, monkeypatch):
    keys = Keys(tmp_path / "keys.json")
    keys.add("till")
    real, synced = os.fsync, []
    monkeypatch.setattr(
        os, "fsync", lambda file: (synced.append(os.path.realpath(f"/proc/self/fd/{file}")), real(file))
    )
    keys.revoke("till")
    assert synced == [str(tmp_path / "keys.part"), str(tmp_path)]  # the file, then that it stands in the other's place


@pytest.mark.parametrize(
    "damaged",
    [
        *("{", "[]", '{"keys": [{"name": "till"}]}', "\u00e9", "0" * 63, "0" * 63 + "A", 7),
        pytest.param("[" * 100_000, id="nested too deep"),
    ],
    ids=str,
)
def test_keys_that_are_damaged_are_told_and_not_compared(tmp_path, damaged):
    path = tmp_path / "keys.json"
    key = {"name": "till", "sha256": damaged, "made": "2026-01-01"}
    path.write_text(damaged if str(damaged)[0] in "{[" else json.dumps({"keys": [key]}, ensure_ascii=False))
    with pytest.raises(StoreError, match="Restore it, or remove it and make new keys"):
        Keys(path).all()


@pytest.mark.parametrize(
    ("words", "said"),
    [(("add", "a b"), "1 to 64"), (("revoke", "nobody"), "there is no key"), (("make",), "say add NAME")],
)
def test_wrong_words_about_keys_are_one_sentence(app_file, words, said):
    code, out, err = keyed(app_file, *words)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


def test_an_app_that_is_not_in_operation_is_not_served(app_file):
    shutil.rmtree(app_file.parent / ".mlwild")
    with Server(app_file, wait=False) as server:
        assert server.process.wait(60) == 2
        assert "mlwild deploy or mlwild operate" in server.errors.read_text()
        assert not (app_file.parent / ".mlwild").exists()
