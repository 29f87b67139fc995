"""Estimates of the next period's loss that need fits of their own: folds of the rows known at a cutoff."""

from __future__ import annotations

from dataclasses import dataclass

from mlwild.errors import AppError
from mlwild.splits.folds import Blocked, CombinatorialPurged, Fold, Purged, ShuffledKFold
from mlwild.splits.rows import Rows

_WORDS = {
    "shuffled": (
        "shuffled k-fold, each entity on one side: trains on rows after those it tests on; a warning, not an estimate"
    ),
    "blocked": "contiguous folds, the rest trained on, before and after",
    "purged": "contiguous folds without training rows whose labels overlap the test rows (hv-blocked)",
    "combinatorial": "every choice of two of the blocks as test rows, purged",
}


@dataclass(frozen=True)
class OfFolds:
    """
    Cross-validation on the rows known at a cutoff: each fold is a fit.

    Parameters
    ----------
    kind : {"shuffled", "blocked", "purged", "combinatorial"}
    folds : int
        Number of folds, or of blocks.
    weighted : bool
        Weigh the tested rows by how much they resemble the newest ones (importance weighting); uses
        the fits of the same scheme without weights.

    Raises
    ------
    AppError
        If the kind is not known or there are fewer than two folds.

    References
    ----------
    .. [1] Sugiyama, M., Krauledat, M., & Mueller, K.-R. (2007). Covariate shift adaptation by importance
       weighted cross validation. JMLR, 8, 985-1005.

    Examples
    --------
    >>> OfFolds("purged").name, OfFolds("shuffled", weighted=True).name
    ('purged 5-fold', 'shuffled 5-fold, importance-weighted')
    """

    kind: str
    folds: int = 5
    weighted: bool = False
    fits: bool = True

    def __post_init__(self) -> None:
        """Check the words."""
        if self.kind not in _WORDS:
            raise AppError(f"splits: {self.kind!r} is not one of {', '.join(_WORDS)}.")
        if self.folds < 2 + (self.kind == "combinatorial"):
            raise AppError(f"splits: {self.folds} folds are too few for {self.kind!r}.")

    @property
    def name(self) -> str:
        """Name in tables."""
        made = (
            f"{self.kind} {self.folds}-fold" if self.kind != "combinatorial" else f"combinatorial purged, {self.folds}"
        )
        return made + (", importance-weighted" if self.weighted else "")

    @property
    def meaning(self) -> str:
        """What it is, in a few words."""
        return _WORDS[self.kind] + ("; tested rows weighed by likeness to the newest" if self.weighted else "")

    @property
    def split_key(self) -> tuple[str, int]:
        """What determines the folds: schemes that differ in weights only share them."""
        return self.kind, self.folds

    def split(self, rows: Rows) -> list[Fold]:
        """Return the folds of some rows: (train, test) positions."""
        if self.kind == "shuffled":
            return list(ShuffledKFold(rows, self.folds, allow="order").split())
        if self.kind == "blocked":
            return list(Blocked(rows, self.folds, allow="delay").split())
        if self.kind == "purged":
            return list(Purged(rows, self.folds).split())
        return list(CombinatorialPurged(rows, self.folds, min(2, self.folds - 1)).split())
