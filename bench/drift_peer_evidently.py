"""Statistics of shift by Evidently, run in its own environment: one JSON in, one JSON out."""

import contextlib
import json
import math
import resource
import sys
import time
import warnings
from importlib.metadata import version

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.metrics import ValueDrift

#: Statistics, Evidently's word for each, and whether it takes numbers and categories.
METHODS = {
    "ks": ("ks", True, False),
    "wasserstein": ("wasserstein", True, False),
    "psi": ("psi", True, True),
    "jensen_shannon": ("jensenshannon", True, True),
    "chi_square": ("chisquare", False, True),
}
REMARKS = {
    "ks": "p-value only",
    "psi": "numbers in bins of equal width, ours in bins of equal mass: categories compared",
    "jensen_shannon": "numbers in other bins: categories compared",
    "chi_square": "takes the reference's shares as known: another p-value",
}


def scores(asked, old, new, statistics):
    """Return the seconds, and the score of each column by statistic, of one report."""
    wanted = []
    for statistic in statistics:
        method, numbers, words = METHODS[statistic]
        columns = numbers * asked["numbers"] + words * asked["words"]
        wanted += [(statistic, column, ValueDrift(column=column, method=method)) for column in columns]
    wall, cpu = time.perf_counter(), time.process_time()
    shape = DataDefinition(numerical_columns=asked["numbers"], categorical_columns=asked["words"])
    reference, window = (Dataset.from_pandas(frame, data_definition=shape) for frame in (old, new))
    made = Report([metric for _, _, metric in wanted], include_tests=False).run(window, reference).dict()["metrics"]
    spent = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    found = {statistic: {} for statistic in statistics}
    for (statistic, column, _), one in zip(wanted, made, strict=True):
        found[statistic][column] = float(one["value"])
    return spent, found


def same(statistic, found, words):
    """Return what can be held against ours, in our units, by our name of it."""
    if statistic == "ks":
        return {"ks_p": found}
    if statistic == "wasserstein":
        return {"wasserstein_scaled": found}
    if statistic == "psi":
        return {"psi": {column: found[column] for column in words}}
    if statistic == "jensen_shannon":  # natural logarithms there, base 2 here
        return {"jensen_shannon": {column: found[column] / math.sqrt(math.log(2)) for column in words}}
    return {}


def main():
    asked = json.load(sys.stdin)
    warnings.simplefilter("ignore")
    old, new = (pd.read_parquet(asked[side]) for side in ("reference", "window"))
    runs, values = {}, {}
    with contextlib.redirect_stdout(sys.stderr):
        small = [frame.head(1000) for frame in (old, new)]
        scores(asked, *small, list(METHODS))  # imports
        for statistic in METHODS:
            runs[statistic], found = scores(asked, old, new, [statistic])
            values |= same(statistic, found[statistic], asked["words"])
        together, _ = scores(asked, old, new, list(METHODS))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    made = {"runs": runs, "together": together, "values": values, "remarks": REMARKS, "peak": peak}
    print(json.dumps(made | {"version": version("evidently")}))


if __name__ == "__main__":
    main()
