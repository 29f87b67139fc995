"""The pages answer this machine alone, only show, load nothing from elsewhere, and tell nothing of the machine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from mlwild.errors import StoreError
from mlwild.hosts import ANY, knows
from mlwild.web import Workspace, site
from tests.web.conftest import HERE

PATHS = ("/", "/apps/small", "/apps/small/facts", "/runs", "/cards", "/api", "/page.js", "/style.css", "/nothing")


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_forbids_what_it_does_not_need(client, path):
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    "path", ["/", "/apps/small", "/apps/sad", "/apps/small/facts", "/runs?by=method", "/cards", "/none"]
)
def test_a_page_loads_nothing_from_elsewhere_and_has_no_script_or_style_of_its_own(client, path):
    page = client.get(path).text
    assert all(target.startswith(("/", "?", "#")) for target in re.findall(r'(?:href|src|action)="([^"]*)"', page))
    assert re.findall(r"<script[^>]*>", page) == ['<script src="/page.js" defer>']
    assert "<style" not in page
    assert not re.search(r"\s(?:style|on\w+)=", re.sub(r">[^<]*<", "><", page))


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8642", "127.0.0.1.evil.example", "", "a@localhost", "localhost:8642:1", "0"]
)
def test_a_page_elsewhere_that_points_its_name_here_is_refused(client, host):
    assert client.get("/", headers={"host": host}).status_code == 421


def test_two_hosts_are_refused(client):
    headers = [("host", "localhost"), ("host", "localhost")]
    assert client.get("/", headers=headers).status_code == 421


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1:8642", "[::1]:9"])
def test_this_machines_own_names_are_answered(client, host):
    assert client.get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    ("hosts", "name", "known"),
    [
        ((), "192.168.0.7", False),
        (("build.local",), "build.local", True),
        (("build.local",), "evil.example", False),
        ((ANY,), "192.168.0.7", True),
        ((ANY,), "fe80::1", True),
        ((ANY,), "evil.example", False),
    ],
)
def test_other_names_are_answered_only_if_told(hosts, name, known):
    assert knows(name, hosts) is known


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch", "options"])
def test_it_only_shows(client, method):
    for path in ("/", "/api/apps", "/apps/small"):
        answer = getattr(client, method)(path)
        assert answer.status_code == 405
        assert answer.headers["allow"] == "GET, HEAD"


def test_head_gives_the_head_of_what_get_gives(client):
    head, got = client.head("/apps/small"), client.get("/apps/small")
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-security-policy"] == got.headers["content-security-policy"]


NAMES = [
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e",
    "a%00b",
    "none",
    "..",
    "small%2f..%2fsad",
    "small.",
    "*",
    "%5c..%5csad",
    "a" * 5000,
]


@pytest.mark.parametrize("name", NAMES)
def test_no_name_leads_out_of_the_workspace(client, store, name):
    for where in ("apps", "cards", "runs", "api/apps", "api/runs"):
        answer = client.get(f"/{where}/{name}")
        assert answer.status_code in (404, 200)
        assert "root:" not in answer.text
        assert "Traceback" not in answer.text
        assert str(store) not in answer.text
        assert len(answer.content) < 5000 or answer.status_code == 200
        if answer.status_code == 200:
            assert name == ".."  # which the address itself takes back to a page above


@pytest.mark.parametrize(
    "path",
    [
        "/?page=x",
        "/?page=0",
        "/apps/small?page=-1",
        "/apps/small/facts?page=99999999999",
        "/api/apps/small/facts?page=",
    ],
)
def test_a_page_that_cannot_be_is_said(client, path):
    answer = client.get(path)
    assert answer.status_code == 400
    assert "asks for something that cannot be: page" in answer.text


def test_what_goes_wrong_tells_nothing_of_the_machine(tmp_path):
    def broken(store):
        raise KeyError(str(store))

    def away(store):
        raise StoreError(f"versions: {store}/mlflow.db cannot be read: disk I/O error.")

    for read, said in ((broken, "could not be made (KeyError)"), (away, "versions: mlflow.db cannot be read")):
        pages = site(Workspace(tmp_path, read_runs=read))
        with TestClient(pages, base_url=HERE, raise_server_exceptions=False) as client:
            for path in ("/runs", "/api/runs"):
                answer = client.get(path)
                assert answer.status_code == 500
                assert said in answer.text
                assert str(tmp_path) not in answer.text
                assert "Traceback" not in answer.text
                assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert client.get("/").status_code == 200  # the rest is there all the same


def test_a_store_that_is_named_from_where_one_is_leaves_no_part_of_its_place_behind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b", "c", "d", "e", "f", ".mlwild", "b/../a"):
        (tmp_path / name).mkdir(exist_ok=True)
        here = Workspace(Path(name))
        for place in (Path(name).resolve(), Path(name).absolute(), Path(name)):
            assert here.placeless(f"versions: {place}/mlflow.db is unsound") == "versions: mlflow.db is unsound"
