"""A person clicks through the pages, in a real browser."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from mlwild.ledger import Fact
from mlwild.operating import status
from mlwild.operating.status import keep_status
from mlwild.web import Workspace, site
from tests.web.lives import long_life
from tests.web.test_runs import many

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
playwright = pytest.importorskip("playwright.sync_api")
with_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
UI = [sys.executable, "-m", "mlwild.cli", "ui"]


@contextmanager
def served(store):
    """Serve a workspace by the command, and give its address; it must end well."""
    command = [*UI, "--port", "0", "--store", str(store)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        said = server.stdout.readline()
        yield re.match(r"http://127\.0\.0\.1:\d+/", said)[0]
    finally:
        server.send_signal(signal.SIGINT)
        out, err = server.communicate(timeout=30)
    assert (server.returncode, out, err) == (0, "", "")


@contextmanager
def served_here(workspace):
    """Serve a workspace from this process, and give its address."""
    import uvicorn

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        config = uvicorn.Config(site(workspace), log_level="warning", access_log=False, ws="none", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join(timeout=30)
    assert not thread.is_alive()


@contextmanager
def watched(address, **words):
    """Open a browser that complains of errors on the pages and of requests that leave the address."""
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(**words)
        asked, complaints = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda problem: complaints.append(str(problem)))
        yield page
        browser.close()
    assert not complaints
    assert [url for url in asked if not url.startswith(address)] == []


@with_chromium
def test_a_click_through(store):
    found = {one.app: one for one in status(store)}
    with served(store) as address, watched(address) as page:
        page.goto(address)
        assert page.title() == "(1) Apps · mlwild"
        assert page.get_by_text("1 of 2 apps need you.").is_visible()
        page.get_by_role("link", name="small", exact=True).click()
        page.wait_for_url("**/apps/small")
        small = found["small"]
        assert page.get_by_text(f"vintage {small.live} is live since {small.since}").is_visible()
        assert page.get_by_text(f"{small.kept} of {small.of}", exact=True).is_visible()
        chart = page.locator("figure .wide svg")
        assert chart.is_visible()
        assert chart.locator("path.n1").first.is_visible()  # the strip
        assert chart.locator("path.band").first.is_visible()  # the promises
        page.get_by_role("link", name="every tick").click()
        page.wait_for_url("**show=all**")
        assert page.locator("#ticks > .scroll tbody tr").count() == small.ticks
        page.get_by_text("The ledger's last facts").click()
        page.get_by_role("link", name=re.compile("All .* facts")).click()
        page.wait_for_url("**/apps/small/facts")
        assert page.locator("#facts tbody tr").first.locator("td").nth(1).inner_text() == "ticked"
        page.get_by_role("link", name="Runs", exact=True).click()
        page.wait_for_url("**/runs")
        page.locator("select[name=kind]").select_option("comparison")  # the script sends the form
        page.wait_for_url("**kind=comparison**")
        page.locator("select[name=by]").select_option("method")
        page.wait_for_url("**by=method**")
        assert page.locator("#groups tbody tr").count() == 3
        assert page.get_by_role("button", name="Side by side").is_disabled()
        page.get_by_role("link", name="n", exact=True).click()  # from the least on
        page.wait_for_url("**sort=metric**")
        assert page.locator("#runs tbody tr").first.get_by_text("method m1").is_visible()
        boxes = page.locator("#runs input[type=checkbox]")
        boxes.nth(0).check()
        boxes.nth(2).check()
        assert page.get_by_text("2 picked.").is_visible()
        page.get_by_role("button", name="Side by side").click()
        page.wait_for_url("**/runs/compare**")
        assert page.locator("#settings").get_by_text("m3").is_visible()
        assert [cell.inner_text() for cell in page.locator("#numbers tbody td").all()] == ["1", "3", "2"]
        assert not page.locator("#same-settings").is_visible()
        page.get_by_text("What is the same").click()
        assert page.locator("#same-settings").is_visible()
        page.locator("#numbers thead a").first.click()
        page.wait_for_url(re.compile("/runs/[0-9a-f]{32}$"))
        assert page.frame_locator("iframe").get_by_text("card", exact=True).is_visible()
        page.get_by_role("link", name="Cards", exact=True).click()
        page.get_by_role("link", name="small", exact=True).click()
        page.wait_for_url("**/cards/small")
        assert page.locator("svg").first.is_visible()
        page.goto(address + "apps/sad")
        assert page.get_by_text("It needs you.").is_visible()
        assert page.get_by_text("<script>alert(1)</script>").first.is_visible()


@with_chromium
def test_a_choice_of_runs_is_kept_from_page_to_page(tmp_path):
    found = many(250)
    with served_here(Workspace(tmp_path, read_runs=lambda _: found)) as address, watched(address) as page:
        page.goto(address + "runs")
        page.locator("#runs input").nth(3).check()
        page.get_by_role("link", name="more").click()
        page.wait_for_url("**page=2**")
        assert page.get_by_text("1 picked, 1 of them not on this page.").is_visible()
        page.locator("#runs input").nth(0).check()
        page.get_by_role("button", name="Side by side").click()
        page.wait_for_url("**/runs/compare**")
        heads = [head.get_attribute("href") for head in page.locator("#numbers thead a").all()]
        assert set(heads) == {f"/runs/{found[3].id}", f"/runs/{found[100].id}"}
        page.go_back()
        page.get_by_role("button", name="Drop the choice").click()
        assert page.get_by_text("Pick 2 to 8 runs.").is_visible()
        assert page.locator("#runs input:checked").count() == 0


@with_chromium
def test_a_page_that_is_left_open_follows_the_life(tmp_path):
    ledger = long_life(tmp_path, "watched", 12)
    with served_here(Workspace(tmp_path)) as address, watched(address) as page:
        page.goto(address)
        assert page.get_by_text("The one app in operation is well.").is_visible()
        ledger.append(Fact("failed", 14, {"part": "decided", "why": "DataError: the feed is gone"}))
        keep_status(ledger, ledger.path.parent)
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # as when one comes back to it
        page.get_by_text("1 of 1 app needs you.").wait_for()
        assert page.get_by_text("the feed is gone").is_visible()
        assert page.title() == "(1) Apps · mlwild"
        assert page.locator("#lost").is_hidden()


@with_chromium
def test_a_page_whose_server_has_ended_says_so(tmp_path):
    long_life(tmp_path, "watched", 12)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        with served_here(Workspace(tmp_path)) as address:
            page.goto(address)
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        page.get_by_text(
            re.compile(r"mlwild ui does not answer any more. What you see is how it was at \d\d:\d\d UTC")
        ).wait_for()
        browser.close()


@with_chromium
def test_a_page_that_is_left_open_says_what_is_wrong_and_goes_on_when_it_is_mended(tmp_path):
    path = long_life(tmp_path, "watched", 12).path
    sound = path.read_bytes()
    with playwright.sync_playwright() as driver, served_here(Workspace(tmp_path)) as address:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(address + "apps/watched")
        path.write_bytes(sound.replace(b'"rows": ', b'"rows": 1', 1))
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        page.get_by_text("ledger.jsonl does not agree with its digest").wait_for()
        assert page.title() == "(1) Not shown · mlwild"
        assert page.locator("#lost").is_hidden()
        path.write_bytes(sound)
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        page.get_by_role("heading", name="watched").wait_for()
        browser.close()


@with_chromium
@pytest.mark.parametrize("width", [390, 1400])
def test_no_page_is_wider_than_the_window(tmp_path, width):
    name = "an-app-whose-name-somebody-wrote-out-in-full-for-all-regions-and-both-kinds-of-customer"
    long_life(tmp_path, name, 30, broken="DataError: " + "no/space/in/this/path/" * 12)
    long_life(tmp_path, "b", 170, loss=31234.5)
    found = many(150, commit="0123456789abcdef" * 2)
    workspace = Workspace(tmp_path, read_runs=lambda _: found)
    window = {"width": width, "height": 800}
    with served_here(workspace) as address, watched(address, viewport=window, color_scheme="dark") as page:
        ids = "&".join(f"id={run.id}" for run in found[:8])
        paths = (
            "",
            f"apps/{name}",
            "apps/b?show=all",
            f"apps/{name}/facts",
            "runs?by=rule",
            f"runs/compare?{ids}",
            f"runs/{found[0].id}",
        )
        for path in paths:
            page.goto(address + path)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_a_port_that_is_taken_is_said(store):
    with served(store) as address:
        port = address.rsplit(":", 1)[1].strip("/")
        command = [*UI, "--port", port, "--store", str(store)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ), timeout=60)
    assert done.returncode == 2
    assert f"127.0.0.1:{port} cannot be listened at" in done.stderr
    assert "name another port" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_address_that_is_not_this_machines_is_said(tmp_path):
    command = [*UI, "--host", "203.0.113.7"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path)
    assert done.returncode == 2
    assert "203.0.113.7:8642 cannot be listened at" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_store_that_is_not_there_is_served_and_not_made(tmp_path):
    import urllib.request

    with served(tmp_path / "none") as address, urllib.request.urlopen(address, timeout=20) as answer:
        assert "No app is in operation." in answer.read().decode()
    assert not Path(tmp_path / "none").exists()
