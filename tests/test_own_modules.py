"""Modules beside app files: each app has its own, whatever others have their names."""

from __future__ import annotations

import importlib
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import cloudpickle
import pandas as pd
import pytest

import mlwild as wild
from mlwild.digest import fingerprint
from mlwild.errors import AppError
from mlwild.loading import load_again, load_tests
from mlwild.own_modules import from_folder, loads, own_modules

APP = """
from pathlib import Path
import numpy as np
import pandas as pd
import helper
from helper import Mean, features
from helper.deep import FACTOR

def rows():
    rng = np.random.default_rng(0)
    when = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(np.arange(600), unit="h")
    frame = pd.DataFrame({"x": rng.normal(size=600), "when": when, "y": rng.normal(size=600)})
    return frame[: int(Path(__file__).with_name("rows").read_text())]

def by_module(frame):
    return helper.features(frame)

import mlwild as wild
app = wild.App(
    name="app", data=rows, time="when", label="y", delay="1h", features=by_module, models={"mean": Mean()},
    loss="absolute", every="2D", start="2026-01-05",
)
"""
HELPER = """
from helper.deep import FACTOR

class Mean:
    def fit(self, X, y):
        return self

    def predict(self, X):
        return X.to_numpy()[:, 0] * FACTOR

    class Kind:
        pass

def features(frame):
    return frame[["x"]] * FACTOR
"""
#: What a process that has neither folder says of a thing that came to it.
ELSEWHERE = (
    "import pickle, sys; import pandas as pd; print(pickle.load(sys.stdin.buffer)(pd.DataFrame({'x': [1.0]}))['x'][0])"
)


@pytest.fixture(autouse=True)
def _nobody_elses(monkeypatch):
    """Models that other tests have loaded leave their modules, and the folders of their code on the path."""
    for name in [one for one in sys.modules if one.partition(".")[0] == "helper"]:
        monkeypatch.delitem(sys.modules, name)
    left = [place for place in sys.path if not any((Path(place) / name).exists() for name in ("helper.py", "helper"))]
    monkeypatch.setattr(sys, "path", left)


@pytest.fixture
def apps(tmp_path, monkeypatch):
    """Two apps whose files, and whose modules, have the same names; what is imported is forgotten afterwards."""
    for factor, folder in ((2, "first"), (3, "second")):
        (tmp_path / folder / "helper").mkdir(parents=True)
        (tmp_path / folder / "app.py").write_text(APP)
        (tmp_path / folder / "helper" / "__init__.py").write_text(HELPER)
        (tmp_path / folder / "rows").write_text("600")
        (tmp_path / folder / "helper" / "deep.py").write_text(f"FACTOR = {factor}.0\n")
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in [one for one in sys.modules if one not in before and "helper" in one]:
        del sys.modules[name]


def made(app: wild.App) -> float:
    """Return what an app's features make of 1."""
    return float(app.features(app.data().assign(x=1.0))["x"].iloc[0])


def elsewhere(thing: object) -> float:
    out = subprocess.run(
        [sys.executable, "-c", ELSEWHERE], input=cloudpickle.dumps(thing), capture_output=True, check=True, cwd="/"
    )
    return float(out.stdout)


def forget(folder: Path) -> None:
    """Leave what a process has that did not import an app's modules."""
    for name in ("helper", "helper.deep"):
        del sys.modules[name]
    sys.path.remove(str(folder))


@pytest.mark.parametrize("found", [True, False])
def test_each_app_has_the_modules_beside_it(apps, found):
    first = wild.load_app(apps / "first" / "app.py")
    if not found:  # what is there already is the first one's, wherever it would be found now
        sys.path.remove(str(apps / "first"))
    one = sys.modules["helper"], sys.modules["helper.deep"]
    second = wild.load_app(apps / "second" / "app.py")
    assert (made(first), made(second), elsewhere(second.features)) == (2.0, 3.0, 3.0)
    assert (sys.modules["helper"], sys.modules["helper.deep"]) == one  # what the process had, it has again
    assert type(first.models["mean"]) is not type(second.models["mean"])


