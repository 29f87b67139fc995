"""All apps at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from mlwild.card.life import SHORT
from mlwild.operating import Status
from mlwild.web.paging import page_of
from mlwild.web.pictures import within
from mlwild.web.words import KEPT, outcome, promise
from mlwild.wording import count

#: Apps that one page shows.
EACH = 100


def state_of(one: Status) -> str:
    """Say how an app is doing: ``alarm``, ``watch`` (fewer promises kept than should be) or ``well``."""
    return "alarm" if one.alarm else "watch" if one.kept < SHORT * one.of else "well"


def view(found: Sequence[Status], rehearsed: Sequence[str], *, text: str = "", at: int = 1) -> dict[str, Any]:
    """Return what the page of all apps shows: those with an alarm first."""
    living = {one.app for one in found}
    kept = [one for one in found if text.lower() in one.app.lower()]
    page = page_of(len(kept), at, EACH)
    states = [state_of(one) for one in found]
    return {
        "rows": [_row(one) for one in page.of(kept)],
        "alarms": states.count("alarm"),
        "watched": states.count("watch"),
        "apps": len(found),
        "text": text,
        "searchable": len(found) > 12,
        "links": page.links(lambda to: "/?" + urlencode({"text": text, "page": to})),
        "rehearsed_only": [name for name in rehearsed if name not in living],
    }


def _row(one: Status) -> dict[str, Any]:
    came = one.came or {}
    said, bounds = promise(one.promised)
    return {
        "app": one.app,
        "alarm": one.alarm,
        "state": state_of(one),
        "live": one.live,
        "since": one.since,
        "age": f"{count(one.age)} period{'s' * (one.age != 1)} old" if one.live else "",
        "promised": said,
        "bounds": bounds,
        "came": outcome(came) if came else "",
        "of": came.get("from", ""),
        "word": KEPT.get(came.get("kept"), "") if came else "",
        "picture": within(came.get("low"), came.get("high"), came.get("loss")),
        "kept": f"{count(one.kept)} of {count(one.of)}" if one.of else "",
        "last": one.last,
        "following": one.following,
        "rule": one.rule,
        "challenger": one.challenger,
        "share": one.share,
        "settled": one.settled,
        "running": one.running,
    }
