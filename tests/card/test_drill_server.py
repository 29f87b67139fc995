"""The page of a server's drill: what was too late is told with the limit that it was held against."""

from types import SimpleNamespace

from mlwild.card.drill_server import server_drill_html
from mlwild.show.drill_server import _table


def _cell(**more):
    return {
        "fault": "worker hangs", "what": "SIGSTOP", "asked": 4000, "answered": 4000, "away": 0, "turned": 0, "silent": 0,
        "rows": {"normal": 3999, "fallback": 1}, "slowest": 520.0, "late": 0, "detected": 0.5, "recovered": 1.1,
        "lost": 0, "doubled": 0, "wrong": 0, "unsound": 0, "memory": (100.0, 101.0), "available": 1.0, "fails": False,
    } | more  # fmt: skip


def test_the_slowest_answer_stands_beside_the_limit_it_was_held_against():
    found = {
        "app": "churn", "vintage": "7", "failed": False, "deadline": 0.5, "seconds": 3.0, "clients": 4, "skipped": [],
        "notes": [], "cells": [_cell()], "clean": _cell(fault="none", rows={"normal": 9}, slowest=20.0),
    }  # fmt: skip
    made = server_drill_html(found)
    assert "520 ms" in made
    assert "deadline 500 ms; 0 later than that and 100 ms" in made
    assert "under 0.1% fallback" in made
    assert "while each fault lasts 3 seconds" in made
    assert "while each fault lasts 1.5 seconds" in server_drill_html(found | {"seconds": 1.5})


def test_requests_are_counted_while_there_was_a_server_also_where_it_was_killed():
    killed = _cell(fault="server killed", asked=900, answered=100, away=780, turned=18, silent=2)
    found = {
        "app": "churn", "vintage": "7", "failed": ["x"], "deadline": 0.5, "seconds": 3.0, "clients": 4, "skipped": [],
        "notes": [], "cells": [killed, _cell()], "clean": _cell(fault="none"),
    }  # fmt: skip
    assert "of 4,120 while there was a server" in server_drill_html(found)


def test_how_long_a_fault_lasts_is_told_as_it_was_asked_for():
    calm = SimpleNamespace(**_cell())
    for seconds, said in ((1.5, "1.5 s"), (3.0, "3 s")):
        found = SimpleNamespace(seconds=seconds, vintage="7", cells=(calm,), clean=calm)
        assert _table(found).title == f"Each fault for {said} and the recovery, vintage 7"
