"""
What a fit costs beyond itself: on joblib's workers, and on a Ray cluster of this machine.

Small fits, so that what is beyond them is seen; once the workers are there (the start is told apart).
"""

from __future__ import annotations

import os
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

import mlwild as wild
from mlwild.triangle import parallel
from mlwild.triangle.cluster import cluster

FITS = 400


class Mean:
    """A model whose fit takes next to nothing."""

    def fit(self, X, y):
        self.mean = float(np.mean(y))
        return self

    def predict(self, X):
        return np.full(len(X), self.mean)


def app(seed: int) -> wild.App:
    """Return an app with many cutoffs and few rows."""
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame(
        {"when": np.arange(10 * FITS), "x": rng.normal(size=10 * FITS), "y": rng.normal(size=10 * FITS)}
    )
    return wild.App(
        name=f"small{seed}", data=lambda: rows, time="when", label="y", delay=0, models={"mean": Mean()},
        features=lambda rows: rows[["x"]], loss="squared", every=10, start=20,
    )  # fmt: skip


def cpu() -> float:
    """Return processor seconds of this process and its children so far."""
    mine, theirs = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return mine.ru_utime + mine.ru_stime + theirs.ru_utime + theirs.ru_stime


def fits(seed: int, jobs, alone: float) -> tuple[float, int]:
    """Return the seconds that the triangle alone takes, and its fits."""
    from mlwild.triangle import build
    from mlwild.triangle.store import Store
    from mlwild.triangle.survey import survey

    parallel.ALONE = alone
    read = survey(app(seed))
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        made = build(read, Store(Path(folder)), jobs=jobs)
        return time.perf_counter() - began, made[0].tally.made


def main() -> None:
    """Print milliseconds a fit."""
    print(f"load {os.getloadavg()[0]:.1f}; {os.cpu_count()} processors")
    plain, n = fits(0, 1, float("inf"))
    with cluster(wild.Ray(cpus=2), 10**7):
        fits(1, wild.Ray(), -1.0)  # workers come up
        ray, _ = fits(2, wild.Ray(), -1.0)
    began = time.perf_counter()
    with cluster(wild.Ray(cpus=2), 10**7):
        start = time.perf_counter() - began
    joblib, _ = fits(3, 2, -1.0)
    print(f"one process: {1000 * plain / n:.1f} ms a fit ({n} fits)")
    print(f"joblib, 2 workers, their start included: {1000 * joblib / n:.1f} ms a fit")
    print(f"Ray, 2 workers: {1000 * ray / n:.1f} ms a fit; start of the cluster {start:.1f} s")
    print(f"Ray beyond joblib (asked: under 20 ms): {1000 * (ray - joblib) / n:+.1f} ms a fit")


if __name__ == "__main__":
    main()
