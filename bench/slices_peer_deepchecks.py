"""Weak segments by Deepchecks, run in its own environment: one JSON in, one JSON out."""

import contextlib
import json
import resource
import sys
import time
import warnings
from importlib.metadata import version

import numpy as np
import pandas as pd
from deepchecks.core.errors import DeepchecksProcessError
from deepchecks.tabular import Dataset
from deepchecks.tabular.checks import WeakSegmentsPerformance


def searched(frame, errors, rows):
    """Search for weak segments once; seconds and the table of segments."""
    wall, cpu = time.perf_counter(), time.process_time()
    check = WeakSegmentsPerformance(n_samples=rows, score_per_sample=pd.Series(-errors))
    made = []
    with contextlib.suppress(DeepchecksProcessError):  # where no tree has a leaf that is bad enough
        made = check.run(Dataset(frame, cat_features=[], label="wrong"), with_display=False).value["weak_segments_list"]
    spent = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    return spent, made


def main():
    asked = json.load(sys.stdin)
    warnings.simplefilter("ignore")
    table = np.load(asked["table"])
    codes, errors = table["codes"], table["errors"]
    names = [f"f{feature}" for feature in range(codes.shape[1])]
    frame = pd.DataFrame(codes.astype(np.int64), columns=names).assign(wrong=errors)
    with contextlib.redirect_stdout(sys.stderr):
        searched(frame.head(1000), errors[:1000], 1000)  # imports
        spent, segments = searched(frame, errors, asked["rows"])
    made = {"run": spent, "segments": len(segments), "version": version("deepchecks")}
    made["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if len(segments):
        worst = segments.iloc[0]
        told = " ".join(str(worst[name]) for name in ("Feature1", "Feature1 Range", "Feature2", "Feature2 Range"))
        made |= {"worst": told, "mean": -float(worst.iloc[0]), "share": float(worst["% of Data"]) / 100}
    print(json.dumps(made))


if __name__ == "__main__":
    main()
