"""A workspace that came about by real ticks, a rehearsal and recorded runs; the tests only read it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

import mlwild as wild
from mlwild import rules
from mlwild.operating import operate
from mlwild.versions import Made, record
from mlwild.web import Workspace, site
from tests.operating.worlds import world

HERE = "http://127.0.0.1"


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """Return a workspace with two lives, one of them in trouble, a rehearsal and three runs."""
    folder = tmp_path_factory.mktemp("workspace")
    made = world()
    made.now = 701
    operate(made.app, rule=rules.Every(3), begin=250, store=folder)
    sad = world(seed=1)
    sad.app = replace(sad.app, name="sad")
    sad.now = 451
    operate(sad.app, rule=rules.Every(2), begin=250, store=folder)

    def gone():
        raise RuntimeError("the <b>feed</b> is gone <script>alert(1)</script>")

    with pytest.raises(RuntimeError):
        operate(replace(sad.app, data=gone), store=folder)
    made.now = None
    wild.rehearse(made.app, store=folder, jobs=1)
    for value in (1.0, 2.0, 3.0):
        note = Made(
            {"n": value}, pages={"card.html": "<p>card</p>"}, params={"method": f"m{value:.0f}", "rule": "same"}
        )
        record("small", "comparison", note, store=folder)
    return folder


@pytest.fixture
def client(store):
    """Return a browser of sorts."""
    with TestClient(site(Workspace(store)), base_url=HERE) as made:
        yield made
