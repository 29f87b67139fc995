"""Backtests by skforecast, run in its own environment: one JSON in, one JSON out."""

import json
import sys
import time
import warnings

import numpy as np
import pandas as pd
from skforecast.model_selection import TimeSeriesFold, backtesting_forecaster
from skforecast.recursive import ForecasterRecursive
from sklearn.ensemble import HistGradientBoostingRegressor


def backtest(series, asked, refit):
    """Return the seconds, the mean absolute error and the number of predictions of one backtest."""
    model = HistGradientBoostingRegressor(**asked["model"])
    folds = TimeSeriesFold(
        steps=asked["steps"],
        initial_train_size=asked["start"],
        refit=refit,
        fixed_train_size=False,
        allow_incomplete_fold=False,
        verbose=False,
    )
    wall, cpu = time.perf_counter(), time.process_time()
    metric, predicted = backtesting_forecaster(
        ForecasterRecursive(estimator=model, lags=asked["lags"]),
        y=series,
        cv=folds,
        metric="mean_absolute_error",
        n_jobs=1,
        show_progress=False,
    )
    spent = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    return {**spent, "error": float(metric.iloc[0, -1]), "predictions": len(predicted)}


def main():
    asked = json.load(sys.stdin)
    warnings.simplefilter("ignore")
    series = pd.Series(np.load(asked["series"]))
    print(json.dumps([backtest(series, asked, refit) for refit in asked["refits"]]))


if __name__ == "__main__":
    main()
