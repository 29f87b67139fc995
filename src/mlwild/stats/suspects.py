"""Which column, or which two, rows came to be strange by: likelihoods of all of them at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Rows as usual that each estimate of a spread begins with: of few rows none is known well.
PRIOR = 4.0
#: Columns cannot be told apart whose likelihoods differ by no more than this, or by no more of their deviations.
CLOSE, SIGMAS = 3.0, 3.0
#: Distances beyond are taken for it: their squares are numbers.
_FARTHEST = 1e50
#: Correlations beyond are taken for it: of two columns that say the same, each has something of its own.
_ALONG = 0.999


def column_gains(apart: Floats) -> Floats:
    """
    Return how much likelier rows are if one column is not to be trusted, by column and row, as logarithms.

    What is wrong with one column alone, be it a shift, noise or the value of another row, shows in how far this column
    lies from what the others lead one to expect, and in nothing else: in the Gaussian model the likelihood ratio of a
    column at fault is that of its own distances, of any mean and spread, against the standard normal law. So columns
    that go along with it, and are further off than usual for its sake, are told from it.

    Parameters
    ----------
    apart : ndarray of shape (n_columns, n_rows)
        Standardised distance of each column from what the others say.

    Returns
    -------
    ndarray of shape (n_columns, n_rows)

    References
    ----------
    .. [1] Lauritzen, S. L. (1996). Graphical models. Oxford University Press, section 5.1 (the inverse covariance and
       what each variable has beyond the others).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> apart = rng.normal(size=(3, 20))
    >>> apart[1] += 1.0
    >>> int(column_gains(apart).sum(axis=1).argmax())
    1
    """
    apart = np.clip(apart, -_FARTHEST, _FARTHEST)
    n, mean = apart.shape[1], apart.mean(axis=1, keepdims=True)
    off = apart - mean
    spread = ((off * off).sum(axis=1, keepdims=True) + PRIOR) / (n + PRIOR)
    return np.asarray(0.5 * (apart * apart - off * off / spread - np.log(spread)))


def likeliest(gains: Floats) -> tuple[int, NDArray[np.bool_]]:
    """
    Return what is likeliest at fault, and what cannot be told from it.

    They are those whose likelihood is hardly less, or less by no more than the rows' own differences would make it:
    the test of Vuong, which holds though none of the models is true.

    Parameters
    ----------
    gains : ndarray of shape (n, n_rows)
        Of `column_gains` or `pair_gains`.

    Returns
    -------
    int
    ndarray of bool, shape (n,)
        Itself among them.

    References
    ----------
    .. [1] Vuong, Q. H. (1989). Likelihood ratio tests for model selection and non-nested hypotheses. Econometrica,
       57(2), 307-333, theorem 5.1.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=50)
    >>> first, near = likeliest(column_gains(np.stack([x + 2.0, -x - 2.0, rng.normal(size=50)])))
    >>> near
    array([ True,  True, False])
    """
    total = gains.sum(axis=1)
    first = int(total.argmax())
    less = gains[first] - gains
    sums, deviation = total[first] - total, less.std(axis=1) * np.sqrt(gains.shape[1])
    return first, np.asarray((sums <= CLOSE) | (sums <= SIGMAS * deviation))


def pair_gains(apart: Floats, along: Floats, column: int) -> Floats:
    """
    Return how much likelier rows are if two columns are not to be trusted, one of them given, as logarithms.

    Parameters
    ----------
    apart : ndarray of shape (n_columns, n_rows)
        As `column_gains` takes it.
    along : ndarray of shape (n_columns,)
        Correlation of each column's distances with those of the column.
    column : int

    Returns
    -------
    ndarray of shape (n_columns, n_rows)
        Of the column and each of the others; 0 at the column itself.

    Examples
    --------
    >>> apart = np.random.default_rng(0).normal(size=(4, 20))
    >>> apart[1] += 2.0
    >>> apart[3] -= 2.0
    >>> int(pair_gains(apart, np.array([0.0, 1.0, 0.0, 0.0]), 1).sum(axis=1).argmax())
    3
    """
    apart = np.clip(apart, -_FARTHEST, _FARTHEST)
    n, along = apart.shape[1], np.clip(along, -_ALONG, _ALONG)[:, None]
    off = apart - apart.mean(axis=1, keepdims=True)
    one, own = apart[column], off[column]
    # The spread about the mean, and as many rows as usual as stated.
    wide, both, high = (
        ((found * other).sum(axis=-1, keepdims=True) + PRIOR * usual) / (n + PRIOR)
        for found, other, usual in ((off, off, 1.0), (off, own, along), (own, own, 1.0))
    )
    free, size = 1.0 - along**2, np.maximum(wide * high - both**2, np.finfo(np.float64).tiny)
    before = (apart**2 + one**2 - 2.0 * along * apart * one) / free
    after = (high * off**2 + wide * own**2 - 2.0 * both * off * own) / size
    gains = 0.5 * (before - after - np.log(size / free))
    gains[column] = 0.0
    return np.asarray(gains)
