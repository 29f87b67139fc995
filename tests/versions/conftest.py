"""A database that is made once: MLflow's sixty tables take a second."""

from __future__ import annotations

import shutil

import pytest

from mlwild.versions.place import client_of, place_of


@pytest.fixture(scope="session")
def empty(tmp_path_factory):
    """Return an empty record of runs."""
    folder = tmp_path_factory.mktemp("record")
    place = place_of(folder)
    with client_of(place) as client:
        client.search_experiments()
    return place.database


@pytest.fixture(autouse=True)
def ready(empty, tmp_path, request):
    """Put it where the test will look, unless the test is about its making."""
    if "home" not in request.fixturenames:
        shutil.copy(empty, tmp_path / "mlflow.db")
    else:
        (tmp_path / ".mlwild").mkdir()
        shutil.copy(empty, tmp_path / ".mlwild" / "mlflow.db")
