"""Worst slices by the package sliceline, run in its own environment: one JSON in, one JSON out."""

import json
import logging
import resource
import sys
import time
import warnings
from importlib.metadata import version

import numpy as np
from sliceline import Slicefinder, is_numba_available


def found(codes, errors, alpha, k, levels, support):
    """Search once; seconds, and the slices with their scores."""
    wall, cpu = time.perf_counter(), time.process_time()
    finder = Slicefinder(alpha=alpha, k=k, max_l=levels, min_sup=support, verbose=False).fit(codes, errors)
    spent = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    slices = [
        {
            "conditions": [[feature, int(place)] for feature, place in enumerate(one) if place is not None],
            "score": statistics["slice_score"],
            "size": statistics["slice_size"],
        }
        for one, statistics in zip(finder.top_slices_, finder.top_slices_statistics_, strict=True)
    ]
    return spent, slices


def main():
    asked = json.load(sys.stdin)
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    settings = [asked[name] for name in ("k", "levels")]
    answers = []
    for path, alpha, support in asked["tables"]:
        table = np.load(path)
        codes, errors = table["codes"].astype(np.int64), table["errors"]
        if not answers:
            found(codes[:1000], errors[:1000] + 1e-3, alpha, *settings, 50)  # compiles
        spent, slices = found(codes, errors, alpha, *settings, support)
        answers.append({"run": spent, "slices": slices})
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        json.dumps({"version": version("sliceline"), "numba": is_numba_available(), "answers": answers, "peak": peak})
    )


if __name__ == "__main__":
    main()
