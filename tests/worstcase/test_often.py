"""How often a stress happened: counted by period where the rows can tell, and said where they cannot."""

from __future__ import annotations

import numpy as np
import pytest

from mlwild.stats.proportions import clopper_pearson
from mlwild.stressors import Missing, Noise, Outliers, Stuck, Tilt
from mlwild.worstcase.often import often
from tests.gate.made import Line, clicks, small_app, trial_of

#: One more comes before the first vintage, whose rows have no period.
PERIODS = 9


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """Rows of nine periods: in one a column is stuck, in two it is half missing, in one it is far off, in one it tilts."""
    rows = clicks(4_000)
    rows["y"] = rows["b"]
    period = rows["when"] // 400
    rows.loc[period == 1, "a"] = 0.5
    rows.loc[(period == 3) & (rows["when"] % 2 == 0), "a"] = np.nan
    rows.loc[(period == 4) & (rows["when"] % 2 == 1), "a"] = np.nan
    rows.loc[period == 6, "b"] += 3.0
    rows.loc[(period == 7) & (rows["when"] % 4 == 0), "b"] -= 12.0

    class Zeros(Line):
        """A line through rows with gaps."""

        def fit(self, X, y):
            return super().fit(X.fillna(0.0), y)

        def predict(self, X):
            return super().predict(X.fillna(0.0))

    app = small_app(
        rows, features=lambda frame: frame[["a", "b"]], models={"line": Zeros()}, loss="squared", every=400, start=400
    )
    replay = trial_of(app, tmp_path_factory.mktemp("store"), periods=2).replay
    return replay.everything.held(np.arange(len(rows)))


@pytest.mark.parametrize(
    ("stressor", "case", "severity", "seen"),
    [
        (Missing(), "a", 0.5, 2),
        (Stuck(), "a", 0.9, 1),
        (Outliers(distance=4.0), "b", 0.2, 1),
        (Tilt(), "more b", 0.5, 1),
    ],
)
def test_what_happened_is_counted_with_an_interval(stressor, case, severity, seen, history):
    share = clopper_pearson(seen, PERIODS)
    expected = f"in {seen} of {PERIODS} past periods ({share.low:.0%} to {share.high:.0%} of them, 95% confidence)"
    assert often(stressor, case, severity, history) == expected


def test_what_never_happened_has_a_bound_and_what_rows_cannot_tell_is_said(history):
    # 1 - 0.05 ** (1 / 9)
    assert often(Missing(), "b", 0.5, history) == "never in 9 past periods: at most 28% of periods (95% confidence)"
    assert often(Noise(), "a", 1.0, history) == "the rows cannot tell whether it happened before"
