"""The drill on a terminal: the worst fault first, then the chain, then what the guard costs on clean rows."""

from __future__ import annotations

import math

from rich.table import Table
from rich.text import Text

from mlwild.drilling import Cell, Drill
from mlwild.show.terminal import terminal
from mlwild.wording import count, in_its_place, number

#: Digits of losses.
DIGITS = 3
#: What stands for the loss where no row was answered.
NOBODY = "refused"
#: Features that are shown: those that are missed most.
SHOWN = 10


def show_drill(found: Drill) -> None:
    """Print what a drill found."""
    console = terminal()
    console.print()
    console.print(headline(found))
    console.print()
    console.print(_chain(found))
    console.print()
    console.print(_faults(found))
    console.print()
    console.print(_features(found))
    if len(found.features) > SHOWN:
        console.print(Text(rest_said(found), style="dim"))
    console.print()
    if found.costly:
        console.print(Text(costs_said(found), style="yellow"))
    console.print(Text(clean_said(found)))
    if found.skipped:
        console.print(Text(f"Not tried, as no feature gives them a hold: {', '.join(found.skipped)}.", style="dim"))


def headline(found: Drill) -> Text:
    """Return the worst fault in a sentence."""
    worst = found.worst
    silent = [cell for cell in found.cells if cell.available < 1]
    if silent:
        lost = min(silent, key=lambda cell: cell.available)
        said = f"{found.app}: under {_named(lost)} {1 - lost.available:.1%} of rows got no answer at all."
        return Text(said, style="bold red")
    least = min(found.cells, key=lambda cell: cell.answered)
    how = "answered under every fault"
    if least.answered < 1:
        how = (
            f"answered, or refused in words, under every fault ({_named(least)}: {1 - least.answered:.0%} refused; "
            f"without a fault {found.refused:.0%})"
        )
    text = Text(f"{found.app}: every row was {how}. ", style="bold")
    if math.isnan(worst.loss):
        return text
    few = f"; {count(round(worst.answered * worst.n))} of {count(worst.n)} rows" if worst.answered < 0.1 else ""
    text.append(
        f"At worst ({_named(worst)}) answers lose {number(worst.loss, DIGITS)} instead of {number(worst.clean, DIGITS)}"
        f" ({_loss(found, ', ')}{few}); the constant would have lost {number(worst.constant, DIGITS)}.",
        style="bold red" if worst.loss > worst.constant else "bold",
    )
    if worst.clean > worst.constant:
        text.append(" It would have done better without any fault, too.", style="bold red")
    return text


def costs_said(found: Drill) -> str:
    """Say where answers lose more than those of the model alone would: the guard costs there, rather than helps."""
    most, many = found.costly[0], f"{count(len(found.costly))} of {count(len(found.cells))} cells"
    return (
        f"In {many} the guard costs rather than helps: no guard at all would have lost less on the rows that both "
        f"answer, most under {_named(most)}, by {number(-most.gain, DIGITS)}."
    )


def clean_said(found: Drill) -> str:
    """Say what the guard costs where nothing is wrong."""
    trips = f"{found.trips} time{'' if found.trips == 1 else 's'}"
    said = (
        f"Without a fault: {count(found.clean_rows)} rows, taken for faulty {trips}; {found.away:.2%} of them got "
        "another answer than the champion's, or none."
    )
    if found.refused:
        said += f" {found.refused:.0%} were refused, by what the guard may lose or risk."
    if found.streams:
        return said
    return f"{said} Inputs are judged row by row only: honest spells of this history would trip any limit of a stream."


def _loss(found: Drill, between: str = " in ") -> str:
    """Return the name of the loss, with its unit."""
    return f"{found.loss}{between}{found.unit}" if found.unit else found.loss


def _named(cell: Cell) -> str:
    return f"{cell.fault}, {cell.severity:.0%} of {cell.of}"


def _chain(found: Drill) -> Table:
    table = Table(box=None, pad_edge=False, title="Who answers, in order", title_justify="left")
    for name, right in (("stage", False), ("vintage", False), (_loss(found), True), ("rows", True)):
        table.add_column(name, justify="right" if right else "left")
    for stage in found.stages:
        vintage = str(stage["vintage"]) or "-"
        table.add_row(str(stage["stage"]), vintage, number(float(stage["loss"]), DIGITS), count(int(stage["n"])))
    return table


def rest_said(found: Drill) -> str:
    """Say what the features that are not shown cost at most."""
    rest = found.features[SHOWN:]
    return f"And {count(len(rest))} more, none above {number(rest[0].loss, DIGITS)}."


def _features(found: Drill) -> Table:
    table = Table(box=None, pad_edge=False, title=f"Mean {_loss(found)} without a feature", title_justify="left")
    for name, right in (("feature", False), ("in its place", False), ("who answers", False), (found.loss, True)):
        table.add_column(name, justify="right" if right else "left")
    for one in found.features[:SHOWN]:
        table.add_row(one.feature, in_its_place(one.fill), one.stage, number(one.loss, DIGITS))
    return table


def _faults(found: Drill) -> Table:
    table = Table(box=None, pad_edge=False, title=f"Mean {_loss(found)} while the fault lasts", title_justify="left")
    table.add_column("fault", no_wrap=True)
    for name in (
        "severity",
        "guarded",
        "oracle",
        "clean",
        "constant",
        "no guard",
        "answered",
        "held",
        "seen after",
        "normal after",
    ):
        table.add_column(name, justify="right")
    for cell in found.cells:
        alone = number(cell.bare, DIGITS) if cell.bare_answered > 0 else "no answer"
        if 0 < cell.bare_answered < 0.995:
            alone += f" ({cell.bare_answered:.0%})"
        if cell in found.costly:
            alone += f", {number(-cell.gain, DIGITS)} less"
        style = "red" if cell.available < 1 or cell.loss > max(cell.constant, cell.clean) else ""
        table.add_row(
            cell.fault,
            f"{cell.severity:.0%} of {cell.of}",
            number(cell.loss, DIGITS) if cell.answered else NOBODY,
            NOBODY if math.isnan(cell.oracle) else number(cell.oracle, DIGITS),
            number(cell.clean, DIGITS),
            number(cell.constant, DIGITS),
            alone,
            f"{cell.answered:.0%}",
            f"{cell.held:.0%}" if cell.held == cell.held else "-",
            _rows(cell.detected),
            _rows(cell.recovered),
            style=style,
        )
    return table


def _rows(n: float) -> str:
    """Return a delay in words; what was never seen has none."""
    if n != n:  # noqa: PLR0124  NaN is not itself
        return "-"
    return "at once" if n < 1 else f"{count(int(n))} row{'' if int(n) == 1 else 's'}"
