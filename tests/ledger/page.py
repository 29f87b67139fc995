"""The page of the ledger, docs/ledger.md, from the table of its defects: ``python -m tests.ledger.page`` writes it."""

from __future__ import annotations

from pathlib import Path

from tests.ledger.blind import BLIND
from tests.ledger.mutation import Mutation
from tests.ledger.mutations import MISSED, MUTATIONS

PAGE = Path(__file__).parents[2] / "docs" / "ledger.md"
CODES = {1: "1, red", 3: "3, undecided"}
DOORS = {
    "check": "`mlwild check`",
    "gate": "`mlwild gate`",
    "compare": "`mlwild compare runs.csv --strict`",
}
HEAD = """\
# The ledger of defects

A small clean project (`tests/ledger/project`: an app, its own tests, a table of its runs) passes every door of ML-wild. Into
it {n} defects are put, one at a time. Each was found in a real public project. {caught} of {n} are caught: the door ends with an
exit code that is not 0, and its message names the cause.

This page is written from the table in `tests/ledger/mutations.py`, and a test holds it against it.

| | defect | in the clean project | where it was found | door | exit code | its message says |
|---|---|---|---|---|---|---|
"""
TAIL = """
3 is not green and blocks nothing by itself: a test on too few rows cannot tell. `mlwild gate` ends with it unless
`--undecided-passes` is given.

## What is not caught

{missed}Other forms of the same defects pass every door today; a test keeps this list true.

| form | why |
|---|---|
{blind}

Nothing here can see what happens outside the project: a script that goes on after exit code 1, or a service that loads
another model than the one that passed.

## Served otherwise than trained

A public project was right in .73 of its cases as validated and in .60 as served. An app of that kind (`tests/gate/skewed.py`)
is blocked by `serving parity`, with both shares and each column with its cause: missing served as 0, the values of another
column, a turned sign, other codes, rounded.

## False blocks

{figures}
"""
#: Measured as in the slow test of tests/ledger/test_clean.py.
FIGURES = """\
The clean project on 100 draws of its data, by `mlwild check`, `mlwild compare --strict` and the gate (26 to 28 tests, without
the latency, which is timed): none was red; with 95 % confidence fewer than 3.0 % would be. The tests state a chance of
1.2 % a draw on average, for a model that keeps every limit by its margin; each armed one may state .5 %.

An earlier form of the project with an unbounded loss was red on 1 of 100 draws, by `mild corruption`, and rightly: with a tenth of
its outlet prices missing the loss rose by 0.114 over 100 draws of that fault, and the limit was 0.108."""


def page() -> str:
    """Return the page."""
    n = len(MUTATIONS)
    rows = [_row(place, one) for place, one in enumerate(MUTATIONS, 1)]
    missed = "".join(f"- {name}: {why}\n" for name, why in MISSED.items())
    blind = "\n".join(f"| {one.name} | {one.what} |" for one in BLIND)
    head = HEAD.format(n=n, caught=n - len(MISSED))
    return head + "\n".join(rows) + "\n" + TAIL.format(missed=missed and missed + "\n", blind=blind, figures=FIGURES)


def _row(place: int, one: Mutation) -> str:
    said = " ... ".join(one.said)
    door = f"{DOORS[one.door]}: {one.test}"
    code = "missed" if one.name in MISSED else CODES[one.code]
    return f"| {place} | {one.name} | {one.what} | {one.where} | {door} | {code} | {said} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
