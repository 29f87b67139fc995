"""The life of one app, a page of ticks or facts at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from mlwild.card import life_view
from mlwild.card.life import decimals_of, tick_row
from mlwild.ledger import Fact
from mlwild.web.paging import page_of
from mlwild.wording import count

#: Ticks and facts that one page shows, and letters of a fact.
TICKS, FACTS, LETTERS = 40, 100, 600
#: Alarms that stand above the ticks.
ALARMS = 6

#: Which ticks can be asked for, and what that is called.
SHOWN: dict[str, tuple[str, Callable[[Mapping[str, Any]], bool]]] = {
    "changes": ("decisions that changed something", lambda one: one["action"] != "keep"),
    "all": ("every tick", bool),
    "missed": ("promises missed", lambda one: one["kept"] is False),
    "alarms": ("alarms", lambda one: bool(one["alarm"]) or one["action"] == "refused"),
}


def view(sheet: Mapping[str, Any], facts: Sequence[Fact], *, show: str, at: int) -> dict[str, Any]:
    """Return what the page of a life shows."""
    periods, name = sheet["periods"], sheet["status"]["app"]
    show = show if show in SHOWN else "changes"
    chosen = [one for one in reversed(periods) if SHOWN[show][1](one)]
    page, decimals = page_of(len(chosen), at, TICKS), decimals_of(periods)

    def address(show: str, to: int = 1) -> str:
        return f"/apps/{name}?" + urlencode({"show": show, "page": to}) + "#ticks"

    tabs = [
        {
            "said": said,
            "n": count(sum(test(one) for one in periods)),
            "address": address(key),
            "now": key == show,
        }
        for key, (said, test) in SHOWN.items()
    ]
    return life_view(sheet) | {
        "paged": True,
        "shown_alarms": ALARMS,
        "tabs": tabs,
        "ticks_shown": [tick_row(one, decimals) for one in page.of(chosen)],
        "links": page.links(lambda to: address(show, to)),
        "newest": facts_view(facts[-10:], len(facts)),
    }


def facts_page(facts: Sequence[Fact], name: str, at: int) -> dict[str, Any]:
    """Return what the page of a ledger shows: the newest facts first."""
    page = page_of(len(facts), at, FACTS)
    after = len(facts) - page.first
    return {
        "app": name,
        "total": count(len(facts)),
        "rows": facts_view(facts[len(facts) - page.after : after], after),
        "links": page.links(lambda to: f"/apps/{name}/facts?page={to}"),
    }


def facts_view(facts: Sequence[Fact], after: int) -> list[dict[str, Any]]:
    """Return facts as ready texts, the newest first; `after` is the number of the last one."""
    made = []
    for back, fact in enumerate(reversed(facts)):
        body = json.dumps(dict(fact.body), ensure_ascii=False)
        cut = body if len(body) <= LETTERS else body[:LETTERS] + " …"
        made.append({"number": count(after - back), "kind": fact.kind, "cutoff": fact.cutoff, "body": cut})
    return made
