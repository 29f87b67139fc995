"""Statistics of shift by Deepchecks, run in its own environment: one JSON in, one JSON out."""

import contextlib
import json
import resource
import sys
import time
import warnings
from importlib.metadata import version

import pandas as pd
from deepchecks.tabular import Dataset
from deepchecks.tabular.checks import FeatureDrift

#: Statistics, and Deepchecks' arguments for each.
METHODS = {
    "ks": {"numerical_drift_method": "KS"},
    "wasserstein": {"numerical_drift_method": "EMD", "margin_quantile_filter": 0},
    "psi": {"categorical_drift_method": "PSI"},
    "chi_square": {"categorical_drift_method": "cramers_v"},
}
REMARKS = {
    "ks": "statistic only, no p-value",
    "psi": "categories only, shares under 1 % raised to 1 %",
    "jensen_shannon": "not offered",
    "chi_square": "Cramer's V, corrected for bias, in place of the statistic",
}


#: Pairs that one check makes, of numbers and of categories.
PAIRS = (("ks", "psi"), ("wasserstein", "chi_square"))


def scores(asked, old, new, *statistics):
    """Return the seconds and the score of each column, by one check of all rows without pictures."""
    words = [name for name in asked["words"] if "psi" in statistics or "chi_square" in statistics]
    columns = words + asked["numbers"] * ("ks" in statistics or "wasserstein" in statistics)
    wall, cpu = time.perf_counter(), time.process_time()
    sides = [Dataset(frame[columns], cat_features=words) for frame in (old, new)]
    arguments = {key: value for name in statistics for key, value in METHODS[name].items()}
    check = FeatureDrift(n_samples=len(old) + len(new), min_category_size_ratio=0, **arguments)
    made = check.run(*sides, with_display=False).value
    spent = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    return spent, {column: float(made[column]["Drift score"]) for column in columns}


def span(old, new):
    """Return the range of both sides."""
    return float(max(old.max(), new.max()) - min(old.min(), new.min()))


def main():
    asked = json.load(sys.stdin)
    warnings.simplefilter("ignore")
    old, new = (pd.read_parquet(asked[side]) for side in ("reference", "window"))
    runs, values = {}, {}
    with contextlib.redirect_stdout(sys.stderr):
        small = [frame.head(1000) for frame in (old, new)]
        for statistic in METHODS:
            scores(asked, *small, statistic)  # imports
        for statistic in METHODS:
            runs[statistic], found = scores(asked, old, new, statistic)
            if statistic == "wasserstein":  # over the range of both sides there
                found = {name: score * span(old[name], new[name]) for name, score in found.items()}
            if statistic != "chi_square":
                values[statistic] = found
        pairs = [scores(asked, old, new, *pair)[0] for pair in PAIRS]
        together = {unit: sum(pair[unit] for pair in pairs) for unit in ("wall", "cpu")}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    made = {"runs": runs, "together": together, "values": values, "remarks": REMARKS, "peak": peak}
    print(json.dumps(made | {"version": version("deepchecks")}))


if __name__ == "__main__":
    main()
