"""What several parts of a card need, read from the sheet once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from mlwild.card import words
from mlwild.card.words import day, day_parts, month

DEFAULT = "break-even"
Values = tuple[float | None, ...]


@dataclass(frozen=True)
class Facts:
    """
    A sheet with what follows from it.

    Parameters
    ----------
    sheet : dict
        The answer sheet.
    shown : str
        The rule whose life is shown: the recommended one, else break-even, else the first.
    prior : str
        The rule that differences are taken from.
    priced, ranked : bool
        Whether there are prices; whether rules may be ranked.
    money, loss, per_event : str
        Units: of costs, of losses (``"nats"``), and of mean losses with what they are a mean of.
    of_rows : bool
        Whether the loss is one of events, not only of sets of events.
    events : float
        Number (weight) of labelled events that costs are summed over.
    difficulty : tuple of float or None
        Loss of the freshest vintage of each period.
    gaps : tuple of tuples of float or None
        By vintage and period: its loss less the difficulty.
    rules, strips : dict
        Rows of the table of rules and lives, by name.
    """

    sheet: Mapping[str, Any]
    shown: str
    prior: str
    priced: bool
    ranked: bool
    money: str
    loss: str
    per_event: str
    of_rows: bool
    events: float
    difficulty: Values
    gaps: tuple[Values, ...]
    rules: Mapping[str, Mapping[str, Any]]
    strips: Mapping[str, Mapping[str, Any]]

    @property
    def cutoffs(self) -> list[str]:
        """Beginnings of the periods."""
        return list(self.sheet["cutoffs"])

    @property
    def lived(self) -> int:
        """Number of periods that there was a model for: what is counted, and what intervals are over."""
        return len(self.strips[self.shown]["loss"]) if self.shown in self.strips else len(self.cutoffs)

    @property
    def shown_fresh(self) -> Values:
        """Loss of the freshest vintage of the window in place, for every period of the shown life."""
        made: list[float | None] = [None] * len(self.cutoffs)
        if self.shown in self.strips:
            strip = self.strips[self.shown]
            made[strip["first"] : strip["first"] + len(strip["fresh"])] = strip["fresh"]
        return tuple(made)

    @property
    def level(self) -> str:
        """Level of the intervals, as a percentage."""
        return words.percent(self.sheet["recommended"]["level"])

    @property
    def title(self) -> str:
        """Name of the loss for a reader; a metric that was turned round at the door says so."""
        loss = self.sheet["loss"]
        turned = "1 - " if loss.get("better") == "greater" else ""  # sheets of earlier versions have no title
        return words.metric(str(loss.get("title") or turned + loss["name"]))

    def vintage(self, name: str) -> str:
        """Name a vintage by the day on which it was fitted."""
        number = re.match(r"\d+", name)
        if number is None or int(number[0]) >= len(self.cutoffs):
            return name
        return f"{name} (fitted {day(self.cutoffs[int(number[0])])})"

    @property
    def mean_title(self) -> str:
        """Name of the mean loss; a loss of sets is what it is."""
        return f"Mean {self.title}" if self.of_rows else self.title

    @property
    def each(self) -> str:
        """What follows a mean loss in a sentence."""
        return " per event" if self.of_rows else ""

    @property
    def beside(self) -> str:
        """What follows the interval of a mean loss."""
        return "; per event" if self.of_rows else ""

    @property
    def shown_mean(self) -> float | None:
        """Mean loss of the life that is shown: that of the first seed."""
        hard, stale = self.sheet["split"]["difficulty"], self.sheet["split"]["staleness"]
        return hard + stale if known(hard) and known(stale) else None

    @property
    def period_value(self) -> float | None:
        """Money that one unit of mean loss costs in a period of mean size; None without prices."""
        first = self.strips[self.shown]["first"] if self.shown in self.strips else 0
        periods = len(self.cutoffs) - first
        return self.sheet["prices"]["loss"] * self.events / periods if self.priced and periods > 0 else None

    def period(self, k: int) -> str:
        """Name a period by its two ends."""
        edges = [*self.cutoffs, self.sheet["period_ends"]]
        return words.between(edges[k], edges[k + 1])

    def money_of(self, value: float | None, decimals: int, *, signed: bool = False) -> str:
        """Write an amount with its unit."""
        return words.with_unit(words.number(value, decimals, signed=signed), self.money)

    def loss_of(self, value: float | None, decimals: int, *, signed: bool = False) -> str:
        """Write a loss with its unit."""
        return words.with_unit(words.number(value, decimals, signed=signed), self.loss)

    def stale(self, strip: Mapping[str, Any]) -> Values:
        """Return a life's loss less the difficulty, for every period."""
        made: list[float | None] = [None] * len(self.difficulty)
        for place, value in enumerate(strip["loss"]):
            k = strip["first"] + place
            fresh = strip["fresh"][place]
            if known(value) and known(fresh):
                made[k] = value - fresh
        return tuple(made)


