"""The card of a life in production: what is live, what it promises, and what became of what it promised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from mlwild.card import chart_life
from mlwild.card.page import environment
from mlwild.card.svg import both
from mlwild.card.words import count, interval, number, percent, spread_decimals

#: Ticks that are listed, the newest first.
LISTED = 200
#: Share of kept promises below which a card does not say that all is well, though chance may explain it.
SHORT = 0.8
_WORDS = {True: "kept", False: "missed", None: "not judged"}


def life_html(sheet: Mapping[str, Any]) -> str:
    """
    Return the card of a life: one HTML file that needs no network.

    Parameters
    ----------
    sheet : mapping
        See `mlwild.operating.life_sheet.life_sheet`.
    """
    return environment().get_template("life_card.html").render(life_view(sheet)) + "\n"


def life_view(sheet: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything that the template shows, as ready texts and pictures."""
    status, periods = sheet["status"], sheet["periods"]
    newest = list(reversed(periods))
    decimals = decimals_of(periods)
    return {
        "app": status["app"],
        "status": status,
        "rule": sheet["rule"],
        "loss": chart_life.loss_name(sheet),
        "merged": chart_life.step_size(sheet),
        "unit": sheet["unit"],
        "needs_you": status["alarm"],
        "short": f"{status['kept']} of {status['of']}"
        if status["of"] and status["kept"] < SHORT * status["of"]
        else "",
        "figures": _figures(sheet, decimals),
        "chart": both(partial(chart_life.life, sheet)) if periods else "",
        "marks": [
            word
            for word in ("start", "retrain", "update", "fall back", "refused")
            if any(one["action"] == word for one in periods)
        ],
        "challenger": status["challenger"],
        "share": status.get("share", 0.0),
        "settled": status.get("settled", False),
        "alarms": _alarms(newest)[:20],
        "changes": [tick_row(one, decimals) for one in newest if one["action"] != "keep"][:LISTED],
        "rows": [tick_row(one, decimals) for one in newest[:LISTED]],
        "left_out": max(len(periods) - LISTED, 0),
        "orders": list(reversed(sheet["orders"]))[:20],
        "failures": list(reversed(sheet["failures"]))[:20],
        "lives": sheet["lives"],
        "facts": f"{sheet['facts']:,}",
        "opened": sheet["opened"],
        "ticks": count(len(periods), "tick"),
        "priced": any(one["price"] for one in periods),
    }


def decimals_of(periods: Sequence[Mapping[str, Any]]) -> int:
    """Return the decimals that tell what was promised and what came apart."""
    return spread_decimals([one[name] for one in periods for name in ("promised", "came")], 3)


def _figures(sheet: Mapping[str, Any], decimals: int) -> list[tuple[str, str, str]]:
    """Return the few numbers that matter: what they are called, the number, and what it rests on."""
    status, periods, name = sheet["status"], sheet["periods"], chart_life.loss_name(sheet)
    promise, last = status["promised"], periods[-1] if periods else None
    made = []
    if promise.get("estimate") is not None:
        held = (
            interval(promise["low"], promise["high"], decimals) if promise.get("low") is not None else "no interval yet"
        )
        made.append((f"promised {name} of the period that runs", number(promise["estimate"], decimals), f"90%: {held}"))
    if status["of"]:
        said = f"{percent(status['kept'] / status['of'])} inside, 90% are to be"
        made.append(("promises kept", f"{status['kept']} of {status['of']}", said))
    if last is not None and last["worst_high"] is not None:
        said = "95%: no period of these loses more"
        made.append(
            (f"worst of the next {last['worst_horizon']} periods", f"≤ {number(last['worst_high'], decimals)}", said)
        )
    if last is not None:
        since = f"live since {status['since']}" if status["since"] else ""
        made.append(("age of what is live", count(last["age"], "period"), since))
    spent = sum(one["price"] for one in periods)
    if spent:
        made.append(("decisions have cost", f"{spent:,.0f}", sheet["unit"]))
    return made[:4] if len(made) > 4 else made


def _alarms(newest: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return what called for somebody, the newest first; the same at one tick after another is said once."""
    made: list[dict[str, str]] = []
    before = ""
    for one in newest:
        why = str(one["alarm"])
        if why and why == before:
            made[-1] |= {"since": str(one["at"])}
        elif why:
            made.append({"at": str(one["at"]), "since": str(one["at"]), "why": why})
        before = why
        if one["action"] == "refused":
            made.append({"at": str(one["at"]), "since": str(one["at"]), "why": str(one["reason"])})
            before = ""
    return made


def tick_row(one: Mapping[str, Any], decimals: int) -> dict[str, Any]:
    """Return a tick as ready texts."""
    promised = ""
    if one["promised"] is not None:
        held = f" ({interval(one['low'], one['high'], decimals)})" if one["low"] is not None else ""
        promised = f"{number(one['promised'], decimals)}{held}"
    return {
        "at": one["at"],
        "action": one["action"],
        "live": one["live"],
        "reason": one["reason"],
        "price": f"{one['price']:,.0f}" if one["price"] else "",
        "rows": "" if one["rows"] is None else f"{one['rows']:,}",
        "labels": "" if one["labels"] is None else f"{one['labels']:,}",
        "promised": promised or "too early",
        "came": "" if one["came"] is None else number(one["came"], decimals),
        "kept": _WORDS[one["kept"]] if one["came"] is not None or one["kept"] is False or one.get("undefined") else "",
        "missed": one["kept"] is False,
        "alarm": one["alarm"],
        "done": one["done"],
    }
