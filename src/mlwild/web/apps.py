"""All apps at a glance."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlwild.card.life import SHORT
from mlwild.operating import Status
from mlwild.web.words import promise
from mlwild.wording import count, number


def view(found: Sequence[Status], store: Path) -> dict[str, Any]:
    """Return what the page of all apps shows: those with an alarm first."""
    red = [one for one in found if one.alarm]
    living = {one.app for one in found}
    sheets = sorted(path.stem for path in store.glob("sheets/*.json"))
    return {
        "rows": [_row(one) for one in found],
        "alarms": len(red),
        "apps": count(len(found)),
        "first": red[0].app if red else "",
        "rehearsed_only": [name for name in sheets if name not in living],
        "folder": store.name,
    }


def _row(one: Status) -> dict[str, Any]:
    came = one.came or {}
    word = {True: "kept", False: "missed", None: "not judged"}.get(came.get("kept")) if came else ""
    return {
        "app": one.app,
        "alarm": one.alarm,
        "state": "alarm" if one.alarm else "watch" if one.kept < SHORT * one.of else "well",
        "live": one.live,
        "since": one.since,
        "age": count(one.age),
        "promised": promise(one.promised),
        "came": "" if came.get("loss") is None else number(came["loss"], 3),
        "word": word,
        "kept": f"{one.kept} of {one.of}" if one.of else "",
        "last": one.last,
        "following": one.following,
        "rule": one.rule,
        "challenger": one.challenger,
    }


def sheet_at(path: Path) -> dict[str, Any]:
    """Read the answer sheet of a rehearsal."""
    return dict(json.loads(path.read_text(encoding="utf-8")))
