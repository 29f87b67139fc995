"""Statistics of shift by NannyML, run in its own environment: one JSON in, one JSON out."""

import contextlib
import json
import resource
import sys
import time
import warnings
from importlib.metadata import version

import nannyml
import pandas as pd

#: Statistics, and NannyML's word for each with numbers and with categories.
METHODS = {
    "ks": ("kolmogorov_smirnov", None),
    "wasserstein": ("wasserstein", None),
    "jensen_shannon": ("jensen_shannon", "jensen_shannon"),
    "chi_square": (None, "chi2"),
}
EXACT = {"kolmogorov_smirnov": {}, "wasserstein": {}, "calculation_method": "exact"}
REMARKS = {
    "psi": "not offered",
    "jensen_shannon": "numbers in other bins: categories compared",
}
BINNED = {"ks": "estimated from 10,000 bins of equal width", "wasserstein": "estimated from 10,000 bins"}


def scores(asked, old, new, statistic, exact):
    """Return the seconds and the score of each column, by one calculator and one chunk."""
    numbers, words = METHODS[statistic]
    columns = bool(numbers) * asked["numbers"] + bool(words) * asked["words"]
    wall, cpu = time.perf_counter(), time.process_time()
    calculator = nannyml.UnivariateDriftCalculator(
        column_names=columns,
        treat_as_categorical=asked["words"],
        continuous_methods=[numbers] if numbers else None,
        categorical_methods=[words] if words else None,
        chunk_number=1,
        computation_params=EXACT if exact else None,
    )
    calculator.fit(old)
    made = calculator.calculate(new).filter(period="analysis").to_df()
    spent = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    of = {**dict.fromkeys(asked["numbers"], numbers), **dict.fromkeys(asked["words"], words)}
    return spent, {column: float(made[column, of[column], "value"].iloc[0]) for column in columns}


def main():
    asked = json.load(sys.stdin)
    warnings.simplefilter("ignore")
    nannyml.disable_usage_logging()
    old, new = (pd.read_parquet(asked[side]) for side in ("reference", "window"))
    runs, values = {}, {}
    with contextlib.redirect_stdout(sys.stderr):
        small = [frame.head(1000) for frame in (old, new)]
        for statistic in METHODS:
            scores(asked, *small, statistic, exact=asked["exact"])  # imports
        for statistic in asked["statistics"] or METHODS:
            runs[statistic], found = scores(asked, old, new, statistic, exact=asked["exact"])
            shown = asked["words"] if statistic == "jensen_shannon" else found
            values[statistic] = {column: found[column] for column in shown}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    remarks = REMARKS if asked["exact"] else REMARKS | BINNED
    print(json.dumps({"version": version("nannyml"), "runs": runs, "values": values, "remarks": remarks, "peak": peak}))


if __name__ == "__main__":
    main()
