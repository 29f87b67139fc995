"""Runs: filtered, grouped, sorted, a page at a time, and side by side; each figure as plain loops give it."""

from __future__ import annotations

import re
from statistics import median

import numpy as np
import pytest
from fastapi.testclient import TestClient

from mlwild.versions import Run
from mlwild.web import Workspace, site
from mlwild.web.run_pages import GROUPS, ROWS, view
from mlwild.web.runs import Asked, chosen, grouped, quantile
from tests.web.conftest import HERE


def many(n, **words):
    """Return so many runs, newest first."""
    return [
        Run(f"{k:032x}", f"app{k % 7}", "rehearsal", "user", f"2026-01-01T00:{59 - k % 60:02}:00+00:00", float(k % 11),
            "failed" if k % 50 == 49 else "finished", {"rule": f"every {k % 300}", "seed": str(k % 5)},
            {"cost": float(k % 997), "regret": float(k)}, **words)
        for k in range(n)
    ]  # fmt: skip


def pages(tmp_path, found):
    """Return a browser of sorts for some runs."""
    return TestClient(site(Workspace(tmp_path, read_runs=lambda _: found)), base_url=HERE)


def test_runs_on_record_are_grouped_and_set_side_by_side(client):
    page = client.get("/runs?by=method&metric=n&kind=comparison").text
    assert "3 of " in page
    assert re.findall(r">m(\d)</a></th><td>(\d+)</td>", page) == [("1", "1"), ("2", "1"), ("3", "1")]
    told = client.get("/api/runs?kind=comparison&sort=metric&metric=n").json()
    assert told["total"] == 3
    assert [run["metrics"]["n"] for run in told["runs"]] == [1.0, 2.0, 3.0]
    ids = [run["id"] for run in told["runs"]]
    side = client.get(f"/runs/compare?id={ids[0]}&id={ids[2]}").text
    assert '<td class="least">1</td><td class="greatest">3</td>' in re.sub(r"\.0+<", "<", side)
    differ, same = side.split("What is the same")
    assert "m1" in differ
    assert '<td class="wrap">same</td>' in same
    made = client.get(f"/api/runs/compare?id={ids[0]}&id={ids[2]}").json()
    assert made["settings_differ"]["method"] == ["m1", "m3"]
    assert made["settings_same"]["rule"] == ["same", "same"]
    assert made["numbers_differ"] == {"n": [1.0, 3.0]}
    assert client.get(f"/runs/{ids[0]}").status_code == 200
    assert client.get(f"/api/runs/{ids[0]}").json()["params"]["method"] == "m1"
    card = client.get(f"/runs/{ids[0]}/card")
    assert card.text == "<p>card</p>"
    assert "sandbox" in card.headers["content-security-policy"]


@pytest.mark.parametrize("ids", [[0], [0, 0], range(9), []])
def test_two_to_eight_fit_beside_each_other(tmp_path, ids):
    found = many(12)
    with pages(tmp_path, found) as client:
        answer = client.get("/runs/compare?" + "&".join(f"id={found[k].id}" for k in ids))
        assert answer.status_code == 400
        assert "Pick 2 to 8 runs" in answer.text
        assert client.get(f"/runs/compare?id={found[0].id}&id=none").status_code == 404


def test_ten_thousand_runs_are_grouped_exactly_and_shown_in_part():
    found = many(10_000)
    asked = Asked(by="rule", metric="cost")
    shown = view(found, asked)
    assert len(shown["rows"]) == ROWS
    assert shown["links"]["said"] == "1 to 100 of 10,000"
    assert (len(shown["groups"]), shown["groups_left"], shown["groups_in_all"]) == (GROUPS, "200", "300")
    whole = {one.name: one for one in grouped(found, asked)}
    for name in ("every 17", "every 299"):
        runs = [run for run in found if run.params["rule"] == name]
        costs = [run.metrics["cost"] for run in runs]
        one = whole[name]
        assert one.n == one.known == len(costs)
        assert one.failed == sum(run.status == "failed" for run in runs)
        assert one.figures == pytest.approx(np.quantile(costs, [0, 0.25, 0.5, 0.75, 1]))
        assert one.figures[2] == median(costs)
        assert one.spread == pytest.approx(np.subtract(*np.quantile(costs, [0.75, 0.25])))
        assert one.best.metrics["cost"] == one.value == min(costs)
    assert sum(one.n for one in whole.values()) == 10_000


def test_a_page_of_ten_thousand_runs_is_small(tmp_path):
    with pages(tmp_path, many(10_000)) as client:
        first = client.get("/runs?by=rule&metric=cost")
        assert len(first.content) < 200_000
        assert first.text.count('name="id"') == ROWS
        assert first.text.count("<svg") == GROUPS
        last = client.get("/runs?page=100").text
        assert f'value="{9999:032x}"' in last
        assert client.get("/runs?page=5000").text.count('name="id"') == ROWS  # the last one there is
        told = client.get("/api/runs?page=10").json()
        assert (told["total"], told["pages"], len(told["runs"])) == (10_000, 10, 1000)


def test_a_group_leads_to_its_runs_and_the_best_to_its_own(tmp_path):
    found = many(700)
    with pages(tmp_path, found) as client:
        page = client.get("/runs?by=seed&metric=regret&best=greatest&app=app3").text
        groups = page[page.index('id="groups"') : page.index('id="pick"')]
        rows = re.findall(r'<a href="([^"]+)">(\d)</a></th><td>(\d+)</td>.*?<a href="/runs/(\w+)">', groups)
        assert len(rows) == 5
        for address, seed, n, best in rows:
            runs = [run for run in found if run.params["seed"] == seed and run.app == "app3"]
            assert int(n) == len(runs)
            assert best == max(runs, key=lambda run: run.metrics["regret"]).id
            told = client.get("/api" + address.replace("&amp;", "&")).json()
            assert {run["id"] for run in told["runs"]} == {run.id for run in runs}
            assert f"seed = {seed}" in client.get(address.replace("&amp;", "&")).text


