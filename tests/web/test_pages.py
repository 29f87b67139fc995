"""The pages say what the ledger and the record say, and change nothing."""

from __future__ import annotations

import fcntl
import json
import re
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from mlwild import rules
from mlwild.card import life_html
from mlwild.card.life import decimals_of
from mlwild.card.words import number
from mlwild.ledger import Fact, Ledger
from mlwild.operating import operate, status
from mlwild.operating.life_sheet import life_sheet
from mlwild.operating.status import keep_state, status_of
from mlwild.web import Workspace, site
from mlwild.web.apps import state_of
from mlwild.web.life import FACTS, TICKS
from mlwild.web.workspace import KEPT
from tests.operating.worlds import ledger_of, world
from tests.web.conftest import HERE
from tests.web.lives import long_life


def browser(store, **words):
    """Return a browser of sorts for another workspace."""
    return TestClient(site(Workspace(store, **words)), base_url=HERE)


def words_of(page):
    """Return what a page says, without its tags."""
    text = re.sub(r"<(title|svg).*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def test_the_first_page_says_who_needs_somebody(client):
    page = client.get("/").text
    assert "1 of 2 apps need you." in words_of(page).replace("</b>", "")
    assert "<title>(1) Apps" in page
    assert 'href="/alarm.svg"' in page
    assert page.index(">sad<") < page.index(">small<")
    assert "the &lt;b&gt;feed&lt;/b&gt; is gone &lt;script&gt;alert(1)" in page
    assert "<b>feed</b>" not in page
    assert "<script>alert" not in client.get("/apps/sad").text


def test_the_first_page_says_what_mlwild_status_says(client, store):
    page = words_of(client.get("/").text)
    found = status(store)
    assert len(found) == 2
    for one in found:
        assert f"{one.app} {state_of(one)} {one.live} since {one.since}," in page
        kept = f"{one.kept} of {one.of} " if one.of else ""
        assert f"{kept}{one.last} {one.following}" in page
        assert one.alarm.replace("<", "&lt;").replace(">", "&gt;").replace("'", "&#39;") in page
    assert client.get("/api/apps").json() == [json.loads(json.dumps(one.as_dict())) for one in found]


def test_a_life_is_shown_as_the_ledger_tells_it(client, store):
    ledger = ledger_of(world(), store)
    sheet = life_sheet(ledger)
    assert client.get("/api/apps/small").json() == json.loads(json.dumps(sheet))
    page = client.get("/apps/small?show=all").text
    said = words_of(page)
    assert f"{sheet['status']['kept']} of {sheet['status']['of']}" in said
    rows = re.findall(r'<tr><th scope="row">(\d+)</th>(.*?)</tr>', page[page.index('id="ticks"') :], re.DOTALL)
    assert [at for at, _ in rows] == [one["at"] for one in reversed(sheet["periods"])]
    promised = {fact.cutoff: fact.body for fact in ledger.of("promised")}
    came = {one["period"]: one for fact in ledger.of("scored") for one in fact.body["periods"]}
    decided = {fact.cutoff: fact.body for fact in ledger.of("decided")}
    assert len(came) >= 4
    decimals = decimals_of(sheet["periods"])
    for one, (_, row) in zip(reversed(sheet["periods"]), rows, strict=True):
        told, k = words_of(row), one["cutoff"]
        assert told.startswith(f"{decided[k]['action']} {decided[k]['live']} {decided[k]['reason']}".strip())
        assert ("20" in told.split()) == (decided[k]["price"] == 20.0)
        assert number(promised[k]["estimate"], decimals) in told
        if k in came:
            word = {True: "kept", False: "missed", None: "not judged"}[came[k]["kept"]]
            assert told.endswith(f"{number(came[k]['loss'], decimals)} {word}")
    changed = client.get("/apps/small").text
    moves = [one for one in sheet["periods"] if one["action"] != "keep"]
    assert f'decisions that changed something <span class="low">{len(moves)}</span>' in changed
    assert changed.count("retrain</td>") == sum(one["action"] == "retrain" for one in moves)
    # The card that the tick left beside the ledger shows the same.
    card = (store / "operate" / "small" / "card.html").read_text()
    assert f"{sheet['status']['kept']} of {sheet['status']['of']}" in card


def test_what_kept_an_app_from_being_operated_is_said_everywhere(client, store):
    """It is no fact of the ledger, and stands beside it."""
    where = r"conftest\.py, line \d+, in gone raised RuntimeError"
    said = rf"it could not be operated: {where}: the &lt;b&gt;feed&lt;/b&gt; is gone"
    for page in (client.get("/").text, client.get("/apps/sad").text, (store / "operate/sad/card.html").read_text()):
        assert re.search(said, page)
    assert "It needs you." in client.get("/apps/sad").text
    assert client.get("/api/apps/sad").json()["status"]["alarm"].startswith("it could not be operated")


def test_the_ledger_is_shown_fact_by_fact(client, store):
    facts = ledger_of(world(), store).facts
    page = client.get("/apps/small/facts").text
    assert re.findall(r"<tr><td>(\d+)</td>", page) == [str(k) for k in range(len(facts), 0, -1)]
    assert re.findall(r'<td class="left">(\w+)</td>', page) == [fact.kind for fact in reversed(facts)]
    told = client.get("/api/apps/small/facts").json()
    assert told["total"] == len(facts)
    assert told["facts"][0] == {"kind": facts[0].kind, "cutoff": facts[0].cutoff, "body": dict(facts[0].body)}


def test_the_card_of_a_rehearsal_may_do_nothing(client, store):
    answer = client.get("/cards/small")
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"].endswith("sandbox")
    assert "<script" not in answer.text
    assert client.get("/cards/none").status_code == 404
    assert '<a href="/cards/small">' in client.get("/cards").text
    assert client.get("/api/cards").json() == ["small"]
    recommended = json.loads((store / "sheets" / "small.json").read_text())["recommended"]["rule"]
    assert recommended in answer.text


def test_a_sheet_that_is_damaged_is_said(tmp_path):
    (tmp_path / "sheets").mkdir()
    (tmp_path / "sheets" / "half.json").write_text('{"app": "ha')
    with browser(tmp_path) as client:
        answer = client.get("/cards/half")
    assert answer.status_code == 500
    assert "the sheet of &#39;half&#39; is damaged. Run mlwild rehearse again." in answer.text


def test_it_writes_nothing_and_waits_for_no_lock(client, store):
    def state():
        return {path: path.stat().st_mtime_ns for path in Path(store).rglob("*")}

    before = state()
    with (store / "operate" / "small" / "tick.lock").open("r") as held:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)  # as a tick that runs does
        for path in ("/", "/apps/small", "/apps/small/facts", "/runs", "/runs?by=app", "/cards", "/cards/small"):
            assert client.get(path).status_code == 200
            assert client.get("/api" + path.split("?")[0]).status_code in (200, 404)
    assert state() == before


