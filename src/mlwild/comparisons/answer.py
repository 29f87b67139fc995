"""The answer of a comparison: who, by how much, by which procedure, and why that one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mlwild.jsonable import plain

Record = dict[str, Any]


@dataclass(frozen=True)
class Comparison:
    """
    What a comparison found.

    Parameters
    ----------
    method : str
        The procedure.
    why : str
        Why this one.
    level : float
        Nominal coverage of intervals, and of the set.
    n : int
        Rows, periods, runs or folds that it rests on.
    best : str or None
        The one best, where there is one.
    best_set : tuple of str
        All that cannot be told from the best.
    records : tuple of dict
        One a model, best first: name, estimate, low, high, n, method, why.
    pairs : tuple of dict
        Differences of two: a, b, estimate (loss of a less that of b), low, high, p, n, method.
    said : tuple of str
        Sentences for people, the verdict first.
    choice : dict or None
        What the user's second rule chooses within the set: name, rule, why.
    tables : dict
        Further tables by name, such as the sign table of agents.
    situation : str
        What was looked at, such as "two in time".
    unit : str
        What `n` counts: row, period, run, fold, ...
    """

    method: str
    why: str
    level: float
    n: int
    best: str | None
    best_set: tuple[str, ...]
    records: tuple[Record, ...]
    pairs: tuple[Record, ...] = ()
    said: tuple[str, ...] = ()
    choice: Record | None = None
    tables: Mapping[str, Any] = field(default_factory=dict)
    situation: str = ""
    unit: str = "row"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of what was compared, best first."""
        return tuple(record["name"] for record in self.records)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data that JSON can hold; what is not known is null."""
        return {
            "method": self.method,
            "why": self.why,
            "situation": self.situation,
            "level": self.level,
            "n": self.n,
            "unit": self.unit,
            "best": self.best,
            "best_set": {
                "models": list(self.best_set),
                "level": self.level,
                "method": self.method,
                "n": self.n,
                "why": self.said[0] if self.said else "",
            },
            "choice": plain(self.choice),
            "models": plain(self.records),
            "pairs": plain(self.pairs),
            "tables": plain(self.tables),
            "said": list(self.said),
        }


def turned_back(found: Comparison) -> Comparison:
    """
    Return a comparison of scores whose sign had been turned to make losses of them, with their own signs.

    Examples
    --------
    >>> record = {"name": "a", "estimate": -0.9, "low": -1.0, "high": -0.75, "difference": 0.5}
    >>> record |= {"difference_low": 0.25, "difference_high": 1.0}
    >>> made = turned_back(Comparison("t", "", 0.95, 9, "a", ("a",), (record,))).records[0]
    >>> made["low"], made["difference_low"], made["better"]
    (0.75, -1.0, 'greater')
    """
    records = []
    for record in found.records:
        made = {**record, **_ends(record, ""), **_ends(record, "difference_"), "better": "greater"}
        records.append(made | {"estimate": -record["estimate"], "difference": -record["difference"]})
    below, above = "below zero: the first is better", "above zero: the first is better"
    pairs = tuple(_turned(pair) | {"why": str(pair["why"]).replace(below, above)} for pair in found.pairs)
    return replace(found, records=tuple(records), pairs=pairs)


def _ends(record: Mapping[str, Any], prefix: str) -> Record:
    return {f"{prefix}low": -record[f"{prefix}high"], f"{prefix}high": -record[f"{prefix}low"]}


def model_record(
    name: str, bounds: tuple[float, float, float], n: int, by: tuple[str, str], together: Sequence[str], **more: Any
) -> Record:
    """Return the record of a model from its estimate, low and high; `by` is method and why."""
    estimate, low, high = (float(value) for value in bounds)
    nan = float("nan")
    made: Record = {"name": name, "estimate": estimate, "low": low, "high": high}
    made |= {"difference": nan, "difference_low": nan, "difference_high": nan, "p": nan}
    made |= {"n": n, "method": by[0], "why": by[1], "in_best_set": name in together}
    return made | more


def reference_of(names: Sequence[str], pairs: Sequence[Mapping[str, Any]]) -> tuple[str | None, dict[str, Record]]:
    """
    Return the model that all pairs have in common, and by name the difference of each other one from it.

    Parameters
    ----------
    names : sequence of str
    pairs : sequence of dict
        As plain data: bounds that are not known are None.

    Examples
    --------
    >>> pair = {"a": "old", "b": "new", "estimate": 0.5, "low": 0.25, "high": 0.75}
    >>> reference_of(["old", "new"], [pair])[1]["new"]["low"]
    -0.75
    """
    common = [name for name in names if pairs and all(name in (pair["a"], pair["b"]) for pair in pairs)]
    if not common or all(pair["low"] is None for pair in pairs):
        return None, {}
    # Of two models the first-named is the reference: it is the one in use.
    reference = common[0] if len(common) == 1 else str(pairs[0]["a"])
    return reference, {
        pair["b"] if pair["a"] == reference else pair["a"]: dict(pair) if pair["b"] == reference else _turned(pair)
        for pair in pairs
    }


def _turned(pair: Mapping[str, Any]) -> Record:
    turned = {"estimate": -pair["estimate"], "low": None, "high": None}
    if pair["low"] is not None:
        turned |= {"low": -pair["high"], "high": -pair["low"]}
    return {**pair, **turned}


def listed(names: Sequence[str], *, most: int = 1000) -> str:
    """
    Write names as a list, at most so many of them.

    Examples
    --------
    >>> listed(["a", "b", "c"]), listed(["a", "b", "c"], most=2)
    ("'a', 'b' and 'c'", "'a', 'b' and 1 more")
    """
    quoted = [repr(name) for name in names[:most]]
    if len(names) > most:
        quoted.append(f"{len(names) - most} more")
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"
