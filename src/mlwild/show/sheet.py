"""The answer sheet on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.table import Table
from rich.text import Text

from mlwild.show.monitors import show_monitors
from mlwild.show.splits import show_splits
from mlwild.show.terminal import terminal
from mlwild.wording import between, count, interval_said, number, outside, sentence, things

SHOWN = 12


def show_sheet(sheet: dict[str, Any], *, every_rule: bool = False) -> None:
    """Print the answer sheet: verdict first, what is not known last."""
    console = terminal()
    console.print(_verdict(sheet))
    console.print(_facts(sheet))
    for remark in sheet["remarks"]:
        console.print(Text(f"Mind: {remark}", style="yellow"))
    if sheet["remarks"]:
        console.print()
    console.print(_rules(sheet, every_rule=every_rule))
    if len(sheet["rules"]) > SHOWN and not every_rule:
        console.print(
            Text(f"  {things(len(sheet['rules']) - SHOWN, 'more rule')}, dearer: add --all-rules", style="dim")
        )
    console.print()
    for line in _findings(sheet):
        console.print(line)
    console.print()
    if sheet.get("fallback"):
        console.print(_chain(sheet["fallback"]))
        if sheet["fallback"].get("abstains"):
            console.print(Text(sheet["fallback"]["abstains"]["said"]))
        console.print()
    if sheet.get("intervals"):
        console.print(Text(f"If it had been served, {sheet['intervals']['said']}\n"))
    show_splits(console, sheet)
    show_monitors(console, sheet)
    console.print(Text("What was not known", style="bold"))
    for said in [*sheet["unknown"], *sheet["limits"]]:
        console.print(Text(f"  - {said}"))
    fits = sheet["fits"]
    mended = f", {sheet['mended']} damaged entries made again" if sheet["mended"] else ""
    console.print(
        Text(f"\n{fits['made']} fits made, {fits['reused']} reused{mended}, {sheet['seconds']:.1f} s.", style="dim")
    )


def _verdict(sheet: dict[str, Any]) -> Text:
    chosen, unit = sheet["recommended"], (sheet["prices"] or {}).get("unit", "")
    text = Text("\n")
    if chosen["rule"] is None:
        text.append(f"{sheet['app']}: no rule is recommended. ", style="bold")
        text.append(sentence(chosen["reason"]))
        return text
    text.append(f"{sheet['app']}: run {chosen['rule']!r}. ", style="bold")
    text.append(
        f"From {sheet['rehearsed_from']} to {sheet['period_ends']} it cost {number(chosen['cost'])} {unit}".rstrip()
        + f" ({interval_said(chosen['level'], chosen['low'], chosen['high'], 4)}; {chosen['n']} periods of "
        f"{sheet['every']}). Why: {chosen['reason']}."
    )
    return text


def _facts(sheet: dict[str, Any]) -> Text:
    data, loss = sheet["data"], sheet["loss"]
    unit = f" ({loss['unit']})" if loss["unit"] else ""
    return Text(
        f"{count(data['rows'])} events from {data['from']} to {data['to']}, {count(data['labelled'])} labelled; "
        f"model {sheet['model']!r}, loss {loss.get('title', loss['name'])}{unit}, a cutoff every {sheet['every']}.\n",
        style="dim",
    )


def _rules(sheet: dict[str, Any], *, every_rule: bool) -> Table:
    prices = sheet["prices"]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title_justify="left")
    table.add_column("rule")
    if prices:
        unit = f" {prices['unit']}" if prices["unit"] else ""
        table.add_column(f"cost{unit}", justify="right")
        table.add_column("regret", justify="right")
        table.add_column("90% interval", justify="right")
    table.add_column("retrains", justify="right")
    table.add_column("loss", justify="right")
    rows = sheet["rules"] if every_rule else _first_rules(sheet)
    for row in rows:
        cells = [row["name"]]
        if prices:
            cells += [
                number(row["cost"]),
                number(row["regret"]),
                between(row["regret_low"], row["regret_high"]),
            ]
        moves = f"{row['retrains']:g}"
        for name in ("updates", "rollbacks"):
            moves += f" +{row[name]:g} {name}" if row[name] else ""
        mine = row["name"] == sheet["recommended"]["rule"]
        table.add_row(*cells, moves, number(row["loss"]), style="bold" if mine else "")
    if prices:
        oracle = sheet["oracle"]
        table.add_row("best in hindsight", number(oracle["cost"]), "0", "", f"{oracle['retrains']:g}", "", style="dim")
    return table


def _first_rules(sheet: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the first dozen rules, and always those that everybody asks for."""
    wanted = {"never", "always", sheet["recommended"]["rule"]}
    return [row for place, row in enumerate(sheet["rules"]) if place < SHOWN or row["name"] in wanted]


