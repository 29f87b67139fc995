"""
What point-in-time features cost: 5,000,000 events, 1,000,000 side rows of 50,000 entities.

The as-of join beside those of polars, DuckDB and pandas; trailing windows of seven aggregates beside polars' rolling
join of the same window where that can do it (a sum and a count, by differences of running sums, which are not exact).
Each in a process of its own, so that its peak memory is its own; every answer has to be that of ours. All get side rows
that are at hand at once and in order, since the others know no availability of their own.
"""

# ruff: noqa: PLW0108  what a lambda calls is to be done when it is timed
from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from processes import ENVIRONMENT

EVENTS, ROWS, ENTITIES, SPAN = 5_000_000, 1_000_000, 50_000, 365 * 86_400
WINDOW = 28 * 86_400


def arrays(events: int, words: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return events and side rows; times of side rows are all different."""
    rng = np.random.default_rng(0)
    rows, entities = events // 5, max(events // 100, 1)
    shop, other = rng.integers(0, entities, events), rng.integers(0, entities, rows)
    at = np.sort(rng.choice(SPAN * 1000, rows, replace=False))
    asked = np.sort(rng.integers(0, SPAN * 1000, events))
    if words:
        import pyarrow as pa

        names = pa.array([f"shop {code}" for code in range(entities)])
        return {"t": asked, "shop": names.take(pa.array(shop))}, {
            "at": at,
            "shop": names.take(pa.array(other)),
            "v": rng.normal(size=rows),
        }
    return {"t": asked, "shop": shop}, {"at": at, "shop": other, "v": rng.normal(size=rows)}


def digest_of(values: Any) -> float:
    """Return a number that tells columns apart whose values are in another order."""
    values = np.nan_to_num(np.asarray(values, dtype=np.float64), nan=-7.0)
    return float((values * (np.arange(len(values)) % 1009)).sum())


def ours(left: Any, right: Any, delay: int = 0) -> tuple[Any, Any]:
    """Return events and a side table of ours, both in Arrow."""
    import pyarrow as pa

    from mlwild import frames
    from mlwild.side_tables import Table, side_table

    rows = pa.table(right)
    return pa.table(left), side_table(
        Table(dict, "at", delay=delay, by="shop"), frames.eager(rows, "rows"), delay, "t", "rows"
    )


def join_mlwild(left: Any, right: Any) -> Callable[[], Any]:
    """Ours."""
    events, side = ours(left, right)
    return lambda: side.asof(events)["v"].to_numpy()


def join_polars(left: Any, right: Any) -> Callable[[], Any]:
    """Polars."""
    import polars as pl

    events, rows = pl.DataFrame(left).set_sorted("t"), pl.DataFrame(right).set_sorted("at")
    return lambda: events.join_asof(rows, left_on="t", right_on="at", by="shop", check_sortedness=False)["v"].to_numpy()


def join_pandas(left: Any, right: Any) -> Callable[[], Any]:
    """Pandas."""
    import pyarrow as pa

    events, rows = (pa.table(one).to_pandas() for one in (left, right))
    import pandas as pd

    return lambda: pd.merge_asof(events, rows, left_on="t", right_on="at", by="shop")["v"].to_numpy()


def join_duckdb(left: Any, right: Any) -> Callable[[], Any]:
    """Return DuckDB's join, put back in the order of the events."""
    import duckdb
    import pyarrow as pa

    base = duckdb.connect()
    base.execute("set threads=2")
    base.register("events_", pa.table({"n": np.arange(len(left["t"])), **left}))
    base.register("rows_", pa.table(right))
    base.execute("create table events as from events_")
    base.execute("create table rows as from rows_")
    query = "select v from events e asof left join rows r on e.shop = r.shop and e.t >= r.at order by e.n"
    return lambda: np.ma.filled(base.execute(query).fetchnumpy()["v"].astype(np.float64), np.nan)


def window_mlwild(left: Any, right: Any, kinds: tuple[str, ...]) -> Callable[[], Any]:
    """Ours."""
    events, side = ours(left, right)
    made = {kind: ("v", kind) for kind in kinds}
    return lambda: side.trailing(events, WINDOW * 1000, made)[kinds[0]].to_numpy()


def window_polars(left: Any, right: Any, kinds: tuple[str, ...]) -> Callable[[], Any]:
    """Return the sum by polars: running sums at both ends of the window, by two as-of joins, and their difference."""
    import polars as pl

    assert kinds == ("sum",)
    events, rows = pl.DataFrame(left).set_sorted("t"), pl.DataFrame(right).set_sorted("at")

    def made() -> Any:
        running = rows.with_columns(total=pl.col("v").cum_sum().over("shop")).set_sorted("at")
        both = events.with_columns(start=pl.col("t") - WINDOW * 1000)
        now = both.join_asof(running, left_on="t", right_on="at", by="shop", check_sortedness=False)
        then = both.join_asof(running, left_on="start", right_on="at", by="shop", check_sortedness=False)
        return (now["total"].fill_null(0.0) - then["total"].fill_null(0.0)).to_numpy()

    return made


SEVEN = ("sum", "count", "mean", "std", "min", "last", "nunique")
TASKS: dict[str, tuple[bool, Callable[[Any, Any], Callable[[], Any]]]] = {
    **{f"as-of {name}": (False, join) for name, join in (
        ("mlwild", join_mlwild), ("polars", join_polars), ("duckdb", join_duckdb), ("pandas", join_pandas),
    )},
    **{f"as-of, words {name}": (True, join) for name, join in (
        ("mlwild", join_mlwild), ("polars", join_polars), ("duckdb", join_duckdb), ("pandas", join_pandas),
    )},
    "sum of 28 days mlwild": (False, lambda left, right: window_mlwild(left, right, ("sum",))),
    "sum of 28 days polars": (False, lambda left, right: window_polars(left, right, ("sum",))),
    **{f"{kind} of 28 days mlwild": (False, lambda left, right, kind=kind: window_mlwild(left, right, (kind,)))
       for kind in ("count", "std", "min", "nunique")},
    "seven aggregates mlwild": (False, lambda left, right: window_mlwild(left, right, SEVEN)),
}  # fmt: skip


def peak() -> float:
    """Return the greatest memory of this process so far, in MB."""
    text = open("/proc/self/status").read()  # noqa: SIM115, PTH123
    return int(text.split("VmHWM:")[1].split()[0]) / 1024


def run(task: str, events: int) -> None:
    """Do one task, twice; print what the better one took, and what it came to."""
    words, prepare = TASKS[task]
    call = prepare(*arrays(events, words))
    before, best = peak(), None
    for _ in range(2):
        cpu, wall = time.process_time(), time.perf_counter()
        found = call()
        spent = time.process_time() - cpu, time.perf_counter() - wall
        best = spent if best is None or spent[0] < best[0] else best
    assert best is not None
    print(json.dumps({"cpu s": best[0], "wall s": best[1], "MB": peak() - before, "sum": digest_of(found)}))


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--task")
    given = parser.parse_args()
    if given.task:
        run(given.task, given.events)
        return
    print(f"{given.events:,} events, {given.events // 5:,} rows, {given.events // 100:,} entities; load "
          f"{open('/proc/loadavg').read().split()[0]}")  # noqa: SIM115, PTH123  # fmt: skip
    shown: dict[str, Any] = {}
    for task in TASKS:
        arguments = [sys.executable, __file__, "--task", task, "--events", str(given.events)]
        said = subprocess.run(arguments, env=ENVIRONMENT, check=True, capture_output=True, text=True).stdout
        shown[task] = json.loads(said)
        print(f"{task:32} cpu {shown[task]['cpu s']:5.2f} s  wall {shown[task]['wall s']:5.2f} s  "
              f"{shown[task]['MB']:5.0f} MB more", flush=True)  # fmt: skip
    for what in ("as-of", "as-of, words", "sum of 28 days"):
        first = shown[f"{what} mlwild"]
        others = {name: shown[f"{what} {name}"] for name in ("polars", "duckdb", "pandas") if f"{what} {name}" in shown}
        for name, one in others.items():
            assert np.isclose(first["sum"], one["sum"], rtol=1e-9), f"{what}: {name} says another thing"
        ratios = ", ".join(f"{first['cpu s'] / one['cpu s']:.2f} of {name}'s" for name, one in others.items())
        print(f"{what}: {ratios} cpu; the answers are the same")
    print(json.dumps(shown))


if __name__ == "__main__":
    main()
