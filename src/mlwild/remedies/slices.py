"""Slices: which rows are meant, as a condition that can be written in one line, a function, or a column."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import AppError, DataError
from mlwild.remedies import rows

Bools = NDArray[np.bool_]

#: A function of the features frame, or the name of a column of it that the base model does not get to see.
Slice = Callable[[Any], Any] | str

_TERM = re.compile(
    r"\s*(?P<column>[^\s=!<>'\"]+|\"[^\"]+\")\s*(?P<op>==|!=|<=|>=|=|<|>)\s*(?P<value>'[^']*'|[^'\s]\S*)\s*"
)
_COMPARED: dict[str, Callable[[Any, Any], Any]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


@dataclass(frozen=True)
class Term:
    """
    A comparison of one column with one value.

    Parameters
    ----------
    column : str
    op : {"=", "!=", "<", "<=", ">", ">="}
    value : str or float
        Text is compared with text, a number with numbers, and true and false with either truth value.
    """

    column: str
    op: str
    value: str | float

    def mask(self, frame: Any) -> Bools:
        """
        Return where it holds; a missing value is in no slice.

        Raises
        ------
        DataError
            If there is no such column, or it holds another kind of value.
        """
        values, missing = rows.column(frame, self.column, "slice")
        wanted: Any = self.value
        if values.dtype.kind == "b":
            truth = {"true": True, "false": False, 1.0: True, 0.0: False}
            wanted = truth.get(wanted.lower() if isinstance(wanted, str) else wanted)
            if wanted is None:
                self._refuse("true and false")
        elif values.dtype.kind in "iuf":
            if isinstance(wanted, str):
                self._refuse(f"numbers such as {values[~missing][0] if (~missing).any() else 0}")
        else:
            present = values[~missing]
            if len(present) and not isinstance(present[0], str):
                self._refuse(f"{type(present[0]).__name__} values; name a function for them")
            wanted = f"{wanted:g}" if isinstance(wanted, float) else wanted
            values = np.where(missing, "", values).astype(str)
        return np.asarray(_COMPARED[self.op](values, wanted), dtype=bool) & ~missing

    def _refuse(self, holds: str) -> None:
        raise DataError(f"slice: column {self.column!r} is compared with {self.value!r} and holds {holds}.")

    def __str__(self) -> str:
        """Write the term so that it can be read again."""
        value = f"'{self.value}'" if isinstance(self.value, str) else f"{self.value:.15g}"
        name = f'"{self.column}"' if re.search(r"[\s=!<>']", self.column) else self.column
        return f"{name} {self.op} {value}"


@dataclass(frozen=True)
class Where:
    """
    The rows for which all of some comparisons hold: a slice that can be written in one line.

    Parameters
    ----------
    terms : tuple of Term

    Examples
    --------
    >>> import pyarrow as pa
    >>> slice_ = Where.parse("carrier = 'EV' and distance >= 500")
    >>> slice_(pa.table({"carrier": ["EV", "EV", "AA", None], "distance": [500, 100, 900, 900]})).tolist()
    [True, False, False, False]
    >>> str(slice_)
    "carrier = 'EV' and distance >= 500"
    """

    terms: tuple[Term, ...]

    @classmethod
    def parse(cls, text: str) -> Where:
        """
        Read a condition: comparisons joined by ``and``; text may stand in quotes.

        Raises
        ------
        AppError
            If it cannot be read.

        Examples
        --------
        >>> Where.parse("carrier=EV").terms
        (Term(column='carrier', op='=', value='EV'),)
        """
        terms = []
        for part in re.split(r"\s+and\s+(?=(?:[^']*'[^']*')*[^']*$)", text.strip()):
            found = _TERM.fullmatch(part)
            if found is None:
                raise AppError(
                    f"slice: {text!r} cannot be read at {part!r}. Write conditions such as \"carrier = 'EV' and "
                    'distance > 500", or the name of a function of the app file.'
                )
            terms.append(Term(found["column"].strip('"'), found["op"].replace("==", "="), _value(found["value"])))
        return cls(tuple(terms))

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that it reads, each once."""
        return tuple(dict.fromkeys(term.column for term in self.terms))

    def __call__(self, frame: Any) -> Bools:
        """Return the mask of a frame, shape (n_rows,)."""
        made = self.terms[0].mask(frame)
        for term in self.terms[1:]:
            made = made & term.mask(frame)
        return made

    def __str__(self) -> str:
        """Write the condition so that it can be read again."""
        return " and ".join(map(str, self.terms))


def _value(text: str) -> str | float:
    if text.startswith("'"):
        return text[1:-1]
    try:
        return float(text)
    except ValueError:
        return text


def split_off(X: Any, slice_: Slice | None) -> tuple[Any, Bools | None]:  # noqa: N803
    """
    Return the frame as the base model may see it, and the mask of the slice.

    Parameters
    ----------
    X : frame or ndarray of n_rows
    slice_ : callable, str or None
        A function of the frame; or a column of truth values, which is taken out of the frame.

    Returns
    -------
    X : frame or ndarray
    mask : ndarray of bool, shape (n_rows,); or None

    Raises
    ------
    DataError
        If the mask is not one truth value a row.

    Examples
    --------
    >>> split_off(np.array([[1.0, 0.0], [2.0, 1.0]]), "x1")
    (array([[1.],
           [2.]]), array([False,  True]))
    """
    if slice_ is None:
        return X, None
    if isinstance(slice_, str):
        values, missing = rows.column(X, slice_, "slice")
        if missing.any() or not np.isin(np.asarray(values, dtype=object), (0, 1)).all():
            raise DataError(f"slice: column {slice_!r} must hold true or false in every row.")
        return rows.without(X, slice_), values.astype(bool)
    return X, checked_mask(slice_(X), rows.count(X))


def checked_mask(mask: Any, n_rows: int) -> Bools:
    """
    Return what a slice function gave as an array of truth values.

    Raises
    ------
    DataError
        If it is not one truth value a row.

    Examples
    --------
    >>> checked_mask([True, False], 2)
    array([ True, False])
    """
    made = np.asarray(mask)
    if made.dtype == object and all(isinstance(one, bool | np.bool_) for one in made.ravel()):
        made = made.astype(bool)  # a nullable column without gaps
    if made.shape != (n_rows,) or made.dtype != bool:
        raise DataError(
            f"slice: the function gave {made.dtype} of shape {made.shape} for {n_rows} rows. Return true or false for "
            "each row; a gap is neither."
        )
    return made


def groups(y: NDArray[Any], mask: Bools | None, *, classifies: bool) -> tuple[NDArray[np.int64], int]:
    """
    Return the group of each row: slice or not, within each class where labels are classes.

    Parameters
    ----------
    y : ndarray of shape (n_rows,)
    mask : ndarray of bool, shape (n_rows,); or None
    classifies : bool
        Whether labels are classes.

    Returns
    -------
    codes : ndarray of int64, shape (n_rows,)
        Only groups that have rows are numbered.
    n : int
        Number of groups.

    Examples
    --------
    >>> groups(np.array([0, 0, 1, 1]), np.array([True, False, False, False]), classifies=True)
    (array([1, 0, 2, 2]), 3)
    """
    codes = np.zeros(len(y), dtype=np.int64) if mask is None else mask.astype(np.int64)
    if classifies:
        codes = codes + 2 * np.unique(y, return_inverse=True)[1]
    kinds, codes = np.unique(codes, return_inverse=True)
    return codes.astype(np.int64), len(kinds)
