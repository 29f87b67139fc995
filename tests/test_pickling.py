"""Pickles of the user's own code: the same thing gives the same bytes, another thing others."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys

import pytest

from mlwild.loading import load_app
from mlwild.pickling import dumps

FILE = """
{above}
from enum import Enum
import mlwild as wild

class Kind(Enum):
    LOW = 1
    HIGH = 2

def shift(x):
    try:
        return x + 1.0
    except TypeError:
        return None

class Line:
    names = ("x", "z")
    def __init__(self, slope=2.0):
        self.slope, self.kind = slope, Kind.LOW
    def fit(self, X, y):
        return self
    def predict(self, X):
        return [shift(self.slope * v) for v in X if v not in {{"none", "nil", "nan"}}]

def train(X, y):
    best = Line()
    def predict(X):
        return best.predict(X){more}
    return predict

app = wild.App(name="p", data="none.csv", time="t", label="y", delay=0, models={{"line": train}}, loss="squared", every=5)
"""

MAKE = """
import sys
from mlwild.digest import bytes_digest
from mlwild.loading import load_app
from mlwild.pickling import dumps
train = load_app(sys.argv[1]).models["line"]
made = dumps([train(None, None), train, type(train(None, None).__closure__[0].cell_contents)()])
print(bytes_digest(made))
"""


def made(folder, seed=0, above="", more=""):
    """Return the digest of what a process pickles of an app file."""
    folder.mkdir()
    (folder / "mine.py").write_text(FILE.format(above=above, more=more))
    environment = os.environ | {"PYTHONHASHSEED": str(seed)}
    done = subprocess.run(
        [sys.executable, "-c", MAKE, str(folder / "mine.py")],
        capture_output=True, text=True, check=True, env=environment, timeout=60,
    )  # fmt: skip
    return done.stdout.strip()


def test_neither_lines_nor_folder_nor_process_show(tmp_path):
    first = made(tmp_path / "a")
    assert made(tmp_path / "b", seed=1) == first
    assert made(tmp_path / "c", seed=2, above="# one\n\nOTHER = 3\n") == first


@pytest.mark.parametrize("more", [" + [1.0]", " * 2", " or best.names", " or __file__"])
def test_other_code_shows(more, tmp_path):
    assert made(tmp_path / "a") != made(tmp_path / "b", more=more)


def test_it_comes_back_as_what_it_was(tmp_path):
    (tmp_path / "mine.py").write_text(FILE.format(above="", more=""))
    train = load_app(tmp_path / "mine.py").models["line"]
    back, again = (pickle.loads(dumps(train(None, None))) for _ in range(2))
    assert back([1.0, "nil", 2.0]) == [3.0, 5.0]
    model, other = (one.__closure__[0].cell_contents for one in (back, again))
    assert type(model) is type(other)  # one class, however often it is read
    assert model.kind is type(other.kind).LOW


def test_code_that_speaks_of_its_file_keeps_it(tmp_path):
    (tmp_path / "mine.py").write_text(FILE.format(above="", more=" and __file__"))
    train = load_app(tmp_path / "mine.py").models["line"]
    assert pickle.loads(dumps(train(None, None)))([1.0]) == str(tmp_path / "mine.py")