def _findings(sheet: dict[str, Any]) -> Iterator[Text]:
    worse, split, seeds = sheet["retraining_made_it_worse"], sheet["split"], len(sheet["seeds"])
    over = f" of {seeds} seeds" if seeds > 1 else ""
    yield Text(f"Retraining made the next period worse in {worse['periods']} of {worse['of']} periods{over}.")
    if seeds > 1:  # costs and losses of rules and models are means over all
        yield Text(f"Difficulty, staleness, worst period and groups: of the first of {seeds} seeds.")
    each = " per event" if sheet["loss"]["per"] == "row" else ""  # of a set no event has a loss
    if split["difficulty"] is not None:
        yield Text(
            f"Loss{each}: {number(split['difficulty'])} difficulty (a fresh model's) + "
            f"{number(split['staleness'])} staleness ({between(split['staleness_low'], split['staleness_high'])})."
        )
    if sheet["ageing"]:
        last = sheet["ageing"][min(len(sheet["ageing"]), 12) - 1]
        text = (
            f"Ageing: a model {things(last['age'], 'period')} old loses {number(last['staleness'])}{each} more than a "
            f"fresh one ({between(last['low'], last['high'])}; {last['n']} pairs)."
        )
        costs = sheet["ageing_costs_one_retrain_at"]
        if sheet["prices"]:
            text += (
                f" A retrain pays for itself after {things(costs, 'period')}."
                if costs
                else " Within these ages it does not cost a retrain."
            )
        yield Text(text)
    worst = sheet["worst_period"]
    if worst:
        yield Text(
            f"Worst of {worst['searched']} periods: {worst['from']} to {worst['to']}, loss {number(worst['loss'])} "
            f"({between(worst['low'], worst['high'])}; {count(worst['n'])} labels)."
        )
    pbo = sheet["overfitting_probability"]
    if pbo is not None:
        yield Text(
            f"Chance that the best rule here is only lucky: {pbo:.2f} ({between(**_pick(sheet['overfitting']))}); "
            f"trusted below {sheet['overfitting']['trust_below']}."
        )
    alike = len({model["n"] for model in sheet["models"]}) == 1
    for model in sheet["models"]:
        over = "" if alike else f", over {things(model['n'], 'period')}"
        yield Text(
            f"Model {model['name']!r}: loss {number(model['fresh'])} always retrained "
            f"({between(model['low'], model['high'])}), {number(model['never'])} never{over}."
        )
    if len(sheet["models"]) > 1:
        yield Text(f"Models: {sheet['best_set']['why']}")
        for signs in sheet["best_set"].get("signs", [])[:1]:  # the strongest rival; the card shows all
            yield Text(signs["said"])
    for row in sheet["groups"][:5]:
        yield Text(
            f"Group {row['group']}={row['value']}: loss {number(row['loss'])} ({between(row['low'], row['high'])}; "
            f"{count(row['n'])} labels)."
        )


def _chain(found: dict[str, Any]) -> Table | Text:
    """Return the stages of the fallback chain, each with what it is promised to lose."""
    if found["why"]:
        return Text(f"No fallback chain: {found['why']}.")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title="Who answers, in order", title_justify="left")
    for name in ("stage", "vintage"):
        table.add_column(name)
    for name in ("loss so far", "worst period", "next period", f"{found['level']:.0%} interval", "held", "rows"):
        table.add_column(name, justify="right")
    for one in found["stages"]:
        worst = number(one["worst"]["loss"]) if one["worst"] else number(None)
        held = f"{one['kept']} of {one['of']}" if one["of"] else "-"
        ends = between(one["low"], one["high"])
        cells = (number(one["loss"]), worst, number(one["estimate"]), ends, held, count(one["n"]))
        table.add_row(one["stage"], one["vintage"] or "-", *cells)
    said = [outside(found["stages"])]
    if found.get("share"):
        said.append(f"At random: {found['share']:.0%} of fallbacks are drawn so, to see what comes of other answers.")
    if any(said):
        table.caption, table.caption_justify = " ".join(filter(None, said)), "left"
    return table


def _pick(bounds: dict[str, Any]) -> dict[str, Any]:
    return {"low": bounds["low"], "high": bounds["high"]}
