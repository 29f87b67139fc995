"""One app in operation for all tests here, and one server for those that leave it as it was."""

from __future__ import annotations

import shutil

import pytest

from tests.serve.servers import Server, operated


@pytest.fixture(scope="session")
def operated_app(tmp_path_factory):
    """Return the file of an app in operation; not to be changed."""
    return operated(tmp_path_factory.mktemp("operated"))


@pytest.fixture
def app_file(operated_app, tmp_path):
    """Return a copy of it that may be changed."""
    folder = tmp_path / "app"
    shutil.copytree(operated_app.parent, folder, ignore=shutil.ignore_patterns("served", "stderr-*"))
    return folder / operated_app.name


@pytest.fixture(scope="session")
def server(operated_app):
    """Return a server for tests that leave no trace but log lines."""
    with Server(operated_app) as made:
        yield made
