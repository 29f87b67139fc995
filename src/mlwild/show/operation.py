"""What an operation did, and how every app is doing, on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from mlwild.operating import Challenge, Operation, Rollback, Status, Tick, Way
from mlwild.operating.beside import percent
from mlwild.show.terminal import terminal
from mlwild.wording import between, count, ended, number, sentence, things

_STYLES = {"retrain": "bold", "update": "bold", "start": "bold", "fall back": "bold yellow", "refused": "bold red"}


def show_operation(done: Operation, *, asks: bool = False) -> None:
    """
    Print each tick that was due: what was decided and why, what is promised, and what earlier promises came to.

    Parameters
    ----------
    done : Operation
    asks : bool
        Whether a plan is carried out next, or somebody is asked first.
    """
    console = terminal()
    console.print()
    if not done.ticks:
        said = f"{done.app}: nothing is due. Live is vintage {done.live}; the last cutoff is {done.until}."
        console.print(Text(said, style="bold"))
        if done.mended:
            console.print(Text(sentence(done.mended), style="bold yellow"))
        console.print(Text(f"Next tick: when they reach {done.following}.", style="dim"))
        return
    head = f"{done.app}: " + (f"plan of {_ticks(done)}" if done.dry else f"{_ticks(done)} done")
    console.print(Text(f"{head} under rule {done.rule!r}. Live: vintage {done.live}.", style="bold"))
    console.print(_table(done))
    for one in done.ticks[-1:]:
        if "shadowed" in one.facts:
            body = one.facts["shadowed"]
            console.print(Text(f"{one.at}: challenger {body['name']!r}: {body['said']}.", style="cyan"))
        if (served := one.facts["observed"].get("served")) and (served["served"] or served["unlike"]):
            one_event = served["served"] == 1
            who, whose = ("1 event was", "its") if one_event else (f"{count(served['served'])} events were", "their")
            said = f"{who} served: {whose} features are logged as they were fed"
            other = f"; {count(served['unlike'])} were asked for with other columns than the data have, and are not"
            console.print(Text(f"{one.at}: {said}{other if served['unlike'] else ''}.", style="cyan"))
    for at, why in done.alarms:
        console.print(Text(ended(f"{at}: {why}"), style="bold red"))
    if done.dry:
        console.print(Text(_change(done), style="bold"))
    if done.dry and not asks:
        console.print(Text("Nothing was written. Run the same command without --dry-run to do it.", style="dim"))
    console.print(Text(f"Next tick: when the data reach {done.following}.", style="dim"))


def _change(done: Operation) -> str:
    """Say what would be other in production."""
    opened = "a new life would be opened; " if done.reopened else ""
    if done.was == done.live:
        change = f"vintage {done.live} would stay live"
    elif done.was:
        change = f"vintage {done.live} would be live instead of {done.was}"
    else:
        change = f"vintage {done.live} would go live; nothing is now"
    price = f"; its decisions cost {number(done.price, 3)}{' ' * bool(done.unit)}{done.unit}" if done.price else ""
    return f"What would change: {opened}{change}{price}."


def show_rollback(done: Rollback) -> None:
    """Print what was put back in place, and how every earlier vintage would have done since."""
    console = terminal()
    console.print()
    head = f"{done.app}: vintage {done.to} {'would be' if done.dry else 'is'} live instead of {done.live}"
    price = f", at {number(done.price, 3)}{' ' * bool(done.unit)}{done.unit}" if done.price else ""
    console.print(Text(f"{head}{price}.", style="bold"))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in (
        "vintage",
        "live since",
        "age",
        f"{done.counted}s since",
        f"its {done.loss}",
        f"{done.live} lost",
        "gain by going back",
    ):
        table.add_column(name, justify="left" if name in ("vintage", "live since") else "right")
    for way in done.ways:
        known = way.gain is not None
        table.add_row(
            Text(way.vintage, style="bold" if way.vintage == done.to else ""),
            way.since,
            count(way.age),
            count(way.n),
            number(way.loss, 3) if way.loss is not None else "no label yet",
            number(way.live_loss, 3) if way.live_loss is not None else "",
            (number(way.gain, 2) if way.gain is not None else "") + (_between(way, done.counted) if known else ""),
        )
    console.print(table)
    console.print(
        Text(
            f"On the labelled {done.counted}s since both had come first. Gain above 0: the earlier one did better.",
            style="dim",
        )
    )
    if done.held:
        console.print(Text(f"The rule must keep it for {things(done.held, 'tick')}.", style="dim"))
    elif not done.dry:
        console.print(Text("The rule decides again at the next tick; --hold N makes it wait.", style="dim"))
    if done.dry:
        console.print(Text("Nothing was written. Run the same command without --dry-run to do it.", style="dim"))


def show_challenge(found: Challenge) -> None:
    """Print what a challenger is to show, how long that takes, and where it stands."""
    console = terminal()
    console.print()
    plan = found.plan
    how = f"answers {percent(found.share)} of the requests; it runs" if found.share else "runs in shadow"
    state = f"{how} since {found.since}" if found.running else f"began at {found.since}, and is settled or ended"
    console.print(Text(f"{found.app}: {found.name!r} {state}.", style="bold"))
    gain = f"The smallest gain that counts is {number(plan.least, 2)} ({found.why_least})."
    console.print(Text(gain))
    if plan.rows is None or found.periods is None:
        console.print(Text("No run in reach would find a gain as small as that: name a greater one with --least."))
    else:
        of_rows = plan.unit == "row"
        long = f": about {things(max(found.periods, 1), 'period')} at the usual number of labels" if of_rows else ""
        said = f"It takes {number(plan.rows, 2)} labelled {plan.unit}s to find it with a chance of 80 %{long}."
        console.print(Text(said))
    rests = f"Planned from {count(plan.n)} {plan.unit}s of the past; valid however often one looks"
    console.print(Text(f"{rests}, at {plan.level:.0%}.", style="dim"))
    if found.alarm:
        console.print(Text(ended(found.alarm), style="bold red"))
    unscored = "No tick since: mlwild operate scores it." if found.running else "No tick has scored it."
    said = str(found.standing.get("said", unscored))
    console.print(Text(sentence(said), style="bold"))


def _between(way: Way, counted: str) -> str:
    sure = way.low is not None and way.high is not None
    return f" ({between(way.low, way.high, 2)})" if sure else f" (too few {counted}s to say)"


def _ticks(done: Operation) -> str:
    return things(len(done.ticks), "tick")


def _table(done: Operation) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    priced = f"price ({done.unit})" if done.unit else "price"
    for name in ("tick", "rows", "labels", "decided", "live", priced, "why", f"promised {done.loss}", "came"):
        right = name in ("rows", "labels", priced)
        table.add_column(name, justify="right" if right else "left", no_wrap=name not in ("why", "came"))
    for one in done.ticks:
        table.add_row(*_row(one))
    return table


def _row(one: Tick) -> tuple[str | Text, ...]:
    observed, decided = one.facts["observed"], one.facts["decided"]
    periods = one.facts.get("scored", {}).get("periods", [])
    return (
        one.at,
        count(observed["rows"]),
        count(observed["labels"]),
        Text(decided["action"], style=_STYLES.get(decided["action"], "")),
        decided["live"],
        number(decided["price"], 3) if decided["price"] else "",
        Text(decided["reason"], style="dim"),
        promise_said(one.facts.get("promised", {})),
        Text("; ".join(came_said(one) for one in (periods[-1:] if len(periods) < 2 else _telling(periods)))),
    )


def _telling(periods: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Return the periods that were missed, and the last one."""
    return [one for one in periods if one["kept"] is False or one is periods[-1]]