def test_what_another_app_is_made_of_travels_by_value(apps):
    wild.load_app(apps / "first" / "app.py")
    second = wild.load_app(apps / "second" / "app.py")
    assert elsewhere(second.features) == 3.0  # by the name of a module, and
    assert elsewhere(second.features.__globals__["features"]) == 3.0  # by its own


def test_an_app_is_what_it_is_alone(apps):
    alone = wild.load_app(apps / "second" / "app.py")
    wanted = fingerprint(alone.features), fingerprint(alone.models["mean"])
    forget(apps / "second")
    wild.load_app(apps / "first" / "app.py")
    beside = wild.load_app(apps / "second" / "app.py")
    assert (fingerprint(beside.features), fingerprint(beside.models["mean"])) == wanted


def test_a_model_of_another_app_is_the_same_bytes_in_every_process(apps):
    say = (
        "import mlwild as w, cloudpickle, hashlib; w.load_app('first/app.py'); "
        "print(hashlib.sha256(cloudpickle.dumps(w.load_app('second/app.py').models['mean'])).hexdigest())"
    )
    keeps = os.environ | {"PYTHONDONTWRITEBYTECODE": ""}  # the first one compiles, the second reads what it kept
    command = [sys.executable, "-c", say]
    told = [subprocess.run(command, capture_output=True, check=True, cwd=apps, env=keeps).stdout for _ in range(2)]
    assert list(apps.glob("first/helper/__pycache__/*.pyc"))
    assert told[0] == told[1]


def test_an_app_that_is_loaded_again_and_its_tests_have_the_same_modules(apps):
    wild.load_app(apps / "first" / "app.py")
    second = wild.load_app(apps / "second" / "app.py")
    again = load_again(second)
    assert type(again.models["mean"]) is type(second.models["mean"])
    assert made(again) == 3.0
    (apps / "second" / "app_tests.py").write_text("from helper import Mean\ndef test_kind():\n    return Mean\n")
    [test] = load_tests(apps / "second" / "app.py")
    assert test() is type(second.models["mean"])


def test_what_is_there_from_the_same_folder_is_not_imported_again(apps):
    first, file = wild.load_app(apps / "first" / "app.py"), apps / "second" / "other.py"
    file.write_text("import plain\n" + APP)
    (apps / "second" / "plain.py").touch()
    wild.load_app(file)
    one = sys.modules["plain"]
    with from_folder(apps / "second"):
        assert sys.modules["plain"] is one
    with from_folder(apps / "second", anew=True):
        again = wild.load_app(file)
        assert importlib.import_module("plain") is not one
        assert type(again.models["mean"]) is importlib.import_module("helper").Mean  # an app within is not set apart
    assert sys.modules["plain"] is one
    assert type(first.models["mean"]) is sys.modules["helper"].Mean


def test_what_was_pickled_alone_names_modules_that_are_its_own(apps):
    app = wild.load_app(apps / "second" / "app.py")
    data, kind = cloudpickle.dumps(app.features), cloudpickle.dumps(type(app.models["mean"]).Kind)
    forget(apps / "second")
    wild.load_app(apps / "first" / "app.py")
    app = wild.load_app(apps / "second" / "app.py")
    frame = pd.DataFrame({"x": [1.0]})
    assert pickle.loads(data)(frame)["x"][0] == 2.0  # the name is another's now
    assert loads(data, own_modules(apps / "second"))(frame)["x"][0] == 3.0
    assert loads(kind, own_modules(apps / "second")) is type(app.models["mean"]).Kind


def test_what_lies_beside_the_app_comes_before_what_lies_where_a_process_runs(apps, monkeypatch):
    (apps / "helper.py").write_text("raise SystemExit('another module of that name')\n")
    monkeypatch.syspath_prepend(str(apps))
    app = wild.load_app(apps / "second" / "app.py")
    assert made(app) == 3.0
    assert "helper" not in sys.modules  # who asks for it by name finds what would have been found before
    assert elsewhere(app.features) == 3.0


