"""Run inside rliable's environment: intervals of the interquartile mean, and how long they take."""

from __future__ import annotations

import json
import sys
import time

import numpy as np
from rliable import library, metrics


def main() -> None:
    """Answer one question: scores in, the best time, the estimate and the interval out."""
    asked = json.load(sys.stdin)
    scores, reps = np.array(asked["scores"]), asked["reps"]

    def whole():
        return library.get_interval_estimates({"a": scores}, lambda x: np.array([metrics.aggregate_iqm(x)]), reps=reps)

    seconds = []
    for _ in range(asked["repeats"]):
        began = time.perf_counter()
        points, bounds = whole()
        seconds.append(time.perf_counter() - began)
    low, high = (float(value) for value in bounds["a"][:, 0])
    print(json.dumps({"seconds": min(seconds), "estimate": float(points["a"][0]), "low": low, "high": high}))


if __name__ == "__main__":
    main()