def test_a_damaged_ledger_hides_no_other_app(tmp_path):
    for name in ("good", "bad"):
        made = world()
        made.app = replace(made.app, name=name)
        made.now = 301
        operate(made.app, rule=rules.Never(), begin=250, store=tmp_path)
    path = tmp_path / "operate" / "bad" / "ledger.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"rows": ', b'"rows": 1', 1))
    with browser(tmp_path) as client:
        page = client.get("/").text
        assert ">good<" in page
        assert "line 2 of operate/bad/ledger.jsonl does not agree with its digest" in page
        assert str(tmp_path) not in page
        answer = client.get("/apps/bad")
        assert answer.status_code == 500
        assert "does not agree with its digest" in answer.text
        assert str(tmp_path) not in answer.text
        assert client.get("/api/apps/bad").json()["error"].startswith("ledger: line 2 of operate/bad/")
        assert client.get("/apps/good").status_code == 200


def test_a_line_that_is_half_written_is_not_there_yet(tmp_path):
    ledger = long_life(tmp_path, "slow", 5)
    path, whole = tmp_path / "operate" / "slow" / "ledger.jsonl", len(ledger.facts)
    with path.open("ab") as file:
        file.write(b'{"kind": "observed", "cutoff": 9, "bo')
    with browser(tmp_path) as client:
        assert client.get("/").status_code == client.get("/apps/slow").status_code == 200
        assert client.get("/api/apps/slow/facts").json()["total"] == whole
        ledger.append(Fact("observed", 9, {"at": "2026-11-24", "rows": 1, "labels": 1, "alarm": ""}))
        assert client.get("/api/apps/slow/facts").json()["total"] == whole + 1


def test_a_life_that_goes_on_while_it_is_read(tmp_path):
    ledger = long_life(tmp_path, "busy", 30)
    first, stop, seen = len(ledger.facts), threading.Event(), []

    def write():
        cutoff = 40
        while not stop.is_set() and cutoff < 2000:
            ledger.append(Fact("observed", cutoff, {"at": "2026-11-24", "rows": 1, "labels": 1, "alarm": ""}))
            cutoff += 1

    writer = threading.Thread(target=write)
    with browser(tmp_path) as client:
        writer.start()
        try:
            for _ in range(15):
                assert client.get("/").status_code == client.get("/apps/busy").status_code == 200
                seen.append(client.get("/api/apps/busy/facts").json()["total"])
        finally:
            stop.set()
            writer.join()
        assert seen == sorted(seen)
        assert seen[-1] > first
        assert client.get("/api/apps/busy/facts").json()["total"] == len(Ledger(ledger.path).facts)


def test_a_life_of_one_period_shows_what_was_promised_of_it(tmp_path):
    long_life(tmp_path, "young", 1)
    with browser(tmp_path) as client:
        page = client.get("/apps/young").text
    drawn = {
        kind: [
            [float(at) for at in re.split("[ L]", path)]
            for path in re.findall(rf'd="M([\d. L]+)Z?" class="{kind}"', page)
        ]
        for kind in ("band", "fresh")
    }
    band, line = (max(paths, key=lambda path: max(path[::2]) - min(path[::2])) for paths in drawn.values())
    assert (min(band[::2]), max(band[::2])) == (min(line[::2]), max(line[::2]))
    assert max(line[::2]) - min(line[::2]) > 300
    assert min(band[1::2]) < line[1] == line[3] < max(band[1::2])


