"""
How often what a life promised came: every real history, refitted at each cutoff, one promise a period.

A promise is the estimate of the split that the past commends with its adaptive conformal interval, as a tick writes it;
it is held against the period's loss over all labels that ever came. Lives differ by what decides: a vintage is refitted
at each cutoff here, so that a history is judged by its own drift and not by a rule's. `width` is the mean width of
intervals over the standard deviation of the losses: 3.3 would be that of a normal spread known beforehand. `late` is
the share kept without the first 20 promises, which rest on few errors. The last lines pool all histories, and say how
far from 90 % chance alone takes so many promises, were each kept by a coin of its own.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import histories
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import mlwild as wild
from mlwild.rules import Never
from mlwild.stats.proportions import wilson

MARKETS = ("PJM", "NP", "BE", "FR", "DE")


def streams() -> Iterator[tuple[str, wild.App]]:
    """Yield the real histories, each with its living model alone."""
    for history in histories.available():
        if history.about.startswith("real"):
            yield history.name, history.make()
    if not histories.DATA.is_dir():
        return
    from tests.real import air_quality, electricity, gas_sensors, hotel

    yield "air, boosting", replace(air_quality(histories.DATA), windows=("60D",))
    yield "gas, batches", gas_sensors(histories.DATA)
    yield "hotel, auc", hotel(histories.DATA)
    for market in MARKETS:
        yield f"price {market}", electricity(histories.DATA, market, every="7D")


def judged(promise: dict[str, Any]) -> dict[str, Any]:
    """Return how a life's promises were kept."""
    columns = [np.array(promise[name], dtype=float) for name in ("promised_low", "promised_high", "came", "promised")]
    low, high, came, _ = (one[~np.isnan(columns[0]) & ~np.isnan(columns[2])] for one in columns)
    kept = (low <= came) & (came <= high)
    spread = float(came.std(ddof=1)) if len(came) > 1 else float("nan")
    return {
        "kept": int(kept.sum()),
        "n": len(kept),
        "late_kept": int(kept[20:].sum()),
        "late_n": len(kept[20:]),
        "below": int((came < low).sum()),
        "above": int((came > high).sum()),
        "width": float((high - low).mean() / spread),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", help="histories by name")
    given = parser.parse_args()
    found: dict[str, dict[str, Any]] = {}
    print(f"{'history':18}{'kept':>6}{'of':>6}{'share':>8}{'late':>8}{'below':>7}{'above':>7}{'width':>8}")
    for name, app in streams():
        if given.only and name not in given.only:
            continue
        with tempfile.TemporaryDirectory() as store, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            live = {app.live: app.models[app.live]}
            one = replace(app, models=live, windows=app.windows[:1], monitors=(), groups=())
            made = wild.rehearse(one, rules=[Never()], splits="free", store=store)
        row = found[name] = judged(made.sheet["split_audition"]["promise"])
        late = f"{row['late_kept'] / row['late_n']:.3f}" if row["late_n"] else "-"
        share = f"{row['kept'] / row['n']:.3f}" if row["n"] else "-"
        print(
            f"{name:18}{row['kept']:>6}{row['n']:>6}{share:>8}{late:>8}{row['below']:>7}{row['above']:>7}"
            f"{row['width']:>8.2f}",
            flush=True,
        )
    for said, kept, n in (("all", "kept", "n"), ("all, late", "late_kept", "late_n")):
        of, total = (sum(row[key] for row in found.values()) for key in (kept, n))
        if total:
            sure = wilson(of, total, level=0.95)
            print(f"{said:18}{of:>6}{total:>6}{of / total:>8.3f}  ({sure.low:.3f} to {sure.high:.3f})")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
