"""The data contract of an app: held against its history, or inferred from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from mlwild.app import App
from mlwild.checks.findings import Finding
from mlwild.clock import Clock, Duration
from mlwild.contracts import Contract, hold, infer, read, to_toml
from mlwild.disk import write_atomically
from mlwild.errors import AppError
from mlwild.events import Events
from mlwild.models import Forecast
from mlwild.triangle.survey import make_features, read_events
from mlwild.wording import things


def contract_of(app: App) -> Contract | None:
    """
    Read the contract of an app; None where it has none.

    Raises
    ------
    AppError
        If something in the file is wrong: with the file, the table and the key.
    """
    return None if app.contract is None else read(app.root / app.contract)


def held(app: App, events: Events, features: Any) -> Iterable[Finding]:
    """Yield what breaks the app's contract, or that nothing does; rows are numbered in order of time."""
    contract = contract_of(app)
    if contract is None or app.contract is None:
        return
    found = hold(contract, events.frame, features if _made(app) else None)
    for one in found.violations:
        yield Finding("contract", "fail", one.said, one.column, one.row)
    if not found.violations:
        parts = [contract.data, *([contract.features] if contract.features else [])]
        columns, name = sum(len(terms.columns) for terms in parts), Path(app.contract).name
        whole = things(found.periods, "whole period")
        said = f"{found.rows:,} rows keep {name}: {things(columns, 'column')}, {whole}"
        yield Finding("contract", "pass", said)


@dataclass(frozen=True)
class Written:
    """
    A contract that was written.

    Parameters
    ----------
    path : Path
    contract : Contract
    periods : int
        Whole periods that it was learned from.
    """

    path: Path
    contract: Contract
    periods: int

    @property
    def said(self) -> str:
        """What was done, and what to do next."""
        features = self.contract.features
        of = f" and {things(len(features.columns), 'feature')}" if features else ""
        return (
            f"Wrote {self.path}: {things(len(self.contract.data.columns), 'column')}{of}, from {self.periods} periods. "
            "It is yours now: read it, and correct what you know better."
        )


def write_contract(app: App, path: str | Path, *, force: bool = False) -> Written:
    """
    Infer a contract from an app's history and write it.

    Parameters
    ----------
    app : App
    path : str or Path
        The file, by custom the app's with ``.contract.toml`` in place of ``.py``.
    force : bool
        Whether an older one may be replaced.

    Returns
    -------
    Written

    Raises
    ------
    AppError
        If the file exists and may not be replaced.
    DataError
        If the data cannot be read, or make too few periods.
    """
    file = Path(path)
    if file.exists() and not force:
        raise AppError(f"contract: {str(path)!r} exists already; nothing was written. --force writes it anew.")
    events, tables = read_events(app)
    made = infer(
        events.frame,
        features=make_features(app, events.frame, tables)[0] if _made(app) else None,
        time=app.time,
        every=app.every if isinstance(app.every, str | int) else str(Duration.parse(app.every)),
        start=None if app.start is None else _start(events.clock, app.start),
        label=app.label,
        late=[name for name in (app.label, app.known_at, *app.outcomes) if name],
        key=[app.key] if app.key else [app.entity, app.time] if app.entity else [],
    )
    text = to_toml(made.contract, made.notes)
    write_atomically(file, lambda out: out.write(text.encode()))
    return Written(file, made.contract, made.periods)


def _made(app: App) -> bool:
    """Say whether the app makes features of its own."""
    return app.features is not None and any(not isinstance(model, Forecast) for model in app.models.values())


def _start(clock: Clock, start: str | int) -> Any:
    at = clock.parse(start, "start")
    if clock.kind == "tick":
        return at
    wall = clock.local(at).replace(tzinfo=None)
    return wall.date() if wall.time() == datetime.min.time() else wall


def with_contract(app: App, path: str | Path | None) -> App:
    """Return the app with another contract; without a path, as it is."""
    return app if path is None else replace(app, contract=Path(path).absolute())
