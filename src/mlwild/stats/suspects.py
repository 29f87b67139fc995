"""Which column, or which two, rows came to be strange by: likelihoods of all of them at once."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True, eq=False)
class Distances:
    """
    How far columns lie from what the others of their row lead one to expect.

    Parameters
    ----------
    apart : ndarray of shape (n_columns, n_rows)
        Standardised distance of each column from what the others say.
    scores : ndarray of shape (n_columns, n_rows)
        Normal scores.
    precision : ndarray of shape (n_columns, n_columns)
        Their inverse covariance.
    """

    apart: Floats
    scores: Floats
    precision: Floats

    @staticmethod
    def of(scores: Floats, precision: Floats) -> Distances:
        """Return the distances of some rows; what is beyond all measure is taken for far out."""
        scores = np.clip(scores, -_FARTHEST, _FARTHEST)
        return Distances(precision @ scores / np.sqrt(np.diag(precision))[:, None], scores, precision)

    @property
    def own(self) -> Floats:
        """Of each column, the logarithm of the part of its variance that is its own, of shape (n_columns, 1)."""
        return np.asarray(-np.log(np.diag(self.precision))[:, None])

    def along(self, column: int) -> Floats:
        """Return the correlation of each column's distances with those of one, of shape (n_columns, 1)."""
        root = np.sqrt(np.diag(self.precision))
        return np.asarray(np.clip(self.precision[:, column] / root / root[column], -_ALONG, _ALONG)[:, None])


def column_gains(rows: Distances) -> Floats:
    """
    Return how much likelier rows are if one column is not to be trusted, by column and row, as logarithms.

    What is wrong with one column alone shows in how far this column lies from what the others lead one to expect: in
    the Gaussian model the likelihood ratio of a column that is shifted, scaled or noisy is that of its own distances,
    of any mean and spread, against the standard normal law; of one that holds the values of other rows it is that of a
    value that has nothing to do with its row. Of the two what is likelier counts, by the criterion of Schwarz. So
    columns that go along with it, and are further off than usual for its sake, are told from it.

    Parameters
    ----------
    rows : Distances

    Returns
    -------
    ndarray of shape (n_columns, n_rows)

    References
    ----------
    .. [1] Lauritzen, S. L. (1996). Graphical models. Oxford University Press, section 5.1 (the inverse covariance and
       what each variable has beyond the others).
    .. [2] Schwarz, G. (1978). Estimating the dimension of a model. Annals of Statistics, 6(2), 461-464.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> scores = rng.normal(size=(3, 20))
    >>> scores[1] += 1.0
    >>> int(column_gains(Distances.of(scores, np.eye(3))).sum(axis=1).argmax())
    1
    """
    apart, n = rows.apart, rows.apart.shape[1]
    off = apart - apart.mean(axis=1, keepdims=True)
    spread = ((off * off).sum(axis=1, keepdims=True) + PRIOR) / (n + PRIOR)
    moved = 0.5 * (apart**2 - off**2 / spread - np.log(spread))
    replaced = 0.5 * (apart**2 - rows.scores**2 + rows.own)
    return _likelier(moved, replaced, 2)


def _likelier(moved: Floats, replaced: Floats, fitted: int) -> Floats:
    """Return, of each column, what is likelier; the first has numbers that were fitted to the rows."""
    n = moved.shape[1]
    moved = moved - 0.5 * fitted * np.log(n) / n
    return np.where(replaced.sum(axis=1, keepdims=True) > moved.sum(axis=1, keepdims=True), replaced, moved)


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
    >>> likeliest(np.stack([x + 2.0, x + 2.02, rng.normal(size=50)]))[1]
    array([ True,  True, False])
    """
    total = gains.sum(axis=1)
    first = int(total.argmax())
    less = gains[first] - gains
    sums, deviation = total[first] - total, less.std(axis=1) * np.sqrt(gains.shape[1])
    return first, np.asarray((sums <= CLOSE) | (sums <= SIGMAS * deviation))


def pair_gains(rows: Distances, column: int) -> Floats:
    """
    Return how much likelier rows are if two columns are not to be trusted, one of them given, as logarithms.

    Parameters
    ----------
    rows : Distances
    column : int

    Returns
    -------
    ndarray of shape (n_columns, n_rows)
        Of the column and each of the others, as `column_gains` has it of one; 0 at the column itself.

    Examples
    --------
    >>> scores = np.random.default_rng(0).normal(size=(4, 20))
    >>> scores[1] += 2.0
    >>> scores[3] -= 2.0
    >>> int(pair_gains(Distances.of(scores, np.eye(4)), 1).sum(axis=1).argmax())
    3
    """
    apart, n, along = rows.apart, rows.apart.shape[1], rows.along(column)
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
    moved = 0.5 * (before - after - np.log(size / free))
    replaced = 0.5 * (before - rows.scores**2 - rows.scores[column] ** 2 + rows.own + rows.own[column] - np.log(free))
    gains = _likelier(moved, replaced, 5)
    gains[column] = 0.0
    return gains
