"""
Comparisons against the packages that make them: the model confidence set of `arch`, intervals of rliable.

Same rows on both sides, one process and one thread each, the least of several times. The statistic is the
same on both sides too: `corrected=False` turns off what the product adds (the p-values are then those of the
paper). Targets: 5 times as fast, and p-values that agree within Monte Carlo error.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import peers

from mlwild.comparisons import Losses, compare
from mlwild.stats.many import model_confidence_set
from mlwild.stats.runs import aggregate_intervals

ROWS, MODELS, DRAWS, LENGTH = 1000, 20, 1000, 10
RUNS, TASKS, REPS = 100, 50, 2000
TARGET = 5.0
SEEDS = 40


def least(work: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Return the least time of some, and what was made."""
    seconds, made = [], None
    for _ in range(repeats + 1):
        began = time.perf_counter()
        made = work()
        seconds.append(time.perf_counter() - began)
    return min(seconds[1:]), made


def confidence_sets() -> None:
    """Compare the model confidence set with that of arch."""
    from arch import __version__
    from arch.bootstrap import MCS

    rng = np.random.default_rng(0)
    noise = rng.normal(size=(ROWS + 50, MODELS))
    for row in range(1, len(noise)):
        noise[row] += 0.4 * noise[row - 1]
    losses = noise[50:] + np.linspace(0.0, 0.3, MODELS)

    def theirs() -> Any:
        made = MCS(losses, size=0.05, reps=DRAWS, block_size=LENGTH, method="R", bootstrap="stationary", seed=0)
        made.compute()
        return made

    slow, made = least(theirs, 5)
    fast, found = least(lambda: model_confidence_set(losses, corrected=False, length=LENGTH, reps=DRAWS), 15)
    whole, _ = least(lambda: compare(Losses([str(k) for k in range(MODELS)], losses)), 5)
    print(f"\nmodel confidence set, {ROWS} rows x {MODELS} models, {DRAWS} draws, blocks of {LENGTH}")
    print(f"  arch {__version__:8}  {1e3 * slow:8.1f} ms")
    print(f"  mlwild         {1e3 * fast:8.1f} ms   {slow / fast:.1f} times as fast (target {TARGET:g})")
    print(f"  wild.compare   {1e3 * whole:8.1f} ms   with intervals of every model and difference, blocks by rule")
    p_theirs = made.pvalues["Pvalue"].sort_index().to_numpy()
    gaps = np.abs(p_theirs - np.array(found.p_values))
    # The order of dropping is drawn too, so the Monte Carlo error is that of whole runs with other seeds.
    both = [np.array([make(losses, seed) for seed in range(SEEDS)]) for make in (_p_values, _p_values_of_arch)]
    error = np.sqrt(sum(one.var(axis=0, ddof=1) for one in both))
    far = np.abs(both[0].mean(axis=0) - both[1].mean(axis=0))
    one = (gaps / np.maximum(error, 1e-3)).max()
    print(f"  p-values, one seed: largest gap {gaps.max():.3f}, {one:.1f} Monte Carlo errors")
    worst = (far / np.maximum(error / np.sqrt(SEEDS), 1e-3)).max()
    print(f"  means over {SEEDS} seeds: largest gap {far.max():.4f}, {worst:.1f} Monte Carlo errors")
    ours, theirs_set = ((one.mean(axis=0) > 0.05).tolist() for one in both)
    print(f"  set at 5 % by these means: {'the same' if ours == theirs_set else 'another one'}, {sum(ours)} models")


def _p_values(losses: Any, seed: int) -> Any:
    return np.array(model_confidence_set(losses, corrected=False, length=LENGTH, reps=DRAWS, seed=seed).p_values)


def _p_values_of_arch(losses: Any, seed: int) -> Any:
    from arch.bootstrap import MCS

    made = MCS(losses, size=0.05, reps=DRAWS, block_size=LENGTH, method="R", bootstrap="stationary", seed=seed)
    made.compute()
    return made.pvalues["Pvalue"].sort_index().to_numpy()


def interquartile_means() -> None:
    """Compare intervals of the interquartile mean with those of rliable."""
    scores = np.random.default_rng(1).lognormal(size=(RUNS, TASKS))
    print(f"\ninterval of the interquartile mean, {RUNS} runs x {TASKS} tasks, {REPS} draws")
    theirs = peers.run("rliable", "rliable_intervals.py", {"scores": scores.tolist(), "reps": REPS, "repeats": 3})
    fast, found = least(lambda: aggregate_intervals(scores, metrics=("iqm",), reps=REPS)["iqm"], 5)
    if theirs is None:
        print(f"  mlwild         {1e3 * fast:8.1f} ms   no ratio: rliable could not be run (see above)")
        return
    slow = theirs["seconds"]
    shown = f"{theirs['estimate']:.4f} ({theirs['low']:.4f} to {theirs['high']:.4f})"
    print(f"  rliable        {1e3 * slow:8.1f} ms   {shown}")
    print(
        f"  mlwild         {1e3 * fast:8.1f} ms   {found.estimate:.4f} ({found.low:.4f} to {found.high:.4f}), "
        f"{slow / fast:.1f} times as fast (target {TARGET:g})"
    )


if __name__ == "__main__":
    confidence_sets()
    interquartile_means()
