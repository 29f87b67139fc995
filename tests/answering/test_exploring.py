"""An app that explores in fallback: what is drawn stands in files, on the wire and in the log, with its chance."""

from __future__ import annotations

import json
import socket
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import threadpoolctl

import mlwild as wild
from mlwild.answering import bundle, service_of
from mlwild.answering.batch import asked, run
from mlwild.answering.bundle import load_bundle
from mlwild.exporting import save_pyfunc
from mlwild.rules import Every
from mlwild.serve import worker
from mlwild.serve.answers import Writer
from mlwild.serve.requests import Asked
from mlwild.serve.tickets import reply_of
from mlwild.serve.worker import packable

pyfunc = pytest.importorskip("mlflow.pyfunc")

APP = """
import numpy as np, pandas as pd
import mlwild as wild
from sklearn.linear_model import LinearRegression

def rows(seed=0, n=900):
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, n))
    return pd.DataFrame({"hour": np.arange(n), "x": x, "z": z, "y": x + z + 0.1 * rng.normal(size=n)})

def features(frame):
    if (frame["z"] == 0.75).any():
        raise ValueError("secret")
    return frame[["x", "z"]]

app = wild.App(
    name="explorer", data=rows, time="hour", label="y", delay=5, features=features, loss="absolute", every=100,
    start=300, models={"line": LinearRegression()}, prices=wild.Prices(loss=1.0, retrain=0.0),
    guard=wild.Guard(explore=wild.Explore(0.5, values=(-1.0, 1.0))),
)
"""


@pytest.fixture(scope="module")
def explorer(tmp_path_factory):
    """Return the file of the app, in operation."""
    file = tmp_path_factory.mktemp("explorer") / "explorer.py"
    file.write_text(APP)
    wild.operate(wild.load_app(file), rule=Every(1), begin=600, jobs=1)
    return file


@pytest.fixture
def service(explorer):
    store, key, mark = bundle(explorer)
    return service_of(store, load_bundle(store, key, mark))


def test_in_fallback_half_are_drawn_on_the_wire_and_in_the_log(service):
    n = 400
    hidden = {"hour": list(range(n)), "x": [None] * n, "z": [None] * n}  # no model can answer
    said = service.answer(hidden)
    assert Counter(said.status) == {"fallback": n}
    drawn = Counter(said.stage)
    assert set(drawn) == {"at random", "constant"}
    assert abs(drawn["at random"] - n / 2) < 4.5 * np.sqrt(n / 4)
    lists = json.loads(json.dumps(packable(said, n)))
    reply, asked = reply_of(lists, 0.1), Asked("one", [hidden["hour"], hidden["x"], hidden["z"]], n, [()] * n)
    writer = Writer(("hour", "x", "z"), "hour", None, "value", None)
    body = writer.body("one", asked, reply, ["champion"] * n)
    constant = float(service.bundle.guard.stages[-1].constant)
    for one in json.loads(body)["predictions"]:
        assert one["chance"] == (0.25 if one["stage"] == "at random" else 0.5)
        assert one["value"] in ((-1.0, 1.0) if one["stage"] == "at random" else (constant,))
        assert ("drawn at random" in one["cause"]) == (one["stage"] == "at random")
    line = writer.line("one", asked, reply, ["champion"] * n, {"asked": "", "answer": body, "vintage": "1"})
    assert json.loads(line)["answer"]["predictions"][0]["chance"] in (0.25, 0.5)


def test_where_features_raise_answers_are_drawn_too(service):
    said = service.answer({"hour": [1] * 64, "x": [0.0] * 64, "z": [0.75] * 64})
    assert set(said.stage) == {"at random", "constant"}
    assert set(said.status) == {"fallback"}
    assert set(said.chance) == {0.25, 0.5}
    assert "secret" not in " ".join(said.cause)
    fine = service.answer({"hour": [1], "x": [0.3], "z": [0.2]})
    assert (fine.status, fine.stage, fine.chance.tolist()) == (["normal"], ["champion"], [1.0])


def test_a_file_tells_chances_and_one_that_was_cut_off_is_drawn_as_if_it_were_not(explorer, tmp_path, monkeypatch):
    frame = wild.load_app(explorer).data.__globals__["rows"](seed=1, n=3_500).drop(columns="y")
    frame.loc[200:3_300, ["x", "z"]] = np.nan
    frame.to_csv(tmp_path / "in.csv", index=False)
    wild.predict(explorer, tmp_path / "in.csv", tmp_path / "whole.csv")
    whole = pd.read_csv(tmp_path / "whole.csv")
    away = whole["status"] == "fallback"
    assert away.sum() >= 3_100
    share = (whole["stage"] == "at random")[away].mean()
    assert abs(share - 0.5) < 4.5 * np.sqrt(0.25 / away.sum())
    assert (whole["chance"] == np.select([whole["stage"] == "at random", away], [0.25, 0.5], 1.0)).all()

    calls, before = [], asked.sealed

    def cut(*args):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return before(*args)

    monkeypatch.setattr(run, "EVERY", 0.0)
    monkeypatch.setattr(asked, "sealed", cut)
    with pytest.raises(KeyboardInterrupt):
        wild.predict(explorer, tmp_path / "in.csv", tmp_path / "cut.csv")
    assert not (tmp_path / "cut.csv").exists()
    wild.predict(explorer, tmp_path / "in.csv", tmp_path / "cut.csv")
    assert (tmp_path / "cut.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_two_workers_draw_apart(explorer, monkeypatch):
    store, key, mark = bundle(explorer)
    monkeypatch.setattr(threadpoolctl, "threadpool_limits", lambda **_: None)  # it would hold for this process
    config = {"root": str(store.root), "key": key, "digest": mark}
    rows = {"hour": [1] * 200, "x": [None] * 200, "z": [None] * 200}
    line, far = socket.socketpair()
    with line, far:
        one, other = (worker._loaded(config, line)[0].answer(rows) for _ in range(2))
    assert one.stage != other.stage


def test_each_process_and_each_input_draws_anew(explorer, tmp_path):
    """One row without features, asked first: it was given the same in every process, whatever its chance was."""
    folder = tmp_path / "model"
    save_pyfunc(explorer, folder)
    asked_first = [pyfunc.load_model(str(folder)).predict(pd.DataFrame({"x": [None] * 8, "z": None})) for _ in range(3)]
    assert len({tuple(said["value"]) for said in asked_first}) > 1  # all alike by chance: once in ten thousand times
    drawn = set()
    for day in range(12):
        (tmp_path / f"{day}.csv").write_text("hour,x,z\n" + "1,,\n" * 8 + f"{day},0.1,0.1\n")
        for limit in (None, 60.0) if day < 1 else (None,):
            wild.predict(explorer, tmp_path / f"{day}.csv", tmp_path / f"{day}-{limit}.csv", deadline=limit)
        drawn.add(tuple(pd.read_csv(tmp_path / f"{day}-None.csv")["stage"][:8]))
    assert len(drawn) > 1
    assert (tmp_path / "0-60.0.csv").read_bytes() == (tmp_path / "0-None.csv").read_bytes()
