"""Ten apps of one workspace, and those who work on it: who adds rows, who operates, who looks. Each is a process."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.tree import DecisionTreeClassifier

import mlwild as wild
from mlwild import rules
from mlwild.disk import write_atomically
from mlwild.errors import BusyError
from mlwild.ledger import Ledger
from mlwild.operating import status
from mlwild.operating.lived import lived
from mlwild.warehouse import Stored, add
from tests.support import Line, Logit, drifting, small_app

#: Rows that are there when life begins, and in the end; a cutoff every 50.
BEGUN, ALL, EVERY = 260, 600, 50
BEGIN = 250
#: Which app is killed again and again, operated twice at once, or fails for a while.
KILLED, TWICE, FAILS = "update", "line", "fails"


class Workspace:
    """Where the tables, the files and the state of all apps are."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.store, self.tables = self.folder / ".mlwild", self.folder / ".mlwild" / "warehouse"

    def stored(self, name):
        return Stored(name, self.tables)

    def ledger(self, name):
        return Ledger(self.store / "operate" / name / "ledger.jsonl")

    def ticked(self, name):
        found = lived(self.ledger(name))
        return -1 if found is None else found.ticked


# -- the rows ----------------------------------------------------------------------------------------


def sales():
    return drifting(ALL, 0, 1.5, 60).assign(id=np.arange(ALL))


def clicks():
    rows = drifting(ALL, 1, 2.0, 30).assign(id=np.arange(ALL))
    return rows.assign(y=(rows["y"] > 0).astype(int))


def weather():
    rng = np.random.default_rng(2)
    return pd.DataFrame({"id": np.arange(ALL), "when": np.arange(ALL), "rain": rng.normal(size=ALL)})


def forecasts():
    rows = drifting(ALL, 3, 0.5, 0).assign(id=np.arange(ALL))
    return rows.assign(told=rows["a"] + 0.5 * rows["b"], other=0.9 * rows["a"])


TABLES = {"weather": weather, "sales": sales, "clicks": clicks, "forecasts": forecasts}


def pour(space, first, last, tables=tuple(TABLES)):
    """Add rows of some times: those of the side table first, as one does who wants them joined."""
    for name in tables:
        part = TABLES[name]()[first:last]
        add(name, part, key="id", time="when", known="time", warehouse=space.tables)
    part = clicks()[first:last].drop(columns="id")
    path = space.folder / "files" / f"clicks-{first:04d}.parquet"
    write_atomically(path, part.to_parquet)


# -- the apps ----------------------------------------------------------------------------------------


def with_rain(rows, tables):
    return rows[["a", "b"]].assign(rain=tables["weather"].asof(rows)["rain"].fillna(0.0))


def fails_at_times(rows):
    """Return the features, unless what they need is away."""
    folder = Path(os.environ["CREW"])
    if len(rows) > BEGUN + EVERY and (folder / "away").exists():
        (folder / "seen").touch()
        raise OSError("the feature server is away")
    return rows[["a", "b"]]


def polars_columns(rows):
    return rows.select("a", "b")


def apps(space):
    """Return the ten apps with their rules."""
    base = {"every": EVERY, "start": 100}
    rain = {"weather": wild.Table(space.stored("weather"), time="when", delay=3)}
    of_sales = replace(small_app(**base), data=space.stored("sales"))
    of_clicks = replace(
        small_app(**base), data=space.stored("clicks"), models={"logit": Logit()}, loss="log_loss", seeds=(3,)
    )
    files = str(space.folder / "files" / "clicks-*.parquet")
    tree = {"tree": DecisionTreeClassifier(max_depth=3)}
    made = {
        "line": (of_sales, rules.BreakEven(0.5)),
        "logit": (of_clicks, rules.LossThreshold(0.1)),
        "rain": (replace(of_sales, tables=rain, features=with_rain, windows=(150, "all")), rules.Every(2)),
        "fails": (replace(of_sales, features=fails_at_times), rules.BreakEven(0.5)),
        "rain2": (replace(of_clicks, tables=rain, features=with_rain), rules.CumulativeThreshold(0.3)),
        "files": (
            replace(of_clicks, data=files, frame="polars", features=polars_columns, models=tree, loss="zero_one"),
            rules.OnLossAlarm(per_looks=10),
        ),
        "update": (replace(of_sales, update="partial_fit", seeds=(1,)), rules.BreakEven(0.5, update=True)),
        "published": (
            replace(
                of_sales,
                data=space.stored("forecasts"),
                models={"told": wild.Forecast("told"), "other": wild.Forecast("other")},
                features=None,
                prices=None,
            ),
            rules.Never(),
        ),
        "signal": (
            replace(of_sales, models={"line": Line(0.1)}),
            rules.OnSignal(wild.monitors.DirectLoss(), per_looks=10),
        ),
        "alike": (of_sales, rules.BreakEven(0.5)),  # the first one's twin: they make the same models
    }
    return {name: (replace(app, name=name), rule) for name, (app, rule) in made.items()}


def read_by(names):
    """Return the tables that some apps read, in the order in which rows are added."""
    made = apps(Workspace("nowhere"))
    sources = [one for name in names for one in (made[name][0].data, *(t.data for t in made[name][0].tables.values()))]
    return [name for name in TABLES if any(isinstance(one, Stored) and one.name == name for one in sources)]


# -- who works ---------------------------------------------------------------------------------------


def operated_once(space, name):
    app, rule = apps(space)[name]
    new = not space.ledger(name).facts
    return wild.operate(app, rule=rule if new else None, begin=BEGIN if new else None, store=space.store, jobs=1)


def operator(space, name, last):
    """Operate an app again and again until its last tick is done; say how often, and how often it could not."""
    runs, busy, failed = 0, 0, 0
    while space.ticked(name) < last:
        runs += 1
        try:
            operated_once(space, name)
        except BusyError:
            busy += 1
        except OSError as problem:
            if "away" not in str(problem):
                raise
            failed += 1
        time.sleep(0.1)
    print(json.dumps({"runs": runs, "busy": busy, "failed": failed}))


def writer(space, step, *tables):
    """Add the rows that are to come, a few at a time."""
    for first in range(BEGUN, ALL, step):
        pour(space, first, min(first + step, ALL), tables)
        time.sleep(0.05)


def reader(space):
    """Look at the state of all apps until somebody says that it is enough; say how often, and what was wrong."""
    looks, wrong = 0, []
    while not (space.folder / "enough").exists():
        looks += 1
        time.sleep(0.02)
        wrong += [f"{one.app}: {said}" for one in status(space.store) for said in half(one)]
    print(json.dumps({"looks": looks, "wrong": sorted(set(wrong))}))


def half(one):
    """Say what in a state belongs to another tick than the rest."""
    if not one.ticks:
        return [said for said, there in (("live before a tick", one.live), ("promised before", one.promised)) if there]
    said = []
    if not one.live or not one.following or not one.since:
        said.append(f"a gap: {one}")
    if int(one.following) != int(one.last) + EVERY or (int(one.last) - BEGIN) // EVERY + 1 != one.ticks:
        said.append(f"{one.ticks} ticks, last at {one.last}, next at {one.following}")
    if "not finished" in one.alarm and one.app != KILLED:
        said.append("a tick that runs is called unfinished")
    return said


def main():
    role, folder, *more = sys.argv[1:]
    os.environ["CREW"] = folder  # what the feature function reads; a global would be the app's code
    space = Workspace(folder)
    if role == "operator":
        operator(space, more[0], int(more[1]))
    elif role == "writer":
        writer(space, int(more[0]), *more[1:])
    else:
        reader(space)


if __name__ == "__main__":
    main()
