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


def scores(asked, old, new, statistics):
    """Return the seconds, and the score of each column by statistic, of one calculator and one chunk."""
    numbers, words = ([METHODS[name][side] for name in statistics if METHODS[name][side]] for side in (0, 1))
    columns = bool(numbers) * asked["numbers"] + bool(words) * asked["words"]
    wall, cpu = time.perf_counter(), time.process_time()
    calculator = nannyml.UnivariateDriftCalculator(
        column_names=columns,
        treat_as_categorical=asked["words"],
        continuous_methods=numbers or None,
        categorical_methods=words or None,
        chunk_number=1,
        computation_params=EXACT if asked["exact"] else None,
    )
    calculator.fit(old)
    made = calculator.calculate(new).filter(period="analysis").to_df()
    spent = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    found = {}
    for statistic in statistics:
        of = dict(zip(("numbers", "words"), METHODS[statistic], strict=True))
        where = [(column, of[kind]) for kind in of if of[kind] for column in asked[kind]]
        found[statistic] = {column: float(made[column, method, "value"].iloc[0]) for column, method in where}
    return spent, found


def main():
    asked = json.load(sys.stdin)
    warnings.simplefilter("ignore")
    nannyml.disable_usage_logging()
    old, new = (pd.read_parquet(asked[side]) for side in ("reference", "window"))
    runs, values = {}, {}
    with contextlib.redirect_stdout(sys.stderr):
        small = [frame.head(1000) for frame in (old, new)]
        scores(asked, *small, list(METHODS))  # imports
        for statistic in METHODS:
            runs[statistic], made = scores(asked, old, new, [statistic])
            found = made[statistic]
            shown = asked["words"] if statistic == "jensen_shannon" else found
            values[statistic] = {column: found[column] for column in shown}
        together, _ = scores(asked, old, new, list(METHODS))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    remarks = REMARKS if asked["exact"] else REMARKS | BINNED
    made = {"runs": runs, "together": together, "values": values, "remarks": remarks, "peak": peak}
    print(json.dumps(made | {"version": version("nannyml")}))


if __name__ == "__main__":
    main()
