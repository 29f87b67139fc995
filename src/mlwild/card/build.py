"""A sheet becomes a card: plain data in, one self-contained HTML file out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from mlwild.card import (
    chart_ageing,
    chart_lives,
    chart_promise,
    chart_rules,
    chart_signals,
    chart_triangle,
    tables,
    verdict,
    words,
)
from mlwild.card.facts import Facts, known, read
from mlwild.card.fallback import fallback
from mlwild.card.gate import gate, worst_case
from mlwild.card.monitors import monitors
from mlwild.card.page import environment, write_page
from mlwild.card.splits import splits
from mlwild.card.svg import both
from mlwild.card.words import UNKNOWN, count, decimals_for, half_width, interval, number, span


def write_card(sheet: dict[str, Any], path: Path) -> Path:
    """
    Write the card of a rehearsal: one HTML file that needs no network, the same for identical rehearsals.

    Parameters
    ----------
    sheet : dict
        The answer sheet; `seconds` and `fits` are not shown, since they differ between runs.
    path : Path
        File to write; its folder must exist.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    StoreError
        If the file cannot be written.
    """
    return write_page(card_html(sheet), path)


def card_html(sheet: Mapping[str, Any]) -> str:
    """Return the card as HTML text."""
    return environment().get_template("card.html").render(view(read(sheet))) + "\n"


def view(facts: Facts) -> dict[str, Any]:
    """Return everything that the template shows, as ready texts and pictures."""
    sheet = facts.sheet
    return {
        "app": sheet["app"],
        "level": facts.level,
        "shown": facts.shown,
        "remarks": sheet["remarks"],
        "glossary": sheet["glossary"],
        "priced": facts.priced,
        "ranked": facts.ranked,
        "money": facts.money,
        "per_event": facts.per_event,
        "each": facts.each,
        "loss": f"mean {facts.title}" if facts.of_rows else facts.title,
        "every": span(sheet["every"]),
        "periods": facts.lived,
        "verdict": verdict.verdict(facts),
        "figures": verdict.figures(facts),
        "about": verdict.about(facts),
        "worst": worst(facts),
        "groups": tables.groups(facts),
        "rules": tables.rules(facts),
        "choice": choice(facts),
        "slope": _slope(facts),
        "ageing": ageing(facts),
        "ages": tables.ages(facts),
        "worse": sheet["retraining_made_it_worse"],
        "decisions": tables.decisions(facts),
        "models": tables.models(facts),
        "split": split(facts),
        "splits": splits(facts),
        "monitors": monitors(facts),
        "fallback": fallback(facts),
        "gate": gate(sheet.get("gate")),
        "worst_case": worst_case(sheet.get("worst_case")),
        "unknown": sheet["unknown"],
        "limits": sheet["limits"],
        "method": method(facts),
        "merged": _merged(facts),
        "charts": charts(facts),
    }


def charts(facts: Facts) -> dict[str, Any]:
    """Return the charts that the sheet has something for; the rest are None."""
    has_triangle = any(known(value) for value in facts.difficulty)
    lived = facts.shown in facts.strips and has_triangle
    drawn = {
        "rules": chart_rules.against_frontier if facts.rules else None,
        "time": chart_lives.through_time if lived else None,
        "ageing": chart_ageing.ageing if chart_ageing.curve(facts) else None,
        "triangle": chart_triangle.triangle if has_triangle else None,
        "lives": chart_lives.lives if lived else None,
        "signals": chart_signals.signals if chart_signals.has_signals(facts) else None,
        "promise": chart_promise.promise if chart_promise.has_promise(facts) else None,
    }
    return {name: both(partial(draw, facts)) if draw else None for name, draw in drawn.items()}


def worst(facts: Facts) -> dict[str, Any] | None:
    """Return the worst period in words; None where no period could be judged."""
    found = facts.sheet["worst_period"]
    if found is None:
        return None
    digits = decimals_for(half_width(found["low"], found["high"]) or found["loss"] or 0.0, 2)
    mean = facts.shown_mean
    above = (found["loss"] - mean) / abs(mean) if known(mean) and known(found["loss"]) and mean else None
    return {
        "period": words.between(found["from"], found["to"]),
        "loss": facts.loss_of(found["loss"], digits),
        "bounds": interval(found["low"], found["high"], digits),
        "n": number(found["n"], 0),
        "searched": count(found["searched"], "period"),
        "vintage": facts.vintage(found["vintage"]),
        "above": words.percent(above) if above is not None and above >= 0 else None,
        "mean": facts.loss_of(mean, digits),
    }


def choice(facts: Facts) -> dict[str, Any]:
    """Return the chance that choosing a rule on this history is luck, and what follows from it."""
    chance, found = facts.sheet["overfitting_probability"], facts.sheet["overfitting"]
    trust, as_you_go = found["trust_below"], facts.sheet["chosen_as_you_go"]
    best = facts.sheet["recommended"]
    digits = decimals_for(half_width(best["low"], best["high"]) or as_you_go["cost"] or 0.0, 3)
    if not known(chance):
        verdict_ = "This history has too few periods or rules to say whether it may choose among them."
    elif chance >= trust and best["rule"] is None:
        verdict_ = "This history may not: what looks best on it may be so by luck."
    elif chance >= trust:
        verdict_ = "This history may not: the rule recommended is the one that needs no tuning, not the winner."
    elif known(found["high"]) and found["high"] > trust:
        verdict_ = "This history may, but only just: the interval reaches beyond."
    else:
        verdict_ = "This history may."
    return {
        "chance": number(chance, 2),
        "bounds": interval(found["low"], found["high"], 2),
        "n": count(found["n"], "period"),
        "trust": number(trust, 2),
        "verdict": verdict_,
        "known": known(chance),
        "as_you_go": facts.money_of(as_you_go["cost"], digits) if known(as_you_go["cost"]) else None,
        "ended_with": as_you_go["rule"],
    }


def _slope(facts: Facts) -> str | None:
    slope = chart_rules.same_cost_slope(facts)
    return facts.loss_of(slope, decimals_for(slope, 2)) if slope else None


def ageing(facts: Facts) -> dict[str, Any]:
    """Return the headline and the sentences that go with the chart of ageing."""
    sheet, points = facts.sheet, chart_ageing.curve(facts)
    age, every = sheet["ageing_costs_one_retrain_at"], sheet["every"]
    if not points:
        return {"title": "How the model ages is not known", "first": None, "oldest": None, "pairs": None}
    if age is not None:
        title = f"A vintage has cost one retrain in staleness after {count(age, 'period')} ({span(every, age)})"
    elif facts.priced:
        title = f"Staleness does not add up to one retrain within {count(points[-1]['age'], 'period')}"
    else:
        title = "How the model ages"
    decimals = chart_ageing.decimals_of(points)
    high = max(points, key=lambda point: point["staleness"])
    return {
        "title": title,
        "first": chart_ageing.sentence(facts, points[0], decimals),
        "oldest": f"{count(high['age'], 'period')}: {chart_ageing.sentence(facts, high, decimals)}",
        "pairs": points[-1]["n"],
        "thinning": chart_ageing.thinning(facts),
    }


def split(facts: Facts) -> dict[str, Any]:
    """Return how the loss of the shown rule divides into difficulty and staleness, in loss and in money."""
    found = facts.sheet["split"]
    stale, hard = found["staleness"], found["difficulty"]
    digits = decimals_for(half_width(found["staleness_low"], found["staleness_high"]) or stale or hard or 0.0, 2)
    row = facts.rules.get(facts.shown)
    money = None
    if (
        facts.priced
        and facts.ranked
        and row is not None
        and known(stale)
        and known(hard)
        and len(facts.sheet["seeds"]) == 1
    ):
        value = facts.sheet["prices"]["loss"] * facts.events
        parts = (hard * value, stale * value, row["cost"] - row["loss"] * value)
        digits_money = decimals_for(max(abs(part) for part in parts[1:]) or parts[0], 3)
        money = [facts.money_of(part, digits_money) for part in parts]
    return {
        "difficulty": facts.loss_of(hard, digits),
        "staleness": facts.loss_of(stale, digits),
        "bounds": interval(found["staleness_low"], found["staleness_high"], digits),
        "n": count(found["n"], "period"),
        "money": money,
    }


def _merged(facts: Facts) -> dict[str, int]:
    """Return how many periods are drawn as one, by chart."""
    return {
        "triangle": -(-len(facts.cutoffs) // chart_triangle.MOST_CELLS),
        "time": chart_lives.step_size(facts),
    }


def method(facts: Facts) -> dict[str, Any]:
    """Return what the rehearsal rests on: data, windows and seeds."""
    sheet = facts.sheet
    return {
        "digest": sheet["data"]["digest"] or UNKNOWN,
        "windows": [_window(name) for name in sheet["windows"]],
        "window": _window(sheet["window"]),
        "seeds": ", ".join(str(seed) for seed in sheet["seeds"]),
        "n_seeds": len(sheet["seeds"]),
        "oracle": sheet["oracle"]["note"],
        "updates": any(row["updates"] for row in sheet["rules"]),
    }


def _window(name: str) -> str:
    return "all history" if name == "all" else f"the last {span(name)}"
