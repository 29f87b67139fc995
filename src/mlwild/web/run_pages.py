"""What the pages of runs show: ready texts, no more rows than a page holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from mlwild.card.svg import Scale
from mlwild.versions import Run
from mlwild.web.paging import page_of
from mlwild.web.pictures import WIDTH, spread
from mlwild.web.runs import COMMON, ORDERS, SORTS, Asked, Group, chosen, grouped, metric_of, names_of
from mlwild.web.words import column
from mlwild.wording import count, number

#: Rows and groups that a page shows; the rest is counted.
ROWS, GROUPS = 100, 100
#: Settings that say where a file is, not what was tried.
_HIDDEN = ("file", "key")
#: Numbers that say how much there was to do, not how well it was done.
_SIZES = ("rows", "n", "seconds", "fits_made", "searched")


def view(found: Sequence[Run], asked: Asked) -> dict[str, Any]:
    """Return what the page of runs shows."""
    kept = chosen(found, asked)
    metrics = names_of(run.metrics for run in kept)
    plain = asked.address() == "/runs"
    if asked.metric not in metrics:
        telling = [name for name in metrics if name not in _SIZES]
        asked = replace(asked, metric=next(iter(telling or metrics), ""))
        kept = chosen(found, asked) if "metric" in asked.sort else kept
    groups = grouped(kept, asked) if asked.by else []
    page = page_of(len(kept), asked.number, ROWS)
    write = column([metric_of(run, asked.metric) for run in page.of(kept)])
    return {
        "asked": asked,
        "plain": plain,
        "metrics": metrics,
        "settings": [*COMMON, *(name for name in names_of(run.params for run in kept) if name not in _HIDDEN)],
        "app_names": sorted({run.app for run in found}),
        "kinds": sorted({run.kind for run in found}),
        "total": count(len(found)),
        "kept": count(len(kept)),
        "best": "greatest" if asked.greatest else "least",
        "groups": _groups(groups[:GROUPS], asked),
        "some_failed": any(one.failed for one in groups[:GROUPS]),
        "groups_in_all": count(len(groups)),
        "groups_left": count(len(groups) - GROUPS) if len(groups) > GROUPS else "",
        "rows": [_row(run, write(metric_of(run, asked.metric))) for run in page.of(kept)],
        "links": page.links(lambda number: asked.address(page=str(number)) + "#runs"),
        "chips": [
            {"said": one.replace("=", " = ", 1), "without": asked.address(only=_without(asked.only, one))}
            for one in asked.only
        ],
        "sorts": {name: _turn(asked, "sort", name) for name in SORTS},
        "orders": {name: _turn(asked, "order", name) for name in ORDERS},
    }


def _without(only: tuple[str, ...], one: str) -> tuple[str, ...]:
    return tuple(other for other in only if other != one)


def _turn(asked: Asked, word: str, name: str) -> dict[str, str]:
    """Return where a click on the head of a column leads, and the arrow that it has now."""
    now = getattr(asked, word)
    first = f"-{name}" if name in ("at", "runs") else name
    other = name if first.startswith("-") else f"-{name}"
    going = other if now == first else first
    arrow = {name: " ↑", f"-{name}": " ↓"}.get(now, "")
    return {"address": asked.address(**{word: going}) + f"#{'groups' if word == 'order' else 'runs'}", "arrow": arrow}


def _groups(groups: Sequence[Group], asked: Asked) -> list[dict[str, Any]]:
    ends = [figure for one in groups if one.figures for figure in (one.figures[0], one.figures[4])]
    scale = Scale(min(ends, default=0.0), max(ends, default=0.0), 3.0, WIDTH - 3.0)
    write = column([figure for one in groups if one.figures for figure in one.figures[1:4]])
    return [_group(one, asked, scale, write) for one in groups]


def _group(one: Group, asked: Asked, scale: Scale, write: Callable[[float | None], str]) -> dict[str, Any]:
    figures = one.figures
    return {
        "name": one.name or "none",
        "address": asked.address(only=(*_without(asked.only, pair := f"{asked.by}={one.name}"), pair), by=""),
        "n": count(one.n),
        "failed": count(one.failed) if one.failed else "",
        "without": count(one.n - one.known) if one.known < one.n and asked.metric else "",
        "best": write(one.value),
        "best_id": one.best.id if one.best else "",
        "median": "" if figures is None else write(figures[2]),
        "low": "" if figures is None or one.known < 2 else write(figures[1]),
        "high": "" if figures is None or one.known < 2 else write(figures[3]),
        "picture": "" if figures is None else spread(figures, scale),
    }


def _row(run: Run, value: str) -> dict[str, Any]:
    return {
        "id": run.id,
        "short": run.id[:8],
        "when": run.at[:16].replace("T", " "),
        "app": run.app,
        "kind": run.kind,
        "live": run.space == "production",
        "took": "" if run.seconds is None else took(run.seconds),
        "value": value,
        "settings": settings_of(run)[:90],
        "code": run.commit[:7] + ("*" if run.dirty else ""),
        "status": "" if run.status == "finished" else run.status,
    }


def settings_of(run: Run) -> str:
    """Write what was tried in one line."""
    return ", ".join(f"{name} {value}" for name, value in run.params.items() if name not in _HIDDEN)


def took(seconds: float) -> str:
    """
    Write a duration in two figures.

    Examples
    --------
    >>> took(0.0312), took(42.4), took(3700.0), took(190000.0)
    ('0.031 s', '42 s', '62 min', '53 h')
    """
    if seconds < 120:
        return f"{number(seconds, 2)} s"
    return f"{seconds / 60:,.0f} min" if seconds < 7200 else f"{seconds / 3600:,.0f} h"


def one(run: Run, files: Sequence[str], found: Sequence[Run]) -> dict[str, Any]:
    """Return what the page of one run shows."""
    facts = {
        "where": "in production" if run.space == "production" else "tried by a person",
        "began": run.at,
        "took": "" if run.seconds is None else took(run.seconds),
        "status": run.status,
        "code": run.commit + (" with changes" if run.dirty else "") if run.commit else "no repository",
        "data": run.data,
        "stored tables": ", ".join(f"{name} version {version}" for name, version in run.versions.items()),
        "packages": run.environment,
        "compared with": run.against,
    }
    return {
        "run": run,
        "facts": {name: value for name, value in facts.items() if value},
        "settings": dict(run.params),
        "metrics": {name: number(value) for name, value in run.metrics.items()},
        "against": run.against if any(other.id == run.against for other in found) else "",
        "files": files,
        "card": "card.html" in files,
    }