@pytest.mark.parametrize(
    ("asked", "keep"),
    [
        (Asked(app="app3"), lambda run: run.app == "app3"),
        (Asked(text="EVERY 17"), lambda run: "17" in run.params["rule"]),
        (Asked(text="seed=4 app2"), lambda run: run.params["seed"] == "4" and run.app == "app2"),
        (Asked(only=("seed=1", "rule=every 1")), lambda run: run.params == {"rule": "every 1", "seed": "1"}),
        (Asked(space="production"), lambda run: False),
        (Asked(kind="rehearsal"), lambda run: True),
    ],
)
def test_a_filter_keeps_what_it_says(asked, keep):
    found = many(2_000)
    assert chosen(found, asked) == [run for run in found if keep(run)]


def test_sorting_puts_what_is_not_known_last():
    found = [
        *many(5),
        Run("x", "a", "gate", "user", "", None, "running"),
        Run("y", "a", "gate", "user", "", 9.0, "failed", {}, {"cost": float("nan")}),
    ]
    for sort, first in (("metric", 0.0), ("-metric", 4.0)):
        runs = chosen(found, Asked(metric="cost", sort=sort))
        assert runs[0].metrics["cost"] == first
        assert [run.id for run in runs[-2:]] == ["x", "y"]
    assert [run.seconds for run in chosen(found, Asked(sort="-seconds"))] == [9.0, 4.0, 3.0, 2.0, 1.0, 0.0, None]
    assert chosen(found, Asked(sort="at")) == found[::-1]
    assert chosen(found, Asked(sort="nonsense")) == found


def test_groups_are_sorted_as_asked_and_numbers_as_numbers():
    found = [Run(str(k), "a", "fit", "user", "", 1.0, "finished", {"lr": lr}, {"auc": auc}) for k, (lr, auc) in enumerate(
        [("0.5", 0.7), ("10", 0.9), ("10", 0.1), ("2", 0.8), ("none", 0.6)])]  # fmt: skip
    asked = Asked(by="lr", metric="auc")
    assert asked.greatest  # by its name
    assert [one.name for one in grouped(found, asked)] == ["10", "0.5", "2", "none"]
    for order, names in {
        "name": ["0.5", "2", "10", "none"],
        "-best": ["10", "2", "0.5", "none"],
        "median": ["10", "none", "0.5", "2"],
        "spread": ["10", "0.5", "2", "none"],  # of one run there is no spread
    }.items():
        assert [one.name for one in grouped(found, Asked(by="lr", metric="auc", order=order))] == names


def test_what_is_no_number_is_neither_best_nor_counted(tmp_path):
    found = [Run(str(k), "a", "fit", "user", "", 1.0, "finished", {"m": "x"}, {"loss": value})
             for k, value in enumerate([float("nan"), 2.0, float("-inf"), 1.0])]  # fmt: skip
    (one,) = grouped(found, Asked(by="m", metric="loss"))
    assert (one.n, one.known, one.value, one.best.id) == (4, 2, 1.0, "3")
    with pages(tmp_path, found) as client:
        assert "(2 without the number)" in client.get("/runs?by=m&metric=loss").text
        assert [run["metrics"]["loss"] for run in client.get("/api/runs").json()["runs"]] == [None, 2.0, None, 1.0]
        assert client.get("/runs/compare?id=0&id=2").status_code == 200
        assert client.get("/api/groups?by=m&metric=loss").json()["groups"][0]["median"] == 1.5


def test_names_with_markup_and_odd_letters_are_shown_as_they_are(tmp_path):
    odd = '"><script>alert(1)</script>&=é'
    found = [
        Run(f"r{k}", odd, odd, "user", odd, 1.0, odd, {odd: odd}, {odd: 1.0 + k}, commit=odd, against=odd)
        for k in range(2)
    ]
    with pages(tmp_path, found) as client:
        page = client.get("/runs", params={"by": odd, "metric": odd, "text": "alert", "only": f"{odd}={odd}"})
        for answer in (page, client.get("/runs/r0"), client.get("/runs/compare?id=r0&id=r1")):
            assert answer.status_code == 200
            assert "<script>alert" not in answer.text
            assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer.text
        address = re.search(r'<th scope="row"><a href="(/runs\?[^"]+)"', page.text)[1].replace("&amp;", "&")
        assert client.get("/api" + address).json()["total"] == 2  # though the name has the sign in it


def test_quantiles_are_those_of_numpy():
    rng = np.random.default_rng(0)
    for n in (1, 2, 3, 10, 101):
        values = sorted(rng.normal(size=n).tolist())
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            assert quantile(values, share) == pytest.approx(np.quantile(values, share))


def test_the_record_is_read_again_only_when_it_has_changed(store, tmp_path):
    import shutil
    import sqlite3
    from contextlib import closing

    shutil.copy(store / "mlflow.db", tmp_path / "mlflow.db")
    workspace = Workspace(tmp_path)
    first = workspace.runs()
    assert workspace.runs() is first
    assert workspace.record.reads == 1
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as base, base:
        base.execute("update runs set lifecycle_stage = 'deleted' where run_uuid = ?", (first[0].id,))
    assert [run.id for run in workspace.runs()] == [run.id for run in first[1:]]
    assert workspace.record.reads == 2
