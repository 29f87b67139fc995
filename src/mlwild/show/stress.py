"""The worst case on a terminal: first the worst, then the expected, then whether such promises were kept."""

from __future__ import annotations

import math

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mlwild.show.skill import negative_said, show_skill
from mlwild.show.terminal import terminal
from mlwild.wording import between, count, digits_apart, number
from mlwild.worstcase.certificates import Record
from mlwild.worstcase.curves import Stressed
from mlwild.worstcase.ensembles import Ensemble
from mlwild.worstcase.report import StressReport, WorstCase
from mlwild.worstcase.strategy import Strategy

#: Severity curves that are shown.
SHOWN = 8


def show_stress(report: StressReport) -> None:
    """Print the report."""
    console = terminal()
    console.print()
    if report.strategies:
        console.print(fall_said(report.strategies[0]))
    console.print(headline(report))
    for said in negative_said(report.skill):
        console.print(Text(said, style="bold red"))
    expected = report.expected
    console.print(
        Text(
            f"Expected: {number(expected.loss)} ({between(expected.low, expected.high)}; {count(expected.n)} rows in "
            f"{expected.periods} periods, {expected.since} to {expected.until}).\n",
            style="bold",
        )
    )
    console.print(_vector(report))
    for kind, why in report.not_judged:
        console.print(Text(f"Not judged: {kind}: {why}.", style="dim"))
    console.print()
    show_skill(console, report.skill)
    _promises(console, report)
    _curves(console, report)
    for strategy in report.strategies:
        _strategy(console, strategy)
    for ensemble in report.ensembles:
        console.print(Text(ensemble_said(ensemble)))
    console.print(Text(f"\n{count(report.searched)} cases searched. Under stress: {report.trial}.", style="dim"))


def fall_said(one: Strategy) -> Text:
    """Return a strategy's deepest fall in a sentence."""
    text = Text(f"{one.name}: at worst it fell {one.plain.drawdown.depth:.1%} from its peak", style="bold red")
    text.append(f" ({one.dates['fall']}, {_made_good(one)}), with {one.next.level:.0%} confidence at most ")
    text.append(f"{one.next.bound:.1%} within the next year.")
    return text


def headline(report: StressReport) -> Text:
    """Return the worst case in a sentence."""
    if not report.worst:
        return Text(f"{report.app}: no worst case could be judged.", style="bold")
    first, unit = report.worst[0], f" {report.unit}" if report.unit else ""
    bounded = math.isfinite(first.high)
    loss = first.high if bounded else first.loss
    text = Text(f"{report.app}: at worst it loses {number(loss)}{unit} per event", style="bold red")
    if bounded:
        text.append(f", with {first.level:.0%} confidence; it lost {number(first.loss)}")
    else:
        text.append(", without a bound")
    text.append(
        f". {first.kind[0].upper()}{first.kind[1:]}: {first.what}; {first.often}. {count(first.searched)} searched."
    )
    return text


def _vector(report: StressReport) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("worst", "condition", "loss", "at most (95%)", "n", "searched", "how often"):
        right = name in ("loss", "at most (95%)", "n", "searched")
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for one in report.worst:
        table.add_row(*_cells(one))
    return table


def _cells(one: WorstCase) -> list[str]:
    high = number(one.high) if math.isfinite(one.high) else "no bound"
    return [one.kind, one.what, number(one.loss), high, f"{count(one.n)} {one.unit}", count(one.searched), one.often]


def _promises(console: Console, report: StressReport) -> None:
    console.print(Text("Was the promise kept?", style="bold"))
    if not report.records:
        console.print(Text("  There are too few periods to say.\n"))
        return
    for record in report.records:
        console.print(Text(f"  {record_said(record)}"))
    for one in report.next_:
        if not math.isnan(one.high):
            said = f"  The next {one.kind}: at most {number(one.high)} ({one.level:.0%}; {one.n} periods; {one.what})."
            console.print(Text(said))
    console.print()


