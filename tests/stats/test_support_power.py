"""What the scores of rows see: nearly what the test sees that knows the law, whatever the shape of the columns."""

import numpy as np
import pytest
from scipy import stats

from mlwild.stats.rank_curves import normal_score_curve
from mlwild.stats.support import learn_support

#: Rising functions of normal columns: what is strange in the ranks of one is as strange in those of all.
SHAPES = {
    "normal": lambda z: z,
    "skewed": np.exp,
    "heavy": lambda z: z**3,
    "counts": lambda z: stats.poisson.ppf(stats.norm.cdf(z), 3.0),
    "cauchy": lambda z: stats.cauchy.ppf(stats.norm.cdf(z)),
}
ROWS, ALPHA, FAR = 2000, 0.001, 25.0


def _found(shape, columns, draws):
    """Share of rows that are named at a level of ALPHA whose first column, or all, are off by a distance of FAR."""
    shared = 0.7 * np.ones((columns, columns)) + 0.3 * np.eye(columns)
    mixed, inverse = np.linalg.cholesky(shared), np.linalg.inv(shared)
    found = []
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        before, after, asked = (rng.normal(size=(ROWS, columns)) @ mixed.T for _ in range(3))
        support = learn_support(SHAPES[shape](before), SHAPES[shape](after))
        each = []
        for off in (np.eye(columns)[0], np.ones(columns)):
            rows = asked + off * np.sqrt(FAR / (off @ inverse @ off))
            each.append((support.p_values(SHAPES[shape](rows)) <= ALPHA).mean())
        found.append(each)
    return np.mean(found, axis=0)


@pytest.mark.parametrize("draws", [12, pytest.param(60, marks=pytest.mark.slow)])
@pytest.mark.parametrize("columns", [5, 20])
def test_it_sees_nearly_what_the_test_sees_that_knows_the_covariance(columns, draws):
    # Closed form: the squared distance of rows that are off is a noncentral chi-squared.
    known = stats.ncx2.sf(stats.chi2.isf(ALPHA, columns), columns, FAR)
    one, every = _found("normal", columns, draws)
    # It learns the covariance from as many rows, and shares its level among three scores; a draw's deviation is .1.
    assert one >= (0.9 if columns == 5 else 1.1) * known  # of many columns the one that is off is told by `mismatch`
    assert every >= 0.9 * known


@pytest.mark.parametrize("draws", [12, pytest.param(60, marks=pytest.mark.slow)])
@pytest.mark.parametrize("columns", [5, 20])
@pytest.mark.parametrize(("shape", "least"), [("skewed", 0.8), ("heavy", 0.8), ("counts", 0.85), ("cauchy", 0.22)])
def test_columns_of_another_shape_hide_no_fault(shape, least, columns, draws):
    as_normal, found = _found("normal", columns, draws), _found(shape, columns, draws)
    assert found[0] >= least * as_normal[0]
    assert found[1] >= 0.9 * as_normal[1]


@pytest.mark.parametrize("shape", ["normal", "heavy"])
def test_beyond_the_rows_a_score_goes_on_as_its_tail_does_and_then_straight_on(shape):
    z = np.random.default_rng(0).normal(size=50_000)
    made = SHAPES[shape]
    curve = normal_score_curve(made(z))
    for side in (z.min(), z.max()):
        end = curve.at(float(made(side)))
        for farther in (1.1, 1.3, 1.5):
            assert curve.at(float(made(farther * side))) == pytest.approx(farther * end, rel=0.05)
        assert abs(curve.at(float(1e3 * made(side)))) == pytest.approx(50.0, abs=0.01)
    assert np.diff(curve.over(made(np.linspace(-100.0, 100.0, 4001)))).min() >= 0
