"""
What a tick costs: the flights example, the last eight weeks, one tick a week.

Beside the whole tick: its bare work (read the data, make the features of the rows so far, fit the challenger that
break-even asks for, predict the new week), what a rehearsal of the whole history takes a cutoff, the time within the
store and the ledger, and the same under a rule that asks for no fit. Then the state of a thousand apps, and facts a
second with a sync each.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import histories
import numpy as np

import mlwild as wild
from mlwild import models
from mlwild.ledger import Fact, Ledger
from mlwild.operating import status
from mlwild.rules import BreakEven, Every, Rule
from mlwild.triangle.asof import as_of
from mlwild.triangle.store import Store
from mlwild.triangle.survey import cutoffs_of, make_features, read_events

WEEKS, APPS, FACTS = 8, 1000, 300


class Meter:
    """Seconds spent within some functions, the outermost only."""

    def __init__(self) -> None:
        self.seconds, self._depth = 0.0, 0

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that counts."""

        def counted(*args: Any, **words: Any) -> Any:
            self._depth += 1
            began = time.perf_counter()
            try:
                return function(*args, **words)
            finally:
                self._depth -= 1
                if not self._depth:
                    self.seconds += time.perf_counter() - began

        return counted


def ticks(app: wild.App, rule: Rule, folder: Path) -> tuple[list[float], list[float]]:
    """Return the seconds of each weekly tick, and those within store and ledger."""
    events, _ = read_events(app)
    edges = [events.clock.show(int(edge)) for edge in cutoffs_of(app, events)[-WEEKS - 2 : -1]]
    wild.operate(app, rule=rule, begin=edges[0], at=edges[0], store=folder)
    whole, kept = [], []
    for edge in edges[1:]:
        meter = Meter()
        plain = {(Store, name): getattr(Store, name) for name in ("get", "put", "drop")} | {
            (Ledger, "append"): Ledger.append
        }
        for (owner, name), function in plain.items():
            setattr(owner, name, meter.around(function))
        began = time.perf_counter()
        done = wild.operate(app, at=edge, store=folder, jobs=1)
        whole.append(time.perf_counter() - began)
        for (owner, name), function in plain.items():
            setattr(owner, name, function)
        kept.append(meter.seconds)
        assert len(done.ticks) == 1
    return whole, kept


def bare(app: wild.App) -> list[float]:
    """Return the seconds of the same work with nothing around it."""
    spent = []
    events, _ = read_events(app)
    edges = cutoffs_of(app, events)
    for k in range(len(edges) - WEEKS - 1, len(edges) - 1):
        began = time.perf_counter()
        events, tables = read_events(app)
        known, side = as_of(app, events, tables, int(edges[k]))
        table, _ = make_features(app, known.frame, side)
        features = table.to_pandas()
        rows = known.known(int(edges[k - 1]))
        label = np.where(known.labelled, known.label, 0).astype(int)
        model = models.fit(app.models[app.live], features[rows], label[rows], 0)
        models.predict(model, features[known.time >= edges[k - 1]], "probability", np.array([0, 1]))
        spent.append(time.perf_counter() - began)
    return spent


def rehearsed(app: wild.App, folder: Path) -> float:
    """Return the seconds a cutoff of a rehearsal of the whole history, its answers included."""
    began = time.perf_counter()
    made = wild.rehearse(app, rules=[BreakEven()], monitors=(), store=folder, jobs=1)
    return (time.perf_counter() - began) / made.triangles[0].survey.grid.periods


def many(folder: Path) -> float:
    """Return the seconds that the state of a thousand apps takes."""
    made = next(folder.glob("operate/*/ledger.jsonl")).parent
    home = folder / "many"
    for number in range(APPS):
        (home / "operate" / f"app-{number}").mkdir(parents=True)
        for name in ("ledger.jsonl", "status.json"):
            shutil.copy2(made / name, home / "operate" / f"app-{number}" / name)
    began = time.perf_counter()
    assert len(status(home)) == APPS
    return time.perf_counter() - began


def facts(folder: Path) -> float:
    """Return acknowledged facts a second."""
    ledger = Ledger(folder / "facts.jsonl")
    began = time.perf_counter()
    for number in range(FACTS):
        ledger.append(Fact("decided", number, {"action": "keep", "reason": "", "price": 0.0}))
    return FACTS / (time.perf_counter() - began)


def main() -> None:
    """Print the figures."""
    app = replace(histories.example("flights").app, windows=("all",))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        shown: dict[str, Any] = {}
        for name, rule in (("break-even", BreakEven()), ("every 52", Every(52))):
            whole, kept = ticks(app, rule, folder / name)
            shown[name] = {"tick s": median(whole), "of which store s": median(kept)}
            print(f"{name}: a tick {median(whole):.2f} s (most {max(whole):.2f}), store {median(kept):.2f} s")
        alone = bare(app)
        ratio = shown["break-even"]["tick s"] / median(alone)
        print(f"bare work with the challenger's fit: {median(alone):.2f} s; a tick is {ratio:.2f} times that")
        shown |= {"bare s": median(alone), "ratio": ratio}
        each = rehearsed(app, folder / "rehearsed")
        over = shown["break-even"]["tick s"] - each
        print(f"a rehearsal takes {each:.2f} s a cutoff, all at once; operating one takes {over:.2f} s more")
        shown |= {"rehearsal s a cutoff": each, "over rehearsal s": over}
        shown["1,000 apps s"] = many(folder / "break-even")
        shown["facts/s"] = facts(folder)
        print(
            f"the state of {APPS:,} apps: {shown['1,000 apps s']:.2f} s; {shown['facts/s']:,.0f} synced facts a second"
        )
        print(json.dumps(shown))


if __name__ == "__main__":
    main()
