"""What a rehearsal could not know, and what a replay assumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlwild.app import App
from mlwild.clock import NEVER
from mlwild.records import Prices
from mlwild.triangle import Survey, Tally, Triangle
from mlwild.triangle.settled import complete
from mlwild.wording import between, number, things


def unknown(survey: Survey, triangles: Sequence[Triangle], tally: Tally) -> list[str]:
    """Return, in sentences, what this rehearsal could not know."""
    app, grid, clock = survey.app, survey.grid, survey.clock
    said = []
    n, never = len(survey.time), int((survey.known_at == NEVER).sum())
    if never:
        said.append(f"{never:,} of {n:,} labels ({never / n:.1%}) never arrived; their events count in no loss.")
    late = int(((survey.known_at != NEVER) & (survey.known_at > survey.time.max())).sum())
    if late:
        said.append(f"{late:,} labels arrived after the last event: no decision could use them.")
    small = np.flatnonzero(grid.labelled < app.min_rows)
    if len(small):
        dates = ", ".join(clock.show(int(grid.edges[k])) for k in small[:3])
        more = ", ..." if len(small) > 3 else ""
        said.append(
            f"Fewer than {app.min_rows} labels in {len(small)} of {grid.periods} periods ({dates}{more}): too few to "
            "judge a period alone."
        )
    waits = np.flatnonzero(~complete(survey) & (grid.labelled > 0))
    if len(waits):
        said.append(
            f"{len(waits)} of {grid.periods} periods, the first from {clock.show(int(grid.edges[waits[0]]))} on, may "
            "still wait for many of their labels: they count with those that came, and are not judged alone."
        )
    rest = len(survey.time) - int(grid.row_start[-1])
    if rest:
        said.append(
            f"The last {rest:,} events, from {clock.show(int(grid.edges[-1]))} on, fill no whole period of "
            f"{app.every_} and are left out."
        )
    for triangle in triangles:
        if triangle.blind:
            rows = max(n for n, _ in triangle.blind.values())
            why = next(text for _, text in triangle.blind.values())
            said.append(
                f"{len(triangle.blind)} vintages of {triangle.model!r} could not predict some later rows "
                f"(up to {rows:,}; {why}); {int(triangle.unscored.sum()):,} rows count "
                "for no vintage."
            )
        said += [
            f"Vintage {failed.vintage} of {failed.model!r} ({clock.show(failed.at)}) could not be used: {failed.why}."
            for failed in list(triangle.failed.values())[:5]
        ]
        if len(triangle.failed) > 5:
            said.append(f"{len(triangle.failed) - 5} more vintages of {triangle.model!r} could not be used.")
    for text, times in sorted(tally.warned.items())[:5]:
        said.append(f"{times} fits warned: {text[:200]}")
    return said


def limits(survey: Survey) -> list[str]:
    """Return what a replay assumes; it stands on every sheet."""
    app = survey.app
    arrival = f"the column {app.known_at!r}" if app.known_at else f"a fixed delay of {app.delay}"
    said = [f"A replay trusts {arrival} to say when labels were known."]
    if app.feedback == "none":
        said.append("It assumes that labels do not depend on the model's own decisions (feedback='none').")
        return said
    if app.propensity is None:
        said.append(
            "Labels depend on the model's own decisions (feedback='bandit') and no propensities are given: rules "
            "cannot be ranked by a replay."
        )
        return said
    weight = survey.grid.weight[survey.grid.cell_rows]
    size = float(weight.sum() ** 2 / (weight**2).sum())
    said.append(
        f"Labels depend on earlier decisions (feedback={app.feedback!r}); losses are weighted by one over "
        f"{app.propensity!r}, which leaves an effective sample of {size:,.0f} of {len(weight):,} labels."
    )
    return said


def remarks(
    recommended: Mapping[str, Any],
    table: Sequence[Mapping[str, Any]],
    models: Sequence[Mapping[str, Any]],
    app: App,
    shared: int,
) -> list[str]:
    """Return what a reader should know before following the recommendation; all models have so many shared periods."""
    live = next(row for row in models if row["name"] == app.live)
    said = [
        f"Model {row['name']!r} lost less than {app.live!r} ({how}, both always retrained): look at the model before "
        "the rule."
        for row in models
        if row is not live and (how := _lost_less(row, live, shared))
    ]
    if recommended["rule"] is None or not table:
        return said
    unit = f" {app.prices.unit}".rstrip() if app.prices else ""
    best = table[0]
    if best["name"] != recommended["rule"] and best["difference"] is not None and best["difference"] < 0:
        within = best["difference_high"] is None or best["difference_high"] >= 0
        how = "within chance" if within else "more than chance explains, but nobody could have known beforehand"
        saved = (
            between(-best["difference_high"], -best["difference_low"]) if best["difference_low"] is not None else "?"
        )
        said.append(f"{best['name']!r} was cheaper by {number(-best['difference'])}{unit} (interval {saved}): {how}.")
    first = str(app.windows[0])
    if f"({first})" not in recommended["rule"] and any(
        f"({window})" in recommended["rule"] for window in app.windows[1:]
    ):
        said.append(
            f"The recommended rule does not train on the first window, {first!r}: put its window first and rehearse "
            "again, so that every rule is tried with it."
        )
    return said


def _lost_less(row: Mapping[str, Any], live: Mapping[str, Any], shared: int) -> str:
    """Say by how much a model lost less than the living one, on the same periods; nothing where it did not."""
    if None in (row["fresh"], live["fresh"]):
        return ""
    if row["n"] == live["n"]:
        less = row["fresh"] < live["fresh"]
        return f"{number(row['fresh'])} against {number(live['fresh'])}" if less else ""
    # One could be made later than the other: periods before that may be harder, or easier.
    gap = row.get("difference")
    return (
        "" if gap is None or gap >= 0 else f"by {number(-gap)} in the {things(shared, 'period')} that all models have"
    )


def beaten(table: Sequence[Mapping[str, Any]], oracle: Mapping[str, Any], prices: Prices | None) -> list[str]:
    """Say why a rule may cost less than the best decisions in hindsight, where one does beyond chance."""
    under = [row for row in table if row["regret_high"] is not None and row["regret_high"] < 0]
    if prices is None or not under:
        return []
    best = min(under, key=lambda row: float(row["regret"]))
    unit = f" {prices.unit}".rstrip()
    said = (
        f"{best['name']!r} cost less than the best decisions in hindsight ({number(best['cost'])} against "
        f"{number(oracle['cost'])}{unit}): those are chosen on half of the rows and paid on the other half, and half "
        f"of them was too few to choose well. Chosen and paid on the same rows, which fits noise, they cost "
        f"{number(oracle['naive_cost'])}{unit} with {number(oracle['naive_retrains'])} moves. A regret below 0 says "
        "no more than that."
    )
    return [said]