def record_said(record: Record) -> str:
    """Return how the certificates of one kind were kept, in a sentence."""
    said = (
        f"{record.kind}: kept {record.kept} of {record.of} times, {record.kept / record.of:.0%} "
        f"({record.low:.0%} to {record.high:.0%}), promised {record.level:.0%}"
    )
    if record.worst is not None:
        broken = record.worst
        digits = digits_apart(broken.came, broken.high)
        came = number(broken.came, digits) if math.isfinite(broken.came) else "no answer"
        said += f"; broken by most at {broken.cutoff}: {came} came, {number(broken.high, digits)} was promised"
    return said + "."


def _curves(console: Console, report: StressReport) -> None:
    under = report.stressed
    if under.curves:
        text = f"Under stress (without: {number(under.clean.loss)}; limit {number(under.limit)}, {under.limit_is})"
        console.print(Text(text, style="bold"))
        console.print(_table(under))
    if len(under.curves) > SHOWN:
        console.print(Text(f"  {len(under.curves) - SHOWN} more stressors, milder: see --json", style="dim"))
    for curve, point in under.mute:
        said = f"  No answer to {curve.stressor} in {curve.case} ({point.severity:g} {curve.unit}".rstrip()
        console.print(Text(f"{said}): {point.fault}", style="bold red"))
    for why, names in under.reasons.items():
        console.print(Text(f"  Left out, as {why}: {', '.join(names)}", style="dim"))
    console.print()


def _table(under: Stressed) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("stressor", "worst in", "loss by severity", "fails at"):
        table.add_column(name, overflow="fold")
    for curve in under.curves[:SHOWN]:
        points = ", ".join(
            f"{point.severity:g}: {'no answer' if point.fault else number(point.loss, 3)}" for point in curve.points
        )
        fails = "" if math.isnan(curve.fails_at) else f"{curve.fails_at:g} {curve.unit}".strip()
        table.add_row(f"{curve.stressor} ({curve.unit})" if curve.unit else curve.stressor, curve.case, points, fails)
    return table


def _strategy(console: Console, one: Strategy) -> None:
    fall, plain, dates = one.plain.drawdown, one.plain, one.dates
    text = Text(f"{one.name}: ", style="bold")
    text.append(
        f"deepest fall {fall.depth:.1%} ({dates['fall']}, {_made_good(one)}); within the next year at most "
        f"{one.next.bound:.1%} ({one.next.level:.0%})",
        style="default",
    )
    console.print(text)
    worst = ", ".join(f"worst {name} {window.total:+.1%} ({dates[name]})" for name, window in one.windows.items())
    console.print(
        Text(
            f"  Under water {fall.under_water:.0%} of the time, {count(fall.longest)} bars at longest; {worst}; a bad "
            f"bar (worst 5%) loses {plain.tail:.2%} ({one.tail_low:.2%} to {one.tail_high:.2%})."
        )
    )
    console.print(
        Text(
            f"  {plain.annual:+.1%} a year, Sharpe ratio {plain.sharpe:.2f}; chance that it is more than the luck of "
            f"{one.deflated.tries} tries: {one.deflated.probability:.2f}."
        )
    )
    under = ", ".join(f"{other.scenario} {other.drawdown.depth:.1%}" for other in one.scenarios)
    console.print(Text(f"  Deepest fall with {under}.", style="dim"))
    if one.starts:
        lost, n = one.starts["lost"], one.starts["n"]
        ends = f"{one.starts['worst']:+.1%} (from {dates['start']}) to {one.starts['best']:+.1%}"
        console.print(Text(f"  First year by start: {ends}, lost in {lost:.0%} of {n:.0f}.", style="dim"))
    console.print()


def _made_good(one: Strategy) -> str:
    return f"made good {one.dates['recovered']}" if one.dates["recovered"] else "not made good"


def ensemble_said(one: Ensemble) -> str:
    """Return what an ensemble gains over its members, in a sentence."""
    middle = one.middle
    said = (
        f"{one.of[0].upper()}{one.of[1:]}: as one they lose {number(one.ensemble.mean)} and at worst "
        f"{number(one.ensemble.worst)} ({one.ensemble.where}); the middle one {number(middle.mean)} and at worst "
        f"{number(middle.worst)}"
    )
    if one.parts is not None:
        parts = f"bias {number(one.parts.bias, 3)}, variance {number(one.parts.variance, 3)}"
        said += f". Squared error or errors by refit: {parts}"
    return said + "."
