"""Skill by group on a terminal: where it is negative comes first, the average last."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mlwild.wording import count
from mlwild.worstcase.skill import ALL, Share, Skill

#: Sentences about negative skill; groups in the table where no more are negative.
TOLD, SHOWN = 4, 12


def negative_said(skills: Sequence[Skill]) -> list[str]:
    """
    Return where skill is negative, in a sentence each: first where the model is worse for certain.

    Examples
    --------
    >>> share = Share(-0.458, -0.521, -0.393)
    >>> one = Skill("sky = clear", "a constant", 2.0, 1.4, share, None, 0.95, 3120, 104, "worse")
    >>> negative_said([one])
    ['Worse than a constant in sky = clear: skill -45.8% (-52.1% to -39.3%), 3,120 rows in 104 periods.']
    """
    found = [one for one in skills if one.negative]
    said = [_negative(one) for one in found[:TOLD]]
    more = len(found) - TOLD
    return said + ([f"Skill is negative in {more} more {'cases' if more > 1 else 'case'}: see the table."] * (more > 0))


def _negative(one: Skill) -> str:
    sure = one.verdict == "worse"
    doubt = "" if sure else f" (undecided: {one.why or 'chance explains it'})"
    where = f"over {ALL}" if one.group == ALL else f"in {one.group}"
    said = f"{'Worse' if sure else 'Perhaps worse'} than {one.baseline} {where}: {_measured(one)}, "
    return f"{said}{count(one.n)} rows in {one.periods} periods{doubt}."


def _measured(one: Skill) -> str:
    if math.isnan(one.skill.estimate):
        return f"{one.why}, so that there is no ratio"
    rooted = f"; of root mean squares {share_said(one.rmse)}" if one.rmse is not None else ""
    return f"skill {share_said(one.skill)}{rooted}"


def share_said(share: Share) -> str:
    """
    Write a skill.

    Examples
    --------
    >>> share_said(Share(0.17, 0.121, 0.22)), share_said(Share(0.17, math.nan, math.nan))
    ('+17.0% (+12.1% to +22.0%)', '+17.0% (no interval)')
    """
    if math.isnan(share.estimate):
        return "no ratio"
    interval = "no interval" if math.isnan(share.low) else f"{share.low:+.1%} to {share.high:+.1%}"
    return f"{share.estimate:+.1%} ({interval})"


def show_skill(console: Console, skills: Sequence[Skill]) -> None:
    """Print the table; nothing where there is no skill to speak of."""
    if not skills:
        return
    level = f"{skills[0].level:.0%}"
    console.print(Text(f"Skill: one less the loss over that of the baseline ({level} intervals, all at once)", "bold"))
    names = list(dict.fromkeys(one.baseline for one in skills))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("where", "rows", "periods", *(f"than {name}" for name in names)):
        table.add_column(name, justify="right" if name in ("rows", "periods") else "left", overflow="fold")
    groups = list(dict.fromkeys(one.group for one in skills))
    negative = {one.group for one in skills if one.negative}
    shown = groups[: max(SHOWN, len(negative - {ALL}))]
    for group in [*(name for name in shown if name != ALL), ALL]:
        cells = {one.baseline: one for one in skills if one.group == group}
        first = cells[names[0]]
        table.add_row(group, count(first.n), str(first.periods), *(_cell(cells[name]) for name in names))
    console.print(table)
    if len(groups) > len(shown) + 1:
        console.print(
            Text(f"  {len(groups) - len(shown) - 1} more groups, none with a negative skill: see --json", "dim")
        )
    if groups == [ALL]:
        console.print(Text("  No groups are declared: an average may hide rows on which skill is negative.", "dim"))
    console.print()


def _cell(one: Skill) -> Text:
    said = share_said(one.skill)
    if one.verdict == "better":
        return Text(said)
    return Text(f"{said}, {one.verdict}", style="bold red" if one.verdict == "worse" else "")
