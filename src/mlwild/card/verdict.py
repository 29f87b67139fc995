"""The head of a card: the verdict in a sentence, and the figures behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlwild.card import words
from mlwild.card.facts import Facts, known
from mlwild.card.words import UNKNOWN, count, decimals_for, half_width, interval, number, span, tidy, with_unit
from mlwild.wording import sentence

Figure = dict[str, str]


def verdict(facts: Facts) -> dict[str, Any]:
    """Return the pieces of the sentence that answers: which rule, at what cost, and why."""
    sheet, best = facts.sheet, facts.sheet["recommended"]
    digits = decimals_for(half_width(best["low"], best["high"]) or best["cost"] or 0.0, 3)
    return {
        "rule": best["rule"],
        "as_one_goes": _as_one_goes(facts),
        "cost": facts.money_of(best["cost"], digits),
        "bounds": interval(best["low"], best["high"], digits) if known(best["low"]) and known(best["high"]) else None,
        "level": facts.level,
        "n": count(best["n"], "period"),
        "every": span(sheet["every"]),
        "period": words.between(sheet["rehearsed_from"], sheet["period_ends"]),
        "reason": sentence(best["reason"]),
        "means": meaning(best["rule"]) if best["rule"] else "",
    }


def _as_one_goes(facts: Facts) -> bool:
    """Say whether the cost is that of choosing the rule as one goes, not that of the rule from the start."""
    cost, row = facts.sheet["recommended"]["cost"], facts.rules.get(facts.shown)
    return known(cost) and row is not None and known(row["cost"]) and abs(cost - row["cost"]) > 1e-6 * abs(cost)


def meaning(rule: str) -> str:
    """
    Say what a rule of the standard set does; nothing for a user's own.

    Examples
    --------
    >>> meaning("every 4"), meaning("mine")
    ('It retrains at every 4th cutoff.', '')
    """
    head = rule.partition(" (")[0]
    if head == "never":
        return "It keeps the first vintage for ever."
    if head == "always":
        return "It retrains at every cutoff."
    if head.startswith("every ") and head[6:].isdigit():
        return f"It retrains at every {head[6:]}{_ordinal(int(head[6:]))} cutoff."
    if head.startswith("break-even"):
        return "It retrains once staleness since the last retrain has cost as much as a retrain."
    if head.startswith("loss up"):
        return "It retrains when the loss has risen so far above that of the vintage's first period."
    if head.startswith("e-detector"):
        return "It retrains when a sequential test finds that the live vintage's mean loss has risen."
    return ""


def _ordinal(n: int) -> str:
    return "th" if 10 <= n % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")


def about(facts: Facts) -> list[tuple[str, str]]:
    """Return what the rehearsal is of: data, model, loss, cadence and prices."""
    sheet, data = facts.sheet, facts.sheet["data"]
    loss = f"{facts.title}, {facts.loss}" if facts.loss else facts.title
    per = "each event" if sheet["loss"]["per"] == "row" else "each set of events (a period), weighted by its events"
    zone = f", {data['zone']}" if data["zone"] else ""
    rows = f"{count(data['rows'], 'event')}, {number(data['labelled'], 0)} of them with a label"
    rehearsed = f"{count(facts.lived, 'period')} of {span(sheet['every'])}"
    ends = f" ({words.between(sheet['rehearsed_from'], sheet['period_ends'])})" if sheet["cutoffs"] else ""
    return [
        ("Data", f"{words.between(data['from'], data['to'])}{zone}: {rows}"),
        ("Rehearsed", rehearsed + ends),
        ("Model", str(sheet["model"])),
        ("Loss", f"{loss}; of {per}; lower is better"),
        ("Prices", prices(facts)),
    ]


def prices(facts: Facts) -> str:
    """Say what things cost; prices of nothing are left out."""
    given = facts.sheet["prices"]
    if given is None:
        return "none given"
    unit = facts.loss.removesuffix("s") if facts.loss else "unit of loss"
    said = [f"{with_unit(tidy(given['loss']), facts.money)} for one {unit} on one event"]
    said.append(f"{with_unit(tidy(given['retrain']), facts.money)} a retrain")
    for key, noun in (("update", "an update"), ("shadow", "a shadow fit"), ("rollback", "a fall back")):
        if given[key]:
            said.append(f"{with_unit(tidy(given[key]), facts.money)} {noun}")
    return ", ".join(said)


def figures(facts: Facts) -> list[Figure]:
    """Return the key figures, the most important first."""
    made = _money_figures(facts) if facts.priced and facts.ranked else _loss_figures(facts)
    return [*made, *_shared_figures(facts)]


def _figure(label: str, value: str, note: str) -> Figure:
    return {"label": label, "value": value, "note": note}


def _money_figures(facts: Facts) -> list[Figure]:
    sheet, best = facts.sheet, facts.sheet["recommended"]
    digits = decimals_for(half_width(best["low"], best["high"]) or best["cost"] or 0.0, 3)
    made = [
        _figure(
            "Cost, choosing as you go" if _as_one_goes(facts) else f"Cost of {facts.shown}",
            facts.money_of(best["cost"], digits),
            interval(best["low"], best["high"], digits),
        )
    ]
    for name, label in (("never", "Never retraining"), ("always", "Always retraining")):
        if name in facts.rules and name != facts.shown:
            made.append(_figure(label, facts.money_of(facts.rules[name]["cost"], digits), _against(facts, name)))
    if known(best["regret"]):
        wide = decimals_for(half_width(best["regret_low"], best["regret_high"]) or best["regret"], 3)
        bounds = interval(best["regret_low"], best["regret_high"], wide)
        note = f"regret {number(best['regret'], wide)} ({bounds})"
    else:
        note = f"regret {UNKNOWN}"
    made.append(_figure("Best decisions in hindsight", facts.money_of(sheet["oracle"]["cost"], digits), note))
    return made


def _against(facts: Facts, name: str) -> str:
    """Say what a rule costs more or less than the one shown, with an interval where the sheet has one."""
    row = facts.rules[name]
    gap, low, high = row["difference"], row["difference_low"], row["difference_high"]
    if gap is None:
        return f"difference {UNKNOWN}"
    if not gap:
        return "the same"
    word = "more" if gap > 0 else "less"
    if gap < 0:
        gap, low, high = -gap, None if high is None else -high, None if low is None else -low
    digits = decimals_for(half_width(low, high) or gap, 3)
    return f"{number(gap, digits)} {word} ({interval(low, high, digits)})"


def _loss_figures(facts: Facts) -> list[Figure]:
    """Return figures of loss, where there is no money or no ranking."""
    model = next((row for row in facts.sheet["models"] if row["name"] == facts.sheet["model"]), None)
    if model is None or not known(model["fresh"]):
        return []
    digits = decimals_for(half_width(model["low"], model["high"]) or model["fresh"], 2)
    fresh = with_unit(number(model["fresh"], digits), facts.loss)
    split = facts.sheet["split"]
    stale = decimals_for(half_width(split["staleness_low"], split["staleness_high"]) or split["staleness"] or 0.0, 2)
    bounds = interval(split["staleness_low"], split["staleness_high"], stale)
    made = [
        _figure("Loss, always retrained", fresh, interval(model["low"], model["high"], digits) + facts.beside),
        _figure(
            "Loss, never retrained", facts.loss_of(model["never"], digits), f"n = {model['n']} periods{facts.beside}"
        ),
        _figure(f"Staleness under {facts.shown}", facts.loss_of(split["staleness"], stale), bounds + facts.beside),
    ]
    half = half_way(facts.sheet["frontier"])
    if half is not None and not facts.priced:
        note = "of what retraining could gain, with hindsight"
        made.append(_figure("Enough for half", count(half, "retrain"), note))
    return made


def half_way(frontier: Sequence[Mapping[str, Any]]) -> int | None:
    """
    Return the fewest retrains that could gain half of what any number of them could.

    Examples
    --------
    >>> losses = {0: 0.52, 1: 0.508, 2: 0.503, 9: 0.5}
    >>> half_way([{"retrains": k, "loss": loss} for k, loss in losses.items()])
    1
    """
    if len(frontier) < 2 or frontier[0]["loss"] <= frontier[-1]["loss"]:
        return None
    aim = (frontier[0]["loss"] + frontier[-1]["loss"]) / 2
    return next(int(point["retrains"]) for point in frontier if point["loss"] <= aim)


def _shared_figures(facts: Facts) -> list[Figure]:
    sheet, row = facts.sheet, facts.rules.get(facts.shown)
    worse, age = sheet["retraining_made_it_worse"], sheet["ageing_costs_one_retrain_at"]
    made, seeds = [], f" of {len(sheet['seeds'])} seeds" if len(sheet["seeds"]) > 1 else ""
    if row is not None and facts.priced and facts.ranked:
        done = row["retrains"]
        more = [count(row[key], noun) for key, noun in (("updates", "update"), ("rollbacks", "fall back")) if row[key]]
        chances = (
            max(len(sheet["cutoffs"]) - facts.strips[facts.shown]["first"] - 1, 0) if facts.shown in facts.strips else 0
        )
        note = (
            f"at {count(chances, 'cutoff')} after the first fit"
            + seeds.replace(" of", "; mean of")
            + (f"; {', '.join(more)}" if more else "")
        )
        made.append(_figure(f"Retrains by {facts.shown}", number(done, 0 if done == int(done) else 1), note))
    made.append(
        _figure(
            "Retraining made it worse",
            f"in {worse['periods']} of {worse['of']}" if worse["of"] else UNKNOWN,
            f"periods{seeds}, against the vintage one period older",
        )
    )
    if facts.priced:
        last = sheet["ageing"][-1]["age"] if sheet["ageing"] else 0
        if age is not None:
            value, note = count(age, "period"), f"{span(sheet['every'], age)}; by the mean of all vintages"
        elif last:
            value, note = f"over {count(last, 'period')}", "not within the ages measured"
        else:
            value, note = UNKNOWN, "too few periods"
        made.append(_figure("A retrain pays for itself after", value, note))
    chance, bounds = sheet["overfitting_probability"], sheet["overfitting"]
    note = f"{interval(bounds['low'], bounds['high'], 2)}; trusted below {number(bounds['trust_below'], 2)}"
    made.append(
        _figure(
            "Chance that choosing is luck",
            number(chance, 2),
            note if known(chance) else "too few periods or rules",
        )
    )
    return made
