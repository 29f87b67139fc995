"""The verdicts of the gate on a terminal: red first."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mlwild.gate.outcome import RED, Verdict
from mlwild.gating import FalseBlocks, GateReport
from mlwild.show.terminal import terminal
from mlwild.wording import count, number, things

_STYLES = {"pass": "green", "fail": "bold red", "error": "bold red", "underpowered": "yellow", "waived": "magenta"}
_ORDER = {"error": 0, "fail": 1, "waived": 2, "underpowered": 3, "pass": 4}


def show_gate(report: GateReport) -> None:
    """Print the verdict, every test with its evidence, the waivers, and the chance of a false block."""
    console = terminal()
    console.print()
    console.print(_headline(report))
    console.print(Text(f"On trial: {report.trial}.\n", style="dim"))
    console.print(_table(report.verdicts))
    console.print()
    for name, why in report.left_out:
        console.print(Text(f"Left out: {name}: {why}", style="dim"))
    _show_waivers(console, report)
    if report.false_blocks is not None:
        console.print(Text(false_blocks_said(report.false_blocks)))
    spent = sum(verdict.seconds for verdict in report.verdicts)
    console.print(Text(f"\n{things(len(report.verdicts), 'test')}, {spent:.1f} s.", style="dim"))


def _headline(report: GateReport) -> Text:
    red = [verdict for verdict in report.verdicts if verdict.blocks]
    waived = sum(one.outcome.verdict in RED and one.waived is not None for one in report.verdicts)
    yellow = sum(one.outcome.verdict == "underpowered" for one in report.verdicts)
    more = f", {waived} waived" if waived else ""
    if red:
        names = ", ".join(verdict.test for verdict in red[:4]) + (", ..." if len(red) > 4 else "")
        return Text(
            f"{report.app}: BLOCKED by {len(red)} of {len(report.verdicts)} tests: {names}{more}.", style="bold red"
        )
    if yellow:
        said = f"{report.app}: undecided: no test is red, {yellow} of {len(report.verdicts)} have too few rows{more}."
        return Text(said, style="bold yellow")
    all_ = "its one test" if len(report.verdicts) == 1 else f"all {len(report.verdicts)} tests"
    return Text(f"{report.app}: passed {all_}{more}.", style="bold green")


def word_of(verdict: Verdict) -> str:
    """Return what is shown of a verdict: its word, or that somebody answers for it."""
    return "waived" if verdict.outcome.verdict in RED and verdict.waived is not None else verdict.outcome.verdict


def _table(verdicts: tuple[Verdict, ...]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("", "test", "evidence", "n", "seconds", "owner"):
        if name != "owner" or any(verdict.owner for verdict in verdicts):
            table.add_column(name, justify="right" if name in ("n", "seconds") else "left", overflow="fold")
    owners = any(verdict.owner for verdict in verdicts)
    for verdict in sorted(verdicts, key=lambda one: _ORDER[word_of(one)]):
        word = word_of(verdict)
        cells: list[Any] = [Text(word, style=_STYLES[word]), verdict.test, verdict.outcome.said]
        cells += [count(verdict.outcome.n) if verdict.outcome.n else "", f"{verdict.seconds:.2f}"]
        table.add_row(*cells, *([verdict.owner] if owners else []))
    return table


def _show_waivers(console: Console, report: GateReport) -> None:
    for one in report.waivers:
        state = (
            "holds" if one.holds(report.today) else "HAS EXPIRED" if report.today > one.until else "does not hold yet"
        )
        said = f"Waiver of {one.test!r} by {one.by}, {one.on} to {one.until}, {state}: {one.why}"
        console.print(Text(said, style="magenta" if state == "holds" else "bold red"))


def false_blocks_said(found: FalseBlocks) -> str:
    """Return the sentence on the chance that the suite blocks a good model."""
    if not found.of:
        return "Whether the suite blocks good models is not known: no past champion could be tried."
    red = ", ".join(f"{name} ({times})" for name, times in sorted(found.by_test.items(), key=lambda item: -item[1]))
    return (
        f"Of {found.of} past champions that were good afterwards the suite would have blocked {found.blocked} "
        f"(chance {number(found.low, 2)} to {number(found.high, 2)})"
        + (f": {red}" if red else "")
        + "; the tests' own "
        f"promises add up to {number(found.promised, 2)}."
    )