def known(value: float | None) -> bool:
    """Say whether a value of the sheet is a number."""
    return value is not None and isfinite(value)


def read(sheet: Mapping[str, Any]) -> Facts:
    """Return what follows from a sheet."""
    names = [strip["rule"] for strip in sheet["strips"]]
    recommended, prices = sheet["recommended"]["rule"], sheet["prices"]
    first = names[0] if names else ""
    shown = recommended or (DEFAULT if DEFAULT in names else first)
    unit, of_rows = sheet["loss"]["unit"], sheet["loss"]["per"] == "row"
    difficulty = freshest(sheet["triangle"], len(sheet["cutoffs"]))
    return Facts(
        sheet=sheet,
        shown=shown,
        prior=DEFAULT if DEFAULT in names else first,
        priced=prices is not None,
        ranked=recommended is not None or prices is None,
        money=str(prices["unit"]) if prices else "",
        loss=unit,
        per_event=_per(unit, of_rows=of_rows),
        of_rows=of_rows,
        events=_events(sheet),
        difficulty=difficulty,
        gaps=tuple(_gaps(row, difficulty) for row in sheet["triangle"]["loss"]),
        rules={row["name"]: row for row in sheet["rules"]},
        strips={strip["rule"]: strip for strip in sheet["strips"]},
    )


def _per(unit: str, *, of_rows: bool) -> str:
    if of_rows:
        return f"{unit} per event" if unit else "per event"
    return f"{unit}, mean over periods" if unit else "mean over periods"


def _events(sheet: Mapping[str, Any]) -> float:
    """Return the events that costs are summed over: where rows are weighted, only a cost can tell."""
    return float(sheet["weight"])


def freshest(triangle: Mapping[str, Any], periods: int) -> Values:
    """
    Return the loss of the freshest vintage of each period; None where there is none.

    Examples
    --------
    >>> freshest({"vintages": [0, 2], "loss": [[0.5, 0.6, 0.7], [None, None, 0.4]]}, 3)
    (0.5, 0.6, 0.4)
    """
    made: list[float | None] = [None] * periods
    for vintage, row in zip(triangle["vintages"], triangle["loss"], strict=True):
        for k in range(vintage, min(periods, len(row))):
            if known(row[k]):
                made[k] = row[k]
    return tuple(made)


def _gaps(row: Sequence[float | None], difficulty: Values) -> Values:
    return tuple(
        value - fresh if value is not None and isfinite(value) and fresh is not None else None
        for value, fresh in zip(row, difficulty, strict=False)
    )


def merged(values: Sequence[float | None], size: int) -> Values:
    """
    Return means over so many neighbours, of the values that are known.

    Examples
    --------
    >>> merged([1.0, 3.0, None, 4.0, 5.0], 2)
    (2.0, 4.0, 5.0)
    """
    made: list[float | None] = []
    for start in range(0, len(values), size):
        some = [value for value in values[start : start + size] if value is not None]
        made.append(sum(some) / len(some) if some else None)
    return tuple(made)


def time_labels(cutoffs: Sequence[str], most: int) -> list[tuple[int, str]]:
    """
    Return where a time axis has labels, and which: round dates, at most so many.

    Examples
    --------
    >>> weeks = ["2013-12-18", "2013-12-25", "2014-01-01", "2014-01-08", "2014-02-05"]
    >>> time_labels(weeks, 3)
    [(2, 'Jan 2014'), (4, 'Feb')]
    >>> time_labels(["0", "500", "1000"], 4)
    [(0, 'tick 0'), (1, 'tick 500'), (2, 'tick 1,000')]
    """
    parts = [day_parts(text) for text in cutoffs]
    if len(cutoffs) <= most or any(part is None for part in parts):
        step = -(-len(cutoffs) // most) if cutoffs else 1
        return [(k, day(cutoffs[k], year=k == 0)) for k in range(0, len(cutoffs), step)]
    dates = [part for part in parts if part is not None]
    for months in (1, 3, 6, 12, 24, 60, 120):
        spots = [
            k
            for k in range(1, len(dates))
            if (dates[k][0] * 12 + dates[k][1] - 1) // months != (dates[k - 1][0] * 12 + dates[k - 1][1] - 1) // months
        ]
        if 2 <= len(spots) <= most:
            return _month_labels(dates, spots, yearly=months >= 12)
        if len(spots) < 2:
            break
    step = -(-len(cutoffs) // most)
    return [(k, day(cutoffs[k][:10], year=k == 0)) for k in range(0, len(cutoffs), step)]


def _month_labels(
    dates: Sequence[tuple[int, int, int, str]], spots: Sequence[int], *, yearly: bool
) -> list[tuple[int, str]]:
    made = []
    for place, k in enumerate(spots):
        year, number = dates[k][0], dates[k][1]
        new = place == 0 or dates[spots[place - 1]][0] != year
        made.append((k, str(year) if yearly else f"{month(number)} {year}" if new else month(number)))
    return made
