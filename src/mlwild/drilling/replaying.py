"""The drill: faults are injected into replays, and the guard has to answer every row."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.app import App
from mlwild.drilling.faults import FAULTS, SEVERITIES
from mlwild.drilling.replays import Cell, Replay, Run, cell_of
from mlwild.errors import AppError, DataError
from mlwild.guards.answers import REFUSED
from mlwild.guards.missed import Missed, missed
from mlwild.losses import Loss
from mlwild.records import Vintage
from mlwild.triangle import Triangle, growing
from mlwild.triangle.store import STORE, Store, folder_of
from mlwild.triangle.survey import survey

Ints = NDArray[np.int64]

#: Live rows of a replay, at most and at least.
MOST, FEWEST = 2000, 200
#: Share of the range of losses from which on it is told that the guard costs more than no guard.
COSTS = 0.02


@dataclass(frozen=True)
class Drill:
    """
    What a drill found.

    Parameters
    ----------
    app, loss : str
    cells : tuple of Cell
        The worst first: by how far the loss lies above the clean one.
    stages : list of dict
        The chain of the last replay, with what each stage was known to lose.
    clean_rows : int
        Rows without any fault that were answered.
    trips : int
        How often the guard took them for faulty.
    away : float
        Share of them that were taken for faulty, and got another answer than the champion's, or none.
    replays : int
        Stretches of history times seeds.
    skipped : tuple of str
        Faults that the app gives no hold for.
    streams : int
        Stretches of history whose guard judges the stream of inputs as a whole; in the others honest spells are such
        that only single rows are.
    scale : float
        What losses range over.
    refused : float
        Share of the rows without a fault that were refused, as the guard's settings ask for.
    features : tuple of Missed
        What it costs to do without each feature, as known in the last replay; the dearest first.
    unit : str
        Of losses; empty where they have none.
    """

    app: str
    loss: str
    cells: tuple[Cell, ...]
    stages: list[dict[str, Any]]
    clean_rows: int
    trips: int
    away: float
    replays: int
    skipped: tuple[str, ...]
    streams: int
    scale: float
    refused: float = 0.0
    features: tuple[Missed, ...] = ()
    unit: str = ""

    @property
    def worst(self) -> Cell:
        """The fault that costs most."""
        return self.cells[0]

    @property
    def costly(self) -> tuple[Cell, ...]:
        """The cells in which the guard costs rather than helps, beyond a fiftieth of the range; the dearest first."""
        return tuple(sorted((one for one in self.cells if one.gain < -COSTS * self.scale), key=lambda one: one.gain))

    def as_dict(self) -> dict[str, Any]:
        """Return the whole as plain data; what is not known is None."""
        body = asdict(self)
        body["cells"] = [{k: None if v != v else v for k, v in cell.items()} for cell in body["cells"]]  # noqa: PLR0124
        body["costly"] = [[one.fault, one.severity] for one in self.costly]
        return body


def drill(
    app: App,
    *,
    seeds: int = 3,
    cutoffs: int = 3,
    store: str | Path = STORE,
    progress: Callable[[str], None] | None = None,
) -> Drill:
    """
    Inject faults into replays of the history, and tell what the guard makes of them.

    At some cutoffs of the later half, evenly spaced, a model is fitted on what was known then, with its fallback chain;
    the rows that came next are asked for in requests of fifty, without a fault and with each fault at three
    severities, for three fifths of the rows.

    Parameters
    ----------
    app : App
    seeds : int
        Draws of rows and columns for each cutoff.
    cutoffs : int
        Stretches of the history.
    store : str or Path
    progress : callable, optional
        Called with a word on what is done.

    Returns
    -------
    Drill

    Raises
    ------
    AppError
        If a number is below 1, or the model that lives is a published forecast.
    DataError
        If no cutoff has enough labelled rows before and after it.

    References
    ----------
    .. [1] Basiri, A., et al. (2016). Chaos engineering. IEEE Software, 33(3), 35-41.

    Examples
    --------
    >>> import tempfile, pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> x, z = rng.normal(size=(2, 3000))
    >>> rows = pd.DataFrame({"when": np.arange(3000), "x": x, "z": z, "y": x + z + 0.1 * rng.normal(size=3000)})
    >>> def train(X, y):
    ...     return lambda X: X["x"].to_numpy() + X["z"].to_numpy()
    >>> app = App(
    ...     name="sum", data=lambda: rows, time="when", label="y", delay=0, models={"sum": train},
    ...     loss="absolute", every=300, start=300,
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found = drill(app, seeds=1, cutoffs=1, store=folder)
    >>> min(cell.available for cell in found.cells), found.trips, len(found.cells)
    (1.0, 0, 45)
    """
    for name, value in (("seeds", seeds), ("cutoffs", cutoffs)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise AppError(f"{name}: {value!r} is not a whole number of at least 1.")
    read = survey(app)
    triangle = growing(read, Store(folder_of(app, store)), app.live, {})

    def replays() -> Iterable[Replay]:
        for place in _places(triangle, cutoffs):
            if progress is not None:
                progress(read.clock.show(int(read.grid.edges[place])))
            yield _replay(triangle, place)

    return drilled(app, replays(), seeds)


def drilled(app: App, replays: Iterable[Replay], seeds: int) -> Drill:
    """
    Inject every fault into some replays, and tell what the guard makes of them.

    Parameters
    ----------
    app : App
    replays : iterable of Replay
        At least one.
    seeds : int
        Draws of rows and columns for each replay.

    Returns
    -------
    Drill
    """
    found: dict[tuple[str, float], list[Run]] = {}
    clean: list[Run] = []
    stages: list[dict[str, Any]] = []
    features: list[Missed] = []
    streams = 0
    for replay in replays:
        guard = replay.chain.guard
        stages, streams = replay.chain.losses(), streams + guard.judges_streams
        features = missed(guard.stages, guard.encoding.names)
        clean.append(replay.clean())
        for fault in FAULTS:
            for severity in SEVERITIES:
                runs = [replay.run(fault, severity, seed) for seed in range(seeds)]
                found.setdefault((fault.name, severity), []).extend(run for run in runs if run is not None)
    cells = [cell_of(fault, severity, found[fault.name, severity]) for fault in FAULTS for severity in SEVERITIES
             if found[fault.name, severity]]  # fmt: skip
    tripped, refused = [run.tripped for run in clean], [run.status == REFUSED for run in clean]
    rows = sum(map(len, tripped))
    return Drill(
        app.name,
        app.loss_.title,
        tuple(sorted(cells, key=lambda one: (math.isnan(one.loss), one.clean - one.loss))),
        stages,
        rows,
        sum(int((np.diff(one.astype(np.int8), prepend=0) == 1).sum()) for one in tripped),
        sum(int(one.sum()) for one in tripped) / rows,
        len(clean) * seeds,
        tuple(fault.name for fault in FAULTS if not any(found[fault.name, one] for one in SEVERITIES)),
        streams,
        _scale(app.loss_, clean),
        sum(int(one.sum()) for one in refused) / rows,
        tuple(features),
        app.loss_.unit,
    )


def _scale(loss: Loss, clean: Sequence[Run]) -> float:
    """
    Return what losses range over: the loss's own range, or from its least value to what the constant seldom exceeds.

    Of a loss without a least value (what is earned, turned round) it begins where answers without a fault seldom lie
    below. A constant that is hardly ever off is taken where it is.
    """
    wide = loss.bounds[1] - loss.bounds[0]
    if np.isfinite(wide):
        return float(wide)
    lost, usual = (np.concatenate([getattr(run, name) for run in clean]) for name in ("constant", "clean"))
    lost, usual = lost[np.isfinite(lost)], usual[np.isfinite(usual)]
    least = loss.least if np.isfinite(loss.least) else float(np.quantile(np.append(lost, usual), 0.01))
    most = float(np.quantile(lost, 0.99))
    return most - least if most > least else float(max(lost.max(), usual.max())) - least


def _replay(triangle: Triangle, cutoff: int) -> Replay:
    """Return the replay of a model fitted at a cutoff, with the one before it as what was live before."""
    read, window = triangle.survey, str(triangle.survey.app.windows[0])
    live, before = Vintage(cutoff, window), Vintage(cutoff - 1, window)
    if not triangle.ensure(live):
        at, failed = read.clock.show(int(read.grid.edges[cutoff])), triangle.failed.get(live)
        why = "" if failed is None else f": {failed.why.rstrip('.')}"
        raise DataError(f"drill: no model can be fitted at {at}{why}.")
    path = [before, live] if triangle.ensure(before) else [live]
    return Replay(triangle, path, cutoff, _live(triangle, cutoff))


def _places(triangle: Triangle, cutoffs: int) -> list[int]:
    """Return cutoffs of the later half that have rows enough on both sides."""
    grid = triangle.survey.grid
    last = next((k for k in range(grid.periods - 1, 0, -1) if len(_live(triangle, k)) >= FEWEST), 0)
    if not last:
        raise DataError(
            f"drill: no cutoff has {FEWEST} labelled rows after it and a period before. Give a longer history."
        )
    first = max(1, min(last, grid.periods // 2))
    return sorted({int(one) for one in np.linspace(first, last, cutoffs).round()})


def _live(triangle: Triangle, cutoff: int) -> Ints:
    """Return the labelled rows that came after a cutoff, so many as a replay takes."""
    grid = triangle.survey.grid
    rows = grid.cell_rows[grid.period_of_cell_row >= cutoff]
    return np.sort(rows)[:MOST].astype(np.int64)
