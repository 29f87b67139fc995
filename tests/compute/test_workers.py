"""A worker that dies loses nothing that was finished, and is told of only if it dies again and again."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

import mlwild as wild
from mlwild.errors import StoreError
from mlwild.triangle import parallel
from tests.support import Line, drifting, small_app


class Dies(Line):
    """Ends its process at the fit of a given size: once, if there is a folder to note it in, else always."""

    def __init__(self, rows: int, folder: str, always: bool) -> None:
        super().__init__()
        self.rows, self.folder, self.always = rows, folder, always

    def fit(self, X, y):
        note = Path(self.folder) / "died"
        if len(y) == self.rows and (self.always or not note.exists()):
            note.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().fit(X, y)


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Start workers however little there is to do, but for the very first fit."""
    monkeypatch.setattr(parallel, "ALONE", -1.0)


def app_of(folder, always):
    rows = drifting(n=600, delay=0)
    return small_app(rows, models={"line": Dies(300, str(folder), always)}, every=50, start=100)


def test_a_worker_that_dies_once_is_of_no_matter(tmp_path):
    app = app_of(tmp_path, always=False)
    made = wild.rehearse(app, store=tmp_path / "a", jobs=2)
    assert (tmp_path / "died").exists()
    whole = wild.rehearse(app, store=tmp_path / "b", jobs=1)  # it died already, and will no more
    kept = [
        {name: value for name, value in one.sheet.items() if name not in ("seconds", "fits")} for one in (made, whole)
    ]
    assert kept[0] == kept[1]
    assert made.sheet["fits"]["made"] == whole.sheet["fits"]["made"]


def test_one_that_always_dies_is_named_and_the_others_are_kept(tmp_path):
    app = app_of(tmp_path, always=True)
    with pytest.raises(StoreError, match="the fit that learns until instant 300 ended its worker process three times"):
        wild.rehearse(app, store=tmp_path / "a", jobs=2)
    models = len(list((tmp_path / "a").glob("memo/*/*.model")))
    assert models == 9  # all of ten but that one
    assert np.isfinite(models)
