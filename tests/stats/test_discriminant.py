"""Which class a row belongs to: beside a library's discriminant analysis, with columns missing, and how often it is right."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from mlwild.errors import DataError
from mlwild.stats.discriminant import FEWEST, MOST, learn_discriminant

CENTRES = np.array([[0.0, 0.0, 0.0, 1.0], [1.0, 0.5, 0.0, 0.0], [0.0, 2.0, 1.0, 0.0]])


def _drawn(rng, n, shares=(0.5, 0.3, 0.2)):
    classes = rng.choice(3, size=n, p=shares)
    mixed = np.eye(4) + 0.4 * np.random.default_rng(1).normal(size=(4, 4))
    return CENTRES[classes] + rng.normal(size=(n, 4)) @ mixed, classes.astype(float)


@pytest.mark.parametrize("there", [(0, 1, 2, 3), (1, 3), (2,)])
def test_it_names_what_the_analysis_of_the_columns_that_are_there_names(there):
    """Of 4,000 rows: centres and covariance are the same but for a little shrinking."""
    (learned, classes), (live, _) = (_drawn(np.random.default_rng(seed), 4000) for seed in (2, 3))
    there = list(there)
    other = LinearDiscriminantAnalysis(solver="lsqr").fit(learned[:, there], classes)
    gaps = np.full_like(live, np.nan)
    gaps[:, there] = live[:, there]
    same = learn_discriminant(learned, classes).likeliest(gaps) == other.predict(live[:, there])
    assert same.mean() > 0.99


def test_it_is_wrong_as_seldom_as_can_be():
    """Two classes three deviations apart, of 20,000 rows each: the least error is known; four deviations of a share."""
    rng = np.random.default_rng(4)
    classes = rng.integers(0, 2, 40_000).astype(float)
    rows = 3.0 * classes[:, None] + rng.normal(size=(40_000, 1))
    wrong = (learn_discriminant(rows[:20_000], classes[:20_000]).likeliest(rows[20_000:]) != classes[20_000:]).mean()
    least = norm.cdf(-1.5)
    assert abs(wrong - least) < 4 * np.sqrt(least / 20_000) + 0.001


def test_of_nothing_the_most_frequent_is_named():
    rows, classes = _drawn(np.random.default_rng(5), 2000)
    assert (learn_discriminant(rows, classes).likeliest(np.full((3, 4), np.nan)) == 0.0).all()


def test_classes_of_few_rows_and_beyond_a_hundred_are_never_named():
    rng = np.random.default_rng(6)
    classes = np.concatenate([np.repeat(np.arange(150.0), 20), np.full(FEWEST - 1, 999.0), np.full(3000, 7.0)])
    rows = rng.normal(size=(len(classes), 2))
    made = learn_discriminant(rows, classes)
    assert len(made.classes) == MOST
    assert 7.0 in made.classes
    assert 999.0 not in made.classes
    assert learn_discriminant(rows[:20], np.arange(20.0)) is None
    assert learn_discriminant(rows[:20], np.full(20, np.nan)) is None


def test_gaps_among_what_is_learned_and_columns_that_never_move_do_no_harm():
    rows, classes = _drawn(np.random.default_rng(7), 4000)
    holed = np.where(np.random.default_rng(8).random(rows.shape) < 0.2, np.nan, rows)
    holed = np.column_stack([holed, np.full(4000, 3.0), np.full(4000, np.nan)])
    made = learn_discriminant(holed, classes)
    live, truth = _drawn(np.random.default_rng(9), 4000)
    found = made.likeliest(np.column_stack([live, np.full((4000, 2), np.nan)]))
    best = learn_discriminant(rows, classes).likeliest(live)
    assert (found == truth).mean() > (best == truth).mean() - 0.02
    with pytest.raises(DataError, match="need 6 columns"):
        made.likeliest(np.zeros((1, 2)))
