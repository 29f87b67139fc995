"""The memo on disk: whole entries or none, damage found, one at a time."""

from __future__ import annotations

import errno
import fcntl
import resource
import subprocess
import sys

import cloudpickle
import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyRegressor

import mlwild as wild
from mlwild.disk import is_held, write_atomically
from mlwild.errors import BusyError, StoreError
from mlwild.records import Vintage
from mlwild.triangle import fitting, growing
from mlwild.triangle.store import Store, read_predictions, write_array, write_predictions
from mlwild.triangle.survey import survey


def test_predictions_come_back_as_they_went(tmp_path):
    store = Store(tmp_path)
    for shape in ((7,), (7, 3), (0,)):
        made = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        store.put("k" * 4, "arrow", write_predictions(made))
        assert np.array_equal(read_predictions(store.payload("k" * 4, "arrow")), made)


@pytest.mark.parametrize("victim", ["payload", "note"])
@pytest.mark.parametrize("how", ["flip", "cut", "gone"])
def test_any_damage_makes_an_entry_absent(tmp_path, victim, how):
    store = Store(tmp_path)
    store.put("abcd", "arrow", write_predictions(np.arange(9, dtype=np.float32)), seconds=1.5)
    assert store.get("abcd", "arrow")["seconds"] == 1.5
    path = store.payload("abcd", "arrow")
    path = path if victim == "payload" else path.with_suffix(".arrow.json")
    data = bytearray(path.read_bytes())
    if how == "gone":
        path.unlink()
    elif how == "cut":
        path.write_bytes(data[: len(data) // 2])
    else:
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    assert store.get("abcd", "arrow") is None
    assert store.damaged("abcd", "arrow") == (not (victim == "payload" and how == "gone"))


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a" / "file"
    write_atomically(path, lambda file: file.write(b"old"))

    def fail(file):
        file.write(b"new")
        raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        write_atomically(path, fail)
    assert path.read_bytes() == b"old"
    assert [item.name for item in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize(("code", "said"), [(errno.ENOSPC, "is full"), (errno.EACCES, "cannot be written: Permission")])
def test_what_the_system_refuses_is_one_sentence(tmp_path, code, said):
    def refuse(file):
        raise OSError(code, "Permission denied")

    with pytest.raises(StoreError, match=said):
        write_atomically(tmp_path / "file", refuse)


def test_an_array_that_finds_no_room_says_why(tmp_path):
    values = np.arange(100_000.0)
    write_atomically(tmp_path / "file.npy", write_array(values))
    assert np.array_equal(np.load(tmp_path / "file.npy", mmap_mode="r"), values)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(StoreError, match="cannot be written: File too large"):
            write_atomically(tmp_path / "file.npy", write_array(values))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_system_without_locks_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "tick.lock").touch()

    def refuses(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuses)
    for life in (False, True):
        with (
            pytest.raises(
                StoreError, match=r"lock cannot be locked: No locks available\. .* file system that has locks"
            ),
            Store(tmp_path).lock("app", life=life),
        ):
            pass
    with pytest.raises(StoreError, match="cannot be locked"):
        Store(tmp_path).put_once("k" * 4, "arrow", lambda file: file.write(b""))
    assert not is_held(tmp_path / "tick.lock")


@pytest.mark.parametrize(("life", "doing"), [(False, "rehearsing"), (True, "operating")])
def test_a_lock_is_held_by_one_and_goes_with_its_process(tmp_path, life, doing):
    store = Store(tmp_path)
    code = (
        "import sys, time; from pathlib import Path; from mlwild.triangle.store import Store\n"
        f"with Store(Path(sys.argv[1])).lock('app', life={life}):\n    print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        told = f"process {other.pid} is {doing} 'app'"
        with pytest.raises(BusyError, match=told), store.lock("app", life=life):
            pass
        with store.lock("another"):
            pass
        other.kill()
    with store.lock("app", life=life):
        pass


@pytest.mark.parametrize("name", ["model", "tick"])
def test_an_app_may_be_called_as_what_else_is_locked(tmp_path, name):
    """Who held the lock of an app called model waited for himself, for ever, once a model was kept."""
    code = (
        "import sys; from pathlib import Path; from mlwild.triangle.store import Store\n"
        "store, name = Store(Path(sys.argv[1])), sys.argv[2]\n"
        "with store.lock(name, life=True), store.lock(name):\n"
        "    store.put_once('ab', 'model', lambda file: file.write(b'x'))\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path), name], check=True, timeout=60)
    assert Store(tmp_path).get("ab", "model") is not None


def test_rows_of_earlier_data_are_removed(tmp_path):
    store = Store(tmp_path)
    for name, key in (("app", "one"), ("app", "two"), ("app-b", "one")):
        (tmp_path / "rows" / name / key).mkdir(parents=True)
    assert store.workspace("app", "two") == tmp_path / "rows" / "app" / "two"
    assert [path.name for path in (tmp_path / "rows" / "app").iterdir()] == ["two"]
    assert (tmp_path / "rows" / "app-b" / "one").is_dir()


def test_a_model_that_another_process_made_meanwhile_stays(tmp_path, monkeypatch):
    """A server's bundle names a model by its digest; a tick that fits it at the same moment must not replace it."""
    rows = pd.DataFrame({"t": np.arange(900), "x": np.arange(900) % 7.0, "y": np.arange(900) % 5.0})
    app = wild.App("race", data=lambda: rows, time="t", label="y", delay=0, models={"m": DummyRegressor()},
                   loss="squared", every=100, start=100)  # fmt: skip
    triangle = growing(survey(app), Store(tmp_path), "m", {})
    key, real = triangle.recipe.fit_key(Vintage(0, "all")), fitting.models.fit
    theirs = cloudpickle.dumps(DummyRegressor(constant=7.0, strategy="constant").fit([[0.0]], [7.0]))

    def slow(*asked):
        Store(tmp_path).put(key, "model", lambda file: file.write(theirs), rows=100)  # the other one is quicker
        return real(*asked)

    monkeypatch.setattr(fitting.models, "fit", slow)
    assert triangle.ensure(Vintage(0, "all"))
    assert Store(tmp_path).payload(key, "model").read_bytes() == theirs
    assert (triangle.predictions(Vintage(0, "all"))[:50] == 7.0).all(), "and what is predicted is predicted by it"


def test_of_two_who_write_an_entry_once_the_first_stays_unless_it_is_damaged(tmp_path):
    store = Store(tmp_path)
    assert store.put_once("abcd", "model", lambda file: file.write(b"first"), rows=3)
    assert not store.put_once("abcd", "model", lambda file: file.write(b"second"), rows=3)
    assert store.payload("abcd", "model").read_bytes() == b"first"
    store.payload("abcd", "model").write_bytes(b"broken")
    assert store.put_once("abcd", "model", lambda file: file.write(b"third"), rows=3)
    assert store.payload("abcd", "model").read_bytes() == b"third"
