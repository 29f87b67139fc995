"""A life as plain data: what the ledger says, one row a period, for whoever draws it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlwild.card import life_html
from mlwild.disk import write_atomically
from mlwild.ledger import Ledger
from mlwild.operating.lived import Lived, lived
from mlwild.operating.status import Status, kept_status, status_of

CARD = "card.html"
#: What a tick leaves, in order.
PARTS = ("observed", "decided", "fitted", "scored", "shadowed", "registered", "promised", "published", "ticked")


def life_sheet(ledger: Ledger, status: Status | None = None) -> dict[str, Any] | None:
    """
    Return a life as plain data; None where none was opened.

    Parameters
    ----------
    ledger : Ledger
    status : Status, optional
        As it was left beside the ledger: it may know of a trouble that is no fact of the life.

    Returns
    -------
    dict
        ``status`` as `mlwild.operating.Status`; ``unit`` of prices and name of the ``loss``; ``periods``, one a tick,
        with what was decided, promised and came; ``orders`` of people; ``failures``; ``lives`` opened so far.
    """
    life = lived(ledger)
    if life is None:
        return None
    status = status or status_of(ledger)
    assert status is not None
    opened = life.opened.body
    failures = [
        {name: fact.body.get(name, "") for name in ("at", "part", "where", "why")} | {"cutoff": fact.cutoff}
        for fact in life.facts
        if fact.kind == "failed"
    ]
    ticked = {fact.cutoff: fact.body["at"] for fact in life.facts if fact.kind == "ticked"}
    orders = [
        {"cutoff": one.cutoff, "at": ticked.get(one.cutoff, ""), "live": one.body["live"], "why": one.body["why"]}
        for one in life.orders
    ]
    return {
        "status": status.as_dict(),
        "opened": opened["at"],
        "loss": opened.get("loss", ""),
        "unit": opened.get("unit", ""),
        "rule": opened["rule"]["name"],
        "periods": _periods(life),
        "orders": orders,
        "failures": failures,
        "lives": len(ledger.of("opened")),
        "facts": len(ledger.facts),
    }


def keep_card(ledger: Ledger, folder: Path) -> None:
    """Leave the card beside the ledger: what a tick publishes for people."""
    sheet = life_sheet(ledger, kept_status(folder))
    if sheet is not None:
        page = life_html(sheet).encode()
        write_atomically(folder / CARD, lambda file: file.write(page))


def _periods(life: Lived) -> list[dict[str, Any]]:
    by_cutoff: dict[int, dict[str, Mapping[str, Any]]] = {}
    for fact in life.facts:
        if fact.kind in PARTS:
            by_cutoff.setdefault(fact.cutoff, {})[fact.kind] = fact.body
    came: dict[int, Mapping[str, Any]] = {}
    worst: dict[int, Mapping[str, Any]] = {}
    for parts in by_cutoff.values():
        for one in parts.get("scored", {}).get("periods", ()):
            came[one["period"]] = one
        for one in parts.get("scored", {}).get("worst", ()):
            worst[one["period"]] = one
    made = []
    for one in life.decided:
        parts = by_cutoff.get(one.cutoff, {})
        promised, outcome = parts.get("promised", {}), came.get(one.cutoff, {})
        bound, passed = promised.get("worst") or {}, worst.get(one.cutoff, {})
        observed = parts.get("observed", {})
        alarm = observed.get("alarm") or parts.get("scored", {}).get("alarm", "")
        made.append(
            {
                "cutoff": one.cutoff,
                "at": observed.get("at", ""),
                "action": one.action,
                "live": str(one.live),
                "age": one.cutoff - one.live.cutoff,
                "reason": one.reason,
                "price": one.price,
                "rows": observed.get("rows"),
                "labels": observed.get("labels"),
                "promised": promised.get("estimate"),
                "low": promised.get("low"),
                "high": promised.get("high"),
                "came": outcome.get("loss"),
                "n": outcome.get("n"),
                "kept": outcome.get("kept"),
                "undefined": outcome.get("undefined", 0),
                "replaced": outcome.get("replaced", ""),
                "worst_high": bound.get("high"),
                "worst_horizon": bound.get("horizon"),
                "worst_came": passed.get("came"),
                "worst_kept": passed.get("kept"),
                "alarm": alarm,
                "challenger": parts.get("shadowed", {}).get("said", ""),
                "done": "ticked" in parts,
            }
        )
    return made
