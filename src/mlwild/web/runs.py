"""Runs, filtered, grouped and sorted: ten thousand in less than a second."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from math import isfinite
from typing import Any
from urllib.parse import urlencode

from mlwild.versions import Run

#: What every run has, to group by.
COMMON = ("app", "kind", "space", "status", "commit", "data", "environment", "against")
#: Words in the name of a number that is better when greater.
GREATER = ("accuracy", "auc", "coverage", "f1", "green", "kept", "precision", "r2", "recall", "score of", "skill")
#: By what rows and groups can be sorted; a minus before it turns the order round.
SORTS = ("at", "app", "kind", "seconds", "metric")
ORDERS = ("runs", "name", "best", "median", "spread")


@dataclass(frozen=True)
class Asked:
    """
    What a reader asked for.

    Parameters
    ----------
    app, kind, space : str
        Only these; empty for all.
    text : str
        Only runs that mention all of these words: app, number, code, settings.
    only : tuple of str
        Only runs with these settings, each ``name=value``.
    by : str
        Group by this setting.
    metric : str
        The number that is looked at.
    best : str
        ``least`` or ``greatest``; empty to go by its name.
    sort, order : str
        Of rows, one of `SORTS`; of groups, one of `ORDERS`.
    page : str
        Number of the page.

    Examples
    --------
    >>> asked = Asked.of([("app", "flights"), ("only", "rule=never"), ("nonsense", "1")])
    >>> asked.address(sort="-at")
    '/runs?app=flights&sort=-at&only=rule%3Dnever'
    """

    app: str = ""
    kind: str = ""
    space: str = ""
    text: str = ""
    only: tuple[str, ...] = ()
    by: str = ""
    metric: str = ""
    best: str = ""
    sort: str = ""
    order: str = ""
    page: str = ""

    @classmethod
    def of(cls, query: Iterable[tuple[str, str]]) -> Asked:
        """Return what the address asks for; what it does not know is left alone."""
        words: dict[str, Any] = {}
        names = {one.name for one in fields(cls)}
        for name, value in query:
            if name == "only":
                words[name] = (*words.get(name, ()), value[:300])
            elif name in names:
                words[name] = value[:300]
        return cls(**words)

    def address(self, path: str = "/runs", **other: Any) -> str:
        """Return an address that asks the same, but for some words; it begins at the first page."""
        asked = replace(self, page="") if "page" not in other else self
        asked = replace(asked, **other)
        pairs = [(one.name, getattr(asked, one.name)) for one in fields(self) if one.name != "only"]
        pairs = [*((name, value) for name, value in pairs if value), *(("only", one) for one in asked.only)]
        return path + ("?" + urlencode(pairs) if pairs else "")

    @property
    def greatest(self) -> bool:
        """Whether the greatest is best."""
        if self.best in ("least", "greatest"):
            return self.best == "greatest"
        return any(word in self.metric.lower() for word in GREATER)

    @property
    def number(self) -> int:
        """The page asked for; the first where that is no number."""
        return int(self.page) if self.page.isdecimal() and len(self.page) < 8 else 1


def value_of(run: Run, name: str) -> str:
    """Return what a run is grouped by."""
    if name in COMMON:
        return str(getattr(run, name))
    return run.params.get(name, "")


def metric_of(run: Run, name: str) -> float | None:
    """Return a number of a run; None where it has none, or none that is finite."""
    value = run.metrics.get(name)
    return value if value is not None and isfinite(value) else None


def chosen(found: Sequence[Run], asked: Asked) -> list[Run]:
    """Return the runs that were asked for, in the order that was asked for."""
    words = asked.text.lower().split()
    pairs = [_splits(one) for one in asked.only]
    kept = [
        run
        for run in found
        if (not asked.app or run.app == asked.app)
        and (not asked.kind or run.kind == asked.kind)
        and (not asked.space or run.space == asked.space)
        and all(any(value_of(run, name) == value for name, value in splits) for splits in pairs)
        and (not words or _mentions(run, words))
    ]
    return _sorted(kept, asked)


def _splits(pair: str) -> list[tuple[str, str]]:
    """Return each way to read ``name=value``: a name may have the sign too."""
    places = [k for k, letter in enumerate(pair) if letter == "="]
    return [(pair[:k], pair[k + 1 :]) for k in places]


def _mentions(run: Run, words: Sequence[str]) -> bool:
    settings = (f"{name}={value}" for name, value in run.params.items())
    whole = "\n".join((run.app, run.kind, run.commit, run.against, *settings)).lower()
    return all(word in whole or run.id.startswith(word) for word in words)


def _sorted(runs: list[Run], asked: Asked) -> list[Run]:
    """Return runs sorted; those without a value stand last either way."""
    name, down = asked.sort.lstrip("-"), asked.sort.startswith("-")
    if name == "at":  # they come newest first
        return runs if down else runs[::-1]
    keys: dict[str, Callable[[Run], Any]] = {
        "app": lambda run: run.app,
        "kind": lambda run: run.kind,
        "seconds": lambda run: run.seconds,
        "metric": lambda run: metric_of(run, asked.metric),
    }
    if name not in keys:
        return runs
    told = [(keys[name](run), run) for run in runs]
    known = sorted((one for one in told if one[0] is not None), key=lambda one: one[0], reverse=down)
    return [run for _, run in known] + [run for value, run in told if value is None]


@dataclass(frozen=True)
class Group:
    """
    Runs that have one setting in common.

    Parameters
    ----------
    name : str
        The setting's value; empty where it is not set.
    n, failed : int
        Runs, and those that did not end well.
    known : int
        Those with the number that is looked at.
    figures : tuple of five floats or None
        Least, lower quartile, median, upper quartile and greatest.
    best : Run or None
    """

    name: str
    n: int
    failed: int
    known: int
    figures: tuple[float, float, float, float, float] | None
    best: Run | None
    value: float | None = field(default=None)

    @property
    def spread(self) -> float | None:
        """What the middle half of the runs covers; None of fewer than two."""
        return None if self.figures is None or self.known < 2 else self.figures[3] - self.figures[1]

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        made: dict[str, Any] = {"name": self.name, "runs": self.n, "failed": self.failed, "known": self.known}
        names = ("least", "low", "median", "high", "greatest")
        made |= dict(zip(names, self.figures or (None,) * 5, strict=True))
        return made | {"best": self.value, "best_run": self.best.id if self.best else None, "spread": self.spread}


def grouped(found: Sequence[Run], asked: Asked) -> list[Group]:
    """Return the groups, in the order that was asked for: the one with the most runs first."""
    groups: dict[str, list[Run]] = {}
    for run in found:
        groups.setdefault(value_of(run, asked.by), []).append(run)
    made = [_group(name, runs, asked) for name, runs in groups.items()]
    made.sort(key=lambda one: (-one.n, one.name))
    name, down = asked.order.lstrip("-"), asked.order.startswith("-")
    keys: dict[str, Callable[[Group], Any]] = {
        "runs": lambda one: one.n,
        "name": lambda one: _natural(one.name),
        "best": lambda one: one.value,
        "median": lambda one: None if one.figures is None else one.figures[2],
        "spread": lambda one: one.spread,
    }
    if name not in keys:
        return made
    known = [one for one in made if keys[name](one) is not None]
    return sorted(known, key=keys[name], reverse=down) + [one for one in made if keys[name](one) is None]


def _group(name: str, runs: Sequence[Run], asked: Asked) -> Group:
    known = [(value, run) for run in runs if (value := metric_of(run, asked.metric)) is not None]
    values = sorted(value for value, _ in known)
    failed = sum(run.status == "failed" for run in runs)
    if not values:
        return Group(name, len(runs), failed, 0, None, None)
    figures = (values[0], quantile(values, 0.25), quantile(values, 0.5), quantile(values, 0.75), values[-1])
    # Of equals the newest: the first that came.
    best = (max if asked.greatest else min)(known, key=lambda one: one[0])
    return Group(name, len(runs), failed, len(values), figures, best[1], best[0])


def quantile(values: Sequence[float], share: float) -> float:
    """
    Return a quantile of sorted values, between neighbours on the line that joins them.

    Examples
    --------
    >>> quantile([1.0, 2.0, 4.0, 8.0], 0.5), quantile([3.0], 0.25)
    (3.0, 3.0)
    """
    place = share * (len(values) - 1)
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (place - low) * (values[high] - values[low])


def _natural(name: str) -> tuple[int, float, str]:
    """Return a key that sorts numbers as numbers, before words."""
    try:
        value = float(name)
    except ValueError:
        return 1, 0.0, name
    return (0, value, name) if isfinite(value) else (1, 0.0, name)


def names_of(found: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return all names in some mappings, in the order in which they come first."""
    names: dict[str, None] = {}
    for one in found:
        names.update(dict.fromkeys(one))
    return list(names)
