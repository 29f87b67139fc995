"""Stressors of what features are computed from: side tables that fail, batches that come twice or in disorder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlwild.stressors.situation import Situation, chosen_rows

BATCH = "the batch"


def _tables(situation: Situation) -> Sequence[str]:
    """Return the app's side tables; none where features are not computed from them."""
    app = situation.trial.app
    return [*app.tables] if app.features is not None and situation.model.raw is not None else []


def _batch(situation: Situation) -> Sequence[str]:
    """Return the one case where features are computed of many rows at once, else none."""
    app = situation.trial.app
    alone = app.serving is not None and app.serving.features is not None
    computed = app.features is not None and not alone and situation.model.raw is not None
    return [BATCH] if computed and not situation.held.changed else []


@dataclass(frozen=True)
class FeedStops:
    """
    A side table whose rows stop coming some periods before the rows on trial.

    Parameters
    ----------
    severities : sequence of float
        Periods between its last row and the first on trial.
    """

    severities: Sequence[float] = (0.0, 1.0, 4.0)
    name: str = "feed stops"
    unit: str = "periods before"

    def cases(self, situation: Situation) -> Sequence[str]:
        """Return the app's side tables."""
        return _tables(situation)

    def apply(self, situation: Situation, case: str, severity: float, rng: np.random.Generator) -> Situation:
        """Compute features from what the table held when it stopped."""
        held = situation.held
        period = (int(held.time[-1]) - int(held.time[0])) / max(len(np.unique(held.period)), 1)
        last = int(held.time[0]) - round(severity * period)
        return situation.with_held(situation.trial.without_feed(held, case, lambda table: table.available <= last))


@dataclass(frozen=True)
class MissingFeed:
    """
    Rows of a side table that never come.

    Parameters
    ----------
    severities : sequence of float
        Share of its rows; 1 is an empty table.
    """

    severities: Sequence[float] = (0.1, 0.5, 1.0)
    name: str = "missing feed"
    unit: str = "of its rows"

    def cases(self, situation: Situation) -> Sequence[str]:
        """Return the app's side tables."""
        return _tables(situation)

    def apply(self, situation: Situation, case: str, severity: float, rng: np.random.Generator) -> Situation:
        """Compute features from the rows that came."""
        made = situation.trial.without_feed(
            situation.held, case, lambda table: ~chosen_rows(len(table.available), severity, rng)
        )
        return situation.with_held(made)


@dataclass(frozen=True)
class RepeatedBatch:
    """
    Rows that are delivered twice before features are computed: counts of earlier rows count them twice.

    Parameters
    ----------
    severities : sequence of float
        Share of rows.
    """

    severities: Sequence[float] = (0.1, 0.5, 1.0)
    name: str = "repeated batch"
    unit: str = "of rows"

    def cases(self, situation: Situation) -> Sequence[str]:
        """Return one case; none for a service that answers request by request."""
        return _batch(situation)

    def apply(self, situation: Situation, case: str, severity: float, rng: np.random.Generator) -> Situation:
        """Compute features of the batch with some rows at its end once more."""
        n = len(situation.held)
        again = np.flatnonzero(chosen_rows(n, severity, rng))
        return situation.with_held(situation.trial.delivered(situation.held, np.concatenate([np.arange(n), again])))


@dataclass(frozen=True)
class OutOfOrder:
    """
    Rows that are delivered late, in any order, before features are computed.

    Parameters
    ----------
    severities : sequence of float
        Share of rows.
    """

    severities: Sequence[float] = (0.1, 0.5, 1.0)
    name: str = "out of order"
    unit: str = "of rows"

    def cases(self, situation: Situation) -> Sequence[str]:
        """Return one case; none for a service that answers request by request."""
        return _batch(situation)

    def apply(self, situation: Situation, case: str, severity: float, rng: np.random.Generator) -> Situation:
        """Compute features of the batch with some rows shuffled to its end."""
        late = chosen_rows(len(situation.held), severity, rng)
        order = np.concatenate([np.flatnonzero(~late), rng.permutation(np.flatnonzero(late))])
        return situation.with_held(situation.trial.delivered(situation.held, order))