def test_a_process_that_is_met_with_an_error_has_its_modules_again(apps):
    wild.load_app(apps / "first" / "app.py")
    one = sys.modules["helper"]
    (apps / "second" / "app.py").write_text("import helper\nraise ValueError('of the file')\n")
    with pytest.raises(ValueError, match="of the file"):
        wild.load_app(apps / "second" / "app.py")
    assert sys.modules["helper"] is one
    assert not any(type(finder).__name__ == "_Beside" for finder in sys.meta_path)


@pytest.mark.parametrize("found", [True, False])
@pytest.mark.parametrize("late", ["import helper", "import helper.deep", "from helper import features"])
def test_an_import_that_would_find_another_module_by_then_is_refused(late, found, apps):
    file = apps / "second" / "app.py"
    file.write_text(file.read_text().replace("    return helper.features(frame)", f"    {late}\n    return frame"))
    assert wild.load_app(file).features  # alone it finds its own
    forget(apps / "second")
    wild.load_app(apps / "first" / "app.py")
    if not found:
        sys.path.remove(str(apps / "first"))
    with pytest.raises(AppError, match="app.py imports helper in a function, and by then this process finds another"):
        wild.load_app(file)


def test_workers_compute_with_the_modules_of_the_app_that_they_work_for(apps):
    alone = wild.load_app(apps / "second" / "app.py")
    wanted = wild.rehearse(alone, store=apps / "alone", jobs=1).losses()
    forget(apps / "second")
    wild.load_app(apps / "first" / "app.py")
    second = wild.load_app(apps / "second" / "app.py")
    found = wild.rehearse(second, store=apps / "beside", jobs=2).losses()
    assert found.num_rows > 50
    assert found.equals(wanted)


@pytest.mark.parametrize("jobs", [1, 2])
def test_models_that_were_made_alone_are_the_apps_own_beside_another_too(apps, jobs):
    """Alone they are kept by the name of a module that is another app's later on."""
    (apps / "second" / "rows").write_text("400")
    wild.rehearse(wild.load_app(apps / "second" / "app.py"), store=apps / "store", jobs=1)
    (apps / "second" / "rows").write_text("600")
    wanted = wild.rehearse(wild.load_app(apps / "second" / "app.py"), store=apps / "alone", jobs=1).losses()
    forget(apps / "second")
    wild.load_app(apps / "first" / "app.py")
    second = wild.load_app(apps / "second" / "app.py")
    found = wild.rehearse(second, store=apps / "store", jobs=jobs)
    assert found.sheet["fits"]["reused"] >= 5  # those that were made alone
    assert found.losses().equals(wanted)
    triangle = found.triangles[0]
    models = [triangle.fitted(vintage) for vintage in triangle.scores]
    assert {type(model) for model in models} >= {type(second.models["mean"])}
    assert {model.predict(pd.DataFrame({"x": [1.0]})).item() for model in models} == {3.0}


def test_pickles_of_the_first_app_are_what_they_were(apps):
    first = wild.load_app(apps / "first" / "app.py")
    before = cloudpickle.dumps(first.models["mean"])
    wild.load_app(apps / "second" / "app.py")
    assert cloudpickle.dumps(first.models["mean"]) == before
    assert type(pickle.loads(before)) is type(first.models["mean"])
    assert Path(sys.modules["helper"].__file__).parent.parent == apps / "first"


def test_threads_that_load_apps_at_once_give_each_its_own_modules(apps, monkeypatch):
    found, troubles = [], []

    def load(folder):
        try:
            found.append((folder, made(wild.load_app(apps / folder / "app.py"))))
        except Exception as problem:  # noqa: BLE001  the thread's, told below
            troubles.append(problem)

    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for _ in range(5):
            both = [threading.Thread(target=load, args=(folder,)) for folder in ("first", "second") * 2]
            for one in both:
                one.start()
            for one in both:
                one.join(60)
    finally:
        sys.setswitchinterval(before)
    assert troubles == []
    assert sorted(found) == [("first", 2.0)] * 10 + [("second", 3.0)] * 10