def test_an_app_that_is_removed_is_gone(tmp_path):
    ledger = long_life(tmp_path, "gone", 3)
    with browser(tmp_path) as client:
        assert client.get("/apps/gone").status_code == 200
        ledger.path.unlink()
        answer = client.get("/apps/gone")
        assert answer.status_code == 404
        assert "No app &#39;gone&#39; is in operation here." in answer.text
        assert "No app is in operation" in client.get("/").text


@pytest.mark.parametrize(
    "lose", [lambda path: path.unlink(), lambda path: path.write_bytes(b"")], ids=["gone", "empty"]
)
def test_an_app_that_is_live_and_has_lost_its_ledger_is_not_said_to_be_out_of_operation(tmp_path, lose):
    ledger = long_life(tmp_path, "lost", 3)
    (ledger.path.parent / "live.json").write_text('{"live": "2"}')
    lose(ledger.path)
    said = "ledger: operate/lost/ledger.jsonl is gone or empty, and live.json beside it says that something is live."
    with browser(tmp_path) as client:
        assert said[:-1] in client.get("/").text
        assert said in client.get("/apps/lost").text
        assert client.get("/api/apps/lost").json()["error"].startswith(said)


def test_a_ledger_is_read_again_only_when_it_has_changed(tmp_path):
    workspace = Workspace(tmp_path)
    ledger = long_life(tmp_path, "long", 20)
    with TestClient(site(workspace), base_url=HERE) as client:
        for path in ("/apps/long", "/apps/long?show=all", "/apps/long/facts", "/api/apps/long"):
            assert client.get(path).status_code == 200
        assert workspace.lives.reads == 1
        ledger.append(Fact("failed", 22, {"part": "published", "why": "the disk is full"}))
        assert "the disk is full" in client.get("/apps/long").text
        assert workspace.lives.reads == 2
        for k in range(KEPT + 3):
            long_life(tmp_path, f"more{k}", 2)
            client.get(f"/apps/more{k}")
        assert len(workspace.lives._kept) == KEPT


def test_a_life_of_five_thousand_ticks_is_a_small_page(tmp_path):
    ledger = long_life(tmp_path, "old", 5000, retrain=2, alarmed=2500, every=1)
    with browser(tmp_path) as client:
        for path in (
            "/apps/old",
            "/apps/old?show=all&page=7",
            "/apps/old?show=alarms",
            "/apps/old?show=missed&page=99999",
        ):
            page = client.get(path).text
            assert len(page) < 200_000
            ticks = page[
                page.index('id="ticks"') : page.index(
                    "The ledger&#39;s last facts" if "ledger&#39;s last" in page else "last facts"
                )
            ]
            assert 1 <= ticks.count("<tr>") - 1 <= TICKS
            assert page.count("<path") < 600
        assert "Ticks 241 to 280 of 5,000" in client.get("/apps/old?show=all&page=7").text
        facts = client.get("/apps/old/facts?page=301")
        assert facts.text.count("<tr>") - 1 == len(ledger.facts) % FACTS == 1
        assert ">opened<" in facts.text
        assert len(facts.content) < 200_000
    assert len(life_html(life_sheet(ledger))) < 400_000


def test_every_missed_promise_of_a_long_life_is_marked(tmp_path):
    sheet = life_sheet(long_life(tmp_path, "long", 500))
    missed = sum(one["kept"] is False for one in sheet["periods"])
    assert missed > 50
    page = life_html(sheet)
    assert page.count(f"<title>{missed} periods outside</title>") == 2  # drawn for wide windows and for narrow ones
    assert "each point is the mean of 4 periods" in page
    assert "a diamond came outside it" not in page


def test_a_thousand_apps_are_shown_a_page_at_a_time(tmp_path):
    ledger = long_life(tmp_path, "app-0", 3)
    for k in range(1, 130):
        folder = tmp_path / "operate" / f"app-{k}"
        folder.mkdir()
        (folder / "ledger.jsonl").write_bytes(ledger.path.read_bytes())
        keep_state(Ledger(folder / "ledger.jsonl"), folder, replace(status_of(ledger), app=f"app-{k}"))
    with browser(tmp_path) as client:
        first, second = client.get("/").text, client.get("/?page=2").text
        assert first.count('<tbody class="') == 100
        assert second.count('<tbody class="') == 30
        assert "Apps 1 to 100 of 130" in first
        assert client.get("/?text=pp-12").text.count('<tbody class="') == 11  # 12 and 120 to 129
        assert "No app in operation has zzz in its name." in client.get("/?text=zzz").text


def test_an_empty_workspace_says_how_to_begin(tmp_path):
    with browser(tmp_path / "none") as client:
        page = words_of(client.get("/").text)
        assert "No app is in operation. Begin with mlwild operate APP.py" in page
        assert "No run is on record" in client.get("/runs").text
        assert "There is no card." in client.get("/cards").text
        assert client.get("/api/apps").json() == client.get("/api/cards").json() == []
    assert not (tmp_path / "none").exists()
