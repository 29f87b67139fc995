"""What breaks a contract, as a value and in words."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from mlwild.wording import count, number


@dataclass(frozen=True)
class Violation:
    """
    One thing that breaks a contract.

    Parameters
    ----------
    table : {"data", "features"}
    column : str or None
        None where it concerns the whole table.
    rule : str
        What is broken: a field of `Column` (``low``, ``allowed``, ``most_missing``, ...), or ``gone``, ``extra``,
        ``finite``, ``unit``, ``key``, ``statistic``, ``rows``.
    said : str
        What is wrong, where, by which value, and what to do.
    count : int
        Number of rows; of periods, for a statistic.
    share : float
        The same as a share.
    row : int or None
        The first row, from 0 in the order of the table.
    value : str or None
        The value there.
    period : str or None
        When the first period begins that is concerned.
    """

    table: str
    column: str | None
    rule: str
    said: str
    count: int
    share: float
    row: int | None = None
    value: str | None = None
    period: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Spot:
    """The column that is looked at, for the sentences."""

    where: str
    name: str
    n: int
    unit: str = ""

    @property
    def measured_in(self) -> str:
        """The unit with a space before it, or nothing."""
        return f" {self.unit}" if self.unit else ""

    def share(self, rows: int) -> str:
        """Write how many rows it is about."""
        return f"{count(rows)} of {count(self.n)} rows"

    def to_do(self, rows: int, key: str, do: str = "Correct") -> str:
        """Write what to do: correct the rows, or the contract."""
        return f"{do} {'it' if rows == 1 else 'them'}, or change `{key}` of [{self.where}.columns.{self.name}]."

    def at(
        self, rule: str, row: int | None, rows: int, said: str, *, value: str | None = None, period: str | None = None
    ) -> Violation:
        """Make the violation; `said` goes on after the column's name."""
        text = f"{self.where}: column {self.name!r} {said}"
        return Violation(self.where, self.name, rule, text, rows, rows / self.n, row, value, period)


def share(part: float) -> str:
    """
    Write a share as per cent.

    Examples
    --------
    >>> share(0.0212), share(0.000001)
    ('2.12 %', '0.0001 %')
    """
    return f"{number(100 * part, 3)} %"


def most(limit: float) -> str:
    """
    Write how great a share may be.

    Examples
    --------
    >>> most(0.02), most(0.0)
    ('at most 2 % may be', 'none may be')
    """
    return f"at most {share(limit)} may be" if limit else "none may be"
