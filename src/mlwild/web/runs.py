"""Runs, filtered, grouped and sorted: ten thousand in less than a second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from statistics import median
from typing import Any
from urllib.parse import urlencode

from mlwild.versions import Run
from mlwild.wording import count, number

#: Rows and groups that a page shows; the rest is counted.
ROWS, GROUPS = 200, 100
#: What every run has, to group by.
COMMON = ("app", "kind", "space", "status", "commit", "data", "environment", "against")


@dataclass(frozen=True)
class Asked:
    """
    What a reader asked for.

    Parameters
    ----------
    app, kind, space : str
        Only these; empty for all.
    text : str
        Only runs that mention it in a setting, their number or their app.
    by : str
        Group by this setting.
    metric : str
        The number that is looked at.
    sort : str
        ``at``, or ``metric`` from the least on, or ``-metric`` from the greatest.
    """

    app: str = ""
    kind: str = ""
    space: str = ""
    text: str = ""
    by: str = ""
    metric: str = ""
    sort: str = "at"

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Asked:
        """Return what the address asks for; what it does not know is left alone."""
        return cls(**{one.name: query[one.name][:200] for one in fields(cls) if one.name in query})

    def address(self, **other: str) -> str:
        """Return an address that asks the same, but for some words."""
        words = {one.name: getattr(self, one.name) for one in fields(self)} | other
        return "/runs?" + urlencode({name: value for name, value in words.items() if value})


def chosen(found: Sequence[Run], asked: Asked) -> list[Run]:
    """Return the runs that were asked for, in the order that was asked for."""
    text = asked.text.lower()
    kept = [
        run
        for run in found
        if (not asked.app or run.app == asked.app)
        and (not asked.kind or run.kind == asked.kind)
        and (not asked.space or run.space == asked.space)
        and (not text or _mentions(run, text))
    ]
    if asked.sort in ("metric", "-metric") and asked.metric:
        sign = 1 if asked.sort == "metric" else -1
        kept.sort(key=lambda run: (asked.metric not in run.metrics, sign * run.metrics.get(asked.metric, 0.0)))
    return kept


def _mentions(run: Run, text: str) -> bool:
    return (
        text in run.app.lower()
        or run.id.startswith(text)
        or any(text in value.lower() for value in run.params.values())
    )


def value_of(run: Run, name: str) -> str:
    """Return what a run is grouped by."""
    if name in COMMON:
        return str(getattr(run, name))
    return run.params.get(name, "")


def grouped(found: Sequence[Run], by: str, metric: str) -> list[dict[str, Any]]:
    """Return the groups, the greatest first: how many runs, and the least, median and greatest of a number."""
    groups: dict[str, list[Run]] = {}
    for run in found:
        groups.setdefault(value_of(run, by), []).append(run)
    made = []
    for name, runs in sorted(groups.items(), key=lambda one: (-len(one[1]), one[0])):
        known = [run.metrics[metric] for run in runs if metric in run.metrics]
        figures = (min(known), median(known), max(known)) if known else (None, None, None)
        made.append({"name": name, "n": len(runs), "known": len(known), "figures": figures})
    return made


def view(found: Sequence[Run], asked: Asked) -> dict[str, Any]:
    """Return what the page of runs shows."""
    kept = chosen(found, asked)
    metrics = _names(run.metrics for run in kept)
    metric = asked.metric if asked.metric in metrics else next(iter(metrics), "")
    groups = grouped(kept, asked.by, metric) if asked.by else []
    return {
        "asked": asked,
        "metric": metric,
        "metrics": metrics,
        "settings": [*COMMON, *_names(run.params for run in kept)],
        "app_names": sorted({run.app for run in found}),
        "kinds": sorted({run.kind for run in found}),
        "total": count(len(found)),
        "kept": count(len(kept)),
        "groups": [_group(one) for one in groups[:GROUPS]],
        "groups_left": max(len(groups) - GROUPS, 0),
        "rows": [_row(run, metric) for run in kept[:ROWS]],
        "left": max(len(kept) - ROWS, 0),
        "order": {sort: asked.address(sort=sort, metric=metric) for sort in ("at", "metric", "-metric")},
    }


def _names(found: Any) -> list[str]:
    names: dict[str, None] = {}
    for one in found:
        names.update(dict.fromkeys(one))
    return list(names)


def _group(one: Mapping[str, Any]) -> dict[str, Any]:
    low, middle, high = (number(value, 4) if value is not None else "" for value in one["figures"])
    return {"name": one["name"], "n": count(one["n"]), "low": low, "middle": middle, "high": high}


def _row(run: Run, metric: str) -> dict[str, Any]:
    return {
        "id": run.id,
        "short": run.id[:8],
        "when": run.at[:16].replace("T", " "),
        "app": run.app,
        "kind": run.kind,
        "live": run.space == "production",
        "value": number(run.metrics[metric], 4) if metric in run.metrics else "",
        "settings": ", ".join(f"{name} {value}" for name, value in run.params.items() if name not in ("file", "key"))[
            :90
        ],
        "code": run.commit[:7] + ("*" if run.dirty else ""),
        "status": "" if run.status == "finished" else run.status,
    }


def one(run: Run, files: Sequence[str]) -> dict[str, Any]:
    """Return what the page of one run shows."""
    facts = {
        "app": run.app,
        "where": "in production" if run.space == "production" else "tried by a person",
        "began": run.at,
        "took": "" if run.seconds is None else f"{number(run.seconds, 3)} s",
        "status": run.status,
        "code": run.commit + (" with changes" if run.dirty else "") if run.commit else "no repository",
        "data": run.data,
        "stored tables": ", ".join(f"{name} version {version}" for name, version in run.versions.items()),
        "packages": run.environment,
        "compared with": run.against,
    }
    return {
        "run": run,
        "facts": {name: value for name, value in (facts | dict(run.params)).items() if value},
        "metrics": {name: number(value) for name, value in run.metrics.items()},
        "files": files,
        "card": "card.html" in files,
    }
