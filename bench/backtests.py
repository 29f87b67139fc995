"""
One backtest and ten, against skforecast's backtesting with refits.

Equal: the hourly series (generated), the model and its settings, the features (the values 168 to 191
hours before, so that a week ahead needs no forecast of its own), the cutoffs (weekly), the training rows
(all that came before), the number of predictions of a rule, one thread, one process; the mean absolute
errors agree, and are printed. The clocks start after the imports; seconds are of the one processor that
each of them has (wall-clock time beside it), the median of three rehearsals against one run of the rival.

Not equal: skforecast predicts hour by hour, as a recursive forecaster must; a rehearsal predicts every
later week from every vintage in one call, and also makes digests, keeps models and predictions on disk,
and writes the answer sheet with intervals. Another rule is another backtest there (`refit=n`); here it is
a path through what was fitted already.

Two sets of ten rules. Schedules (`refit=n` there): the rival needs a fit only where the schedule has one.
Rules that watch: break-even at ten prices holds the live model against a fresh one at every cutoff, so that
each of them is at least a backtest with a refit at every cutoff there; it is run ten times.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import peers
from sklearn.ensemble import HistGradientBoostingRegressor

import mlwild as wild
from mlwild.rules import BreakEven, Every, Never, Rule

WEEK = 168
LAGS = list(range(WEEK, WEEK + 24))
MODEL: dict[str, Any] = {"max_iter": 50, "early_stopping": False, "random_state": 0}
WATCHING: tuple[Rule, ...] = tuple(BreakEven(price=float(price)) for price in range(100, 1100, 100))
RULES: tuple[Rule, ...] = (*(Every(periods) for periods in (1, 2, 3, 4, 6, 8, 12, 16, 24)), Never())


def series(weeks: int) -> np.ndarray:
    """Draw an hourly load with days, weeks, a year and noise that lingers."""
    rng = np.random.default_rng(0)
    hour = np.arange(WEEK * weeks)
    noise = np.zeros(len(hour))
    for at, shock in enumerate(rng.normal(size=len(hour))):
        noise[at] = 0.9 * noise[at - 1] + shock
    day, week, year = (np.sin(2 * np.pi * hour / length) for length in (24, WEEK, 8766))
    return 100 + 10 * day * (1 + 0.3 * year) + 5 * week + 20 * year + noise


def events(values: np.ndarray) -> pd.DataFrame:
    """One row an hour, with the values a week and more before."""
    made = pd.DataFrame({f"lag_{lag}": pd.Series(values).shift(lag) for lag in LAGS})
    return made.assign(hour=np.arange(len(values)), load=values).iloc[LAGS[-1] :]


def app(values: np.ndarray, start: int) -> wild.App:
    """Return the app: a vintage a week, labels at once."""
    return wild.App(
        name="load",
        data=lambda: events(values),
        time="hour",
        label="load",
        delay=0,
        models={"boosting": HistGradientBoostingRegressor(**MODEL)},
        loss="absolute",
        every=WEEK,
        start=start,
    )


def ours(declared: wild.App, rules: tuple[Rule, ...]) -> dict[str, Any]:
    """Rehearse with an empty store, in this process."""
    with tempfile.TemporaryDirectory() as store:
        wall, cpu = time.perf_counter(), time.process_time()
        rehearsal = wild.rehearse(declared, rules=rules, store=store, jobs=1)
        spent = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    losses = {row["name"]: row["loss"] for row in rehearsal.rules}
    return {
        **spent,
        "fits": rehearsal.sheet["fits"]["made"],
        "errors": [losses[rule.name] for rule in rules],
        "predictions": int(rehearsal.survey.grid.rows.sum()),
    }


def middle(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the run in the middle by processor seconds."""
    return sorted(runs, key=lambda run: run["cpu"])[len(runs) // 2]


def refit_of(rule: Rule) -> bool | int:
    """Return skforecast's word for a rule: True, a number of folds, or False for never."""
    if not isinstance(rule, Every):
        return False
    return rule.periods if rule.periods > 1 else True


def theirs(values: np.ndarray, start: int, refits: list[bool | int]) -> list[dict[str, Any]]:
    """Run one backtest a rule in skforecast's environment; none where it will not install."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "series.npy"
        np.save(path, values)
        asked = {"series": str(path), "steps": WEEK, "start": start, "lags": LAGS, "model": MODEL, "refits": refits}
        made: list[dict[str, Any]] | None = peers.run("skforecast", "skforecast_backtests.py", asked)
    return made or []


def fits_of(rule: Rule, cutoffs: int) -> int:
    """Return how many fits a backtest of a rule needs."""
    return -(-cutoffs // rule.periods) if isinstance(rule, Every) else 1


def seconds_row(name: str, mine: dict[str, Any], rival: list[dict[str, Any]]) -> None:
    """Print processor and wall-clock seconds of both, and their ratio."""
    for unit in ("cpu", "wall"):
        other = sum(made[unit] for made in rival) or float("nan")
        print(f"{name + ', ' + unit + ' s':28}{mine[unit]:10.1f}{other:12.1f}{other / mine[unit]:8.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weeks", type=int, default=104, help="length of the series; the first half trains only")
    weeks = parser.parse_args().weeks
    values, start = series(weeks), WEEK * (weeks // 2)
    cutoffs = weeks - weeks // 2
    ours(app(values, WEEK * (weeks - 4)), RULES[-1:])  # imports
    sets = (RULES[:1], RULES, WATCHING)
    runs = [tuple(ours(app(values, start), rules) for rules in sets) for _ in range(3)]
    one, ten, watching = (middle(list(column)) for column in zip(*runs, strict=True))
    print(f"{cutoffs} weekly cutoffs, {len(values)} hours, {one['predictions']} predictions a rule, one thread")
    rival = theirs(values, start, [refit_of(rule) for rule in RULES])
    refitted = theirs(values, start, [True] * len(WATCHING))
    print(f"{'':28}{'ML-wild':>10}{'skforecast':>12}{'ratio':>8}")
    seconds_row("one rule", one, rival[:1])
    seconds_row("ten schedules", ten, rival)
    seconds_row("ten rules that watch", watching, refitted)
    needed = [fits_of(rule, cutoffs) for rule in RULES]
    print(f"{'fits for one rule':28}{one['fits']:10d}{needed[0]:12d}{needed[0] / one['fits']:8.1f}")
    print(f"{'fits for ten schedules':28}{ten['fits']:10d}{sum(needed):12d}{sum(needed) / ten['fits']:8.1f}")
    for rule, error, made in zip(RULES, ten["errors"], rival, strict=False):
        print(f"{'error of ' + rule.name:28}{error:10.4f}{made['error']:12.4f}")


if __name__ == "__main__":
    main()
