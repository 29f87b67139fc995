"""What a tick works with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mlwild.app import App
from mlwild.clock import Clock
from mlwild.compute import Jobs
from mlwild.events import Events
from mlwild.ledger import Ledger
from mlwild.models import Forecast
from mlwild.operating.knowing import known_then
from mlwild.operating.lived import Lived, lived
from mlwild.operating.rescue import examine
from mlwild.rules import Rule
from mlwild.side_tables import SideTable
from mlwild.triangle import Triangle, build, growing
from mlwild.triangle.logged import log_as_of, log_of
from mlwild.triangle.store import Store
from mlwild.triangle.survey import lay_survey
from mlwild.warehouse import Stored

#: Says why an app must not go live on a day; empty if it may.
Gate = Callable[[App, date], str]


class Registrar(Protocol):
    """Keeps models that were live under versions, and says which one is: `mlwild.versions.Registrar` is one."""

    def champion(self, app: App, vintage: str, noted: Mapping[str, Any], model: Path) -> dict[str, Any]:
        """Register what is live, if it is not yet there; return run and version."""
        ...

    def challenger(self, app: App, vintage: str, noted: Mapping[str, Any], model: Path) -> dict[str, Any]:
        """Register what runs in shadow."""
        ...

    def knows(self, app: App, version: int) -> bool:
        """Say whether what is live is still the version that was told."""
        ...

    def no_challenger(self, app: App) -> None:
        """Say that nothing runs in shadow any more."""
        ...


def pinned(app: App) -> App:
    """Return an app whose stored tables stay at the version that they have now: others may add rows meanwhile."""

    def at_rest(source: Any) -> Any:
        return source.located(app.root).pinned() if isinstance(source, Stored) else source

    data = at_rest(app.data)  # first: labels and side tables that belong to its rows are there by then
    sides = {name: replace(one, data=at_rest(one.data)) for name, one in app.tables.items()}
    return replace(app, data=data, labels=at_rest(app.labels), tables=sides)


@dataclass(frozen=True, eq=False)
class Desk:
    """
    An app with its history, its store and its ledger.

    Parameters
    ----------
    app : App
    events : Events
        All rows there are; each tick sees those of its own time.
    tables : dict of str to SideTable
    edges : ndarray of int64
        Instants of decision so far.
    store : Store
        Of this app in operation alone.
    ledger : Ledger
    rule : Rule
    gate : callable, optional
        Returns why an app, as it was known at a cutoff, must not go live; empty if it may. None: no gate.
    jobs : int, optional
    today : date
        For waivers.
    registrar : Registrar, optional
        Keeps models under versions. None: the ledger alone does.
    """

    app: App
    events: Events
    tables: dict[str, SideTable]
    edges: NDArray[np.int64]
    store: Store
    ledger: Ledger
    rule: Rule
    gate: Gate | None = None
    jobs: Jobs = None
    today: date | None = None
    registrar: Registrar | None = None
    _known: dict[int, tuple[Events, dict[str, SideTable]]] = field(default_factory=dict, repr=False)

    @property
    def clock(self) -> Clock:
        """What the instants mean."""
        return self.events.clock

    @cached_property
    def published(self) -> bool:
        """Whether the living model is a published forecast: then nothing is fitted."""
        return isinstance(self.app.models[self.app.live], Forecast)

    def following(self, cutoff: int) -> str:
        """Return the instant of the cutoff after one, for a reader: counted from the first, as all are."""
        now, every = int(self.edges[cutoff]), self.app.every_
        ahead = self.clock.cutoffs(int(self.events.time[0]), now + 3 * every.exact, every, self.lived().since[0])
        return self.clock.show(int(ahead[ahead > now][0]))

    def lived(self) -> Lived:
        """Return the life so far."""
        found = lived(self.ledger)
        assert found is not None
        return found

    def known(self, cutoff: int) -> tuple[Events, dict[str, SideTable]]:
        """Return the history as it was known at a cutoff; stored tables without corrections that came later."""
        if cutoff not in self._known:  # a tick asks more than once
            self._known.clear()
            self._known[cutoff] = known_then(self.app, self.events, self.tables, int(self.edges[cutoff]))
        return self._known[cutoff]

    def with_log(self, cutoff: int) -> App:
        """Return the app with its log of features as it was at a cutoff."""
        return log_as_of(self.app, int(self.edges[cutoff]))

    def versions(self) -> dict[str, int]:
        """Return the version of each stored table that is read."""
        sources = (*self.app.sources, log_of(self.app))
        stored = [one.located(self.app.root) for one in sources if isinstance(one, Stored)]
        return {one.name: one.version or one.table.version for one in stored}

    def triangle(self, cutoff: int) -> Triangle:
        """Return the triangle of what was known at a cutoff."""
        app = replace(self.with_log(cutoff), seeds=self.app.seeds[:1])
        read = lay_survey(app, *self.known(cutoff), self.edges[: cutoff + 1])
        life = self.lived()
        if hasattr(self.rule, "monitor"):  # a signal asks for all earlier vintages, and perhaps for other models
            made = build(read, self.store, jobs=self.jobs, growing=True, pins=life.artefacts, artefacts=life.digests)[0]
        else:
            made = growing(read, self.store, app.live, life.artefacts, life.digests)
        examine(made, life)
        return made
