"""The pages say what the ledger and the record say, to this machine alone, and change nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

import mlwild as wild
from mlwild import rules
from mlwild.operating import operate
from mlwild.operating.life_sheet import life_sheet
from mlwild.versions import Made, Run, record
from mlwild.web import Workspace, site
from mlwild.web.runs import GROUPS, ROWS, Asked, chosen, grouped, view
from mlwild.wording import number
from tests.operating.worlds import ledger_of, world

HERE = "http://127.0.0.1"


@pytest.fixture(scope="module")
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
        raise RuntimeError("the <b>feed</b> is gone")

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


def test_the_first_page_says_who_needs_somebody(client):
    page = client.get("/").text
    assert "<b>1</b> of 2 apps need you" in page
    assert page.index(">sad<") < page.index(">small<")
    assert "the &lt;b&gt;feed&lt;/b&gt; is gone" in page
    assert "<b>feed</b>" not in page


def test_a_life_is_shown_as_the_ledger_tells_it(client, store):
    made = world()
    sheet = life_sheet(ledger_of(made, store))
    assert client.get("/api/apps/small").json() == json.loads(json.dumps(sheet))
    page = client.get("/apps/small").text
    assert f"{sheet['status']['kept']} of {sheet['status']['of']}" in page
    for one in sheet["periods"]:
        assert f'<th scope="row">{one["at"]}</th>' in page
    assert page.count("retrain</td>") == 2 * sum(one["action"] == "retrain" for one in sheet["periods"])
    assert "<svg" in page
    # The card that the tick left beside the ledger shows the same.
    card = (store / "operate" / "small" / "card.html").read_text()
    assert f"{sheet['status']['kept']} of {sheet['status']['of']}" in card


def test_runs_are_grouped_and_set_side_by_side(client):
    page = client.get("/runs?by=method&metric=n").text
    assert "3 of 3" in page
    found = client.get("/api/runs?kind=comparison&sort=metric&metric=n").json()
    assert [run["metrics"]["n"] for run in found] == [1.0, 2.0, 3.0]
    ids = [run["id"] for run in found]
    side = client.get(f"/runs/compare?id={ids[0]}&id={ids[2]}").text
    assert '<td class="least">1</td><td class="greatest">3</td>' in side
    differ, same = side.split("What is the same")
    assert "m1" in differ
    assert '<td class="wrap">same</td>' in same
    assert client.get(f"/runs/{ids[0]}").status_code == 200
    assert "sandbox" in client.get(f"/runs/{ids[0]}/card").headers["content-security-policy"]
    assert client.get("/runs/compare?id=" + ids[0]).status_code == 400
    assert client.get(f"/runs/compare?id={ids[0]}&id=none").status_code == 404


def test_the_card_of_a_rehearsal_may_do_nothing(client):
    answer = client.get("/cards/small")
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"].endswith("sandbox")
    assert client.get("/cards/none").status_code == 404


@pytest.mark.parametrize("path", ["/", "/apps/small", "/runs", "/page.js", "/nothing"])
def test_every_answer_forbids_what_it_does_not_need(client, path):
    headers = client.get(path).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8642", "127.0.0.1.evil.example", ""])
def test_a_page_elsewhere_that_points_its_name_here_is_refused(client, host):
    assert client.get("/", headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8642", "[::1]:9"])
def test_this_machines_own_names_are_answered(client, host):
    assert client.get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
def test_it_only_shows(client, method):
    assert getattr(client, method)("/").status_code == 405


@pytest.mark.parametrize("name", ["..%2f..%2fetc%2fpasswd", "%2e%2e", "a%00b", "none", "..", "small%2f..%2fsad"])
def test_no_name_leads_out_of_the_workspace(client, name):
    for where in ("apps", "cards", "runs"):
        answer = client.get(f"/{where}/{name}")
        assert answer.status_code in (404, 200)
        assert "root:" not in answer.text
        assert "Traceback" not in answer.text
        if answer.status_code == 200:
            assert name == ".."  # which the address itself takes back to the first page


def test_it_writes_nothing(client, store):
    def state():
        return {path: path.stat().st_mtime_ns for path in Path(store).rglob("*") if path.is_file()}

    before = state()
    for path in ("/", "/apps/small", "/runs", "/runs?by=app", "/cards/small"):
        client.get(path)
    after = state()
    assert {path for path in {*before, *after} if before.get(path) != after.get(path)} == set()


def test_a_damaged_ledger_hides_no_other_app(tmp_path):
    for name in ("good", "bad"):
        made = world()
        made.app = replace(made.app, name=name)
        made.now = 301
        operate(made.app, rule=rules.Never(), begin=250, store=tmp_path)
    path = tmp_path / "operate" / "bad" / "ledger.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"rows": ', b'"rows": 1', 1))
    with TestClient(site(Workspace(tmp_path)), base_url=HERE) as client:
        page = client.get("/").text
        assert ">good<" in page
        assert "does not agree with its digest" in page
        answer = client.get("/apps/bad")
        assert answer.status_code == 500
        assert "does not agree with its digest" in answer.text
        assert client.get("/api/apps/bad").json()["error"].startswith("ledger: line")


def test_a_life_of_five_thousand_ticks_is_a_small_page(store):
    from mlwild.card import life_html

    sheet = life_sheet(ledger_of(world(), store))
    long = sheet | {"periods": (sheet["periods"] * 1000)[:5000]}
    assert len(life_html(long)) < 600_000


def many(n):
    return [
        Run(f"{k:032x}", f"app{k % 7}", "rehearsal", "user", "2026-01-01T00:00:00+00:00", 1.0, "finished",
            {"rule": f"every {k % 300}", "seed": str(k % 5)}, {"cost": float(k % 997), "regret": float(k)})
        for k in range(n)
    ]  # fmt: skip


def test_ten_thousand_runs_are_grouped_exactly_and_shown_in_part():
    found = many(10_000)
    shown = view(found, Asked(by="rule", metric="cost"))
    assert (len(shown["rows"]), shown["left"]) == (ROWS, 10_000 - ROWS)
    assert (len(shown["groups"]), shown["groups_left"]) == (GROUPS, 300 - GROUPS)
    whole = {one["name"]: one for one in grouped(found, "rule", "cost")}
    costs = sorted(run.metrics["cost"] for run in found if run.params["rule"] == "every 17")
    n = len(costs)
    middle = (costs[n // 2] + costs[(n - 1) // 2]) / 2
    assert whole["every 17"]["figures"] == (costs[0], middle, costs[-1])
    assert [run.metrics["cost"] for run in chosen(found, Asked(sort="-metric", metric="cost"))][:2] == [996.0, 996.0]
    assert len(chosen(found, Asked(app="app3", text="every 17"))) == sum(
        run.app == "app3" and "every 17" in run.params["rule"] for run in found
    )
    assert number(None) == "not known"


def test_an_empty_workspace_says_how_to_begin(tmp_path):
    with TestClient(site(Workspace(tmp_path / "none")), base_url=HERE) as client:
        assert "No app is in operation" in client.get("/").text
        assert "No run is on record" in client.get("/runs").text
    assert not (tmp_path / "none").exists()