def promise_said(body: Mapping[str, Any]) -> str:
    """Write a promise with its interval."""
    if body.get("replaced"):
        return f"none: it was for {body['replaced']}"
    if body.get("estimate") is None:
        return "too early"
    if body.get("low") is None:
        return f"{number(body['estimate'], 3)} (no interval yet)"
    return f"{number(body['estimate'], 3)} ({between(body['low'], body['high'], 3)})"


def came_said(body: Mapping[str, Any]) -> str:
    """Write what a promised period came to."""
    word = {True: "kept", False: "missed", None: "no interval"}[body["kept"]]
    if body.get("replaced"):  # there was an interval: of another model than the one that ended the period
        word = f"not judged, as {body['replaced']} was replaced"
    if body.get("undefined"):
        return f"{body['from']}: not defined on {things(body['undefined'], 'label')}, not judged"
    return f"{body['from']}: {'no answer' if body['loss'] is None else number(body['loss'], 3)}, {word}"


def _state(one: Status) -> Text:
    running = f"running since {one.running}" if one.running else ""
    said = "; ".join(part for part in ("alarm" if one.alarm else "", running) if part)
    return Text(said or "ok", style="bold red" if one.alarm else "cyan" if running else "green")


def show_status(found: Sequence[Status], store: str) -> None:
    """Print every app in operation, those with an alarm first."""
    console = terminal()
    if not found:
        console.print(f"No app is in operation in {store}. Begin with mlwild operate APP.py.")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("app", "live", "since", "age", "last tick", "next tick", "promised loss", "came", "kept", ""):
        table.add_column(name, justify="right" if name in ("age", "kept") else "left")
    for one in found:
        table.add_row(
            Text(one.app, style="bold"),
            one.live,
            one.since,
            count(one.age),
            one.last,
            one.following,
            promise_said(one.promised),
            "" if one.came is None else came_said(one.came),
            f"{count(one.kept)} of {count(one.of)}" if one.of else "",
            _state(one),
        )
    console.print(table)
    for one in found:
        if one.alarm:
            console.print(Text(ended(f"{one.app}: {one.alarm}"), style="bold red"))
    for one in found:
        if one.challenger:
            what = "settled challenger" if one.settled else "challenger"
            console.print(Text(f"{one.app}: {what} {one.challenger}.", style="cyan"))
    red = sum(bool(one.alarm) for one in found)
    console.print(Text(f"{things(len(found), 'app')}, {count(red)} with an alarm.", style="dim"))
