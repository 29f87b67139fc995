"""Rows of a replay as tests receive them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mlwild import frames
from mlwild.clock import NEVER
from mlwild.events import Events
from mlwild.gate.held import Held
from mlwild.gate.trial import Timeline
from mlwild.triangle import Survey

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Everything:
    """
    All rows of a history.

    Parameters
    ----------
    survey : Survey
    events : Events
        The rows that the survey was made of.
    """

    survey: Survey
    events: Events

    def held(self, rows: Ints) -> Held:
        """Return some rows, in order."""
        survey = self.survey
        return Held(
            rows=rows,
            table=survey.features.take(rows),
            kind=survey.kind,
            labels=survey.labels[rows],
            classes=survey.classes,
            time=survey.time[rows],
            period=np.searchsorted(survey.grid.row_start, rows, side="right") - 1,
            weight=survey.grid.weight[rows],
            groups={name: values[rows] for name, values in survey.groups.items()},
            raw=frames.take(self.events.frame, rows),
            entity=None if survey.entity is None else survey.entity[rows],
        )

    @cached_property
    def entity(self) -> Ints | None:
        """Whom each row is about, as numbers; None where the app does not say."""
        name = self.survey.app.entity
        if name is None:
            return None
        values, missing = frames.values(self.events.frame, name, "entity")
        codes = np.unique(values.astype(str) if values.dtype == object else values, return_inverse=True)[1]
        return np.where(missing, -1, codes).astype(np.int64)

    def until(self, cutoff: int) -> Timeline:
        """Return the timeline as it was known at a cutoff."""
        survey = self.survey
        now, last = int(survey.grid.edges[cutoff]), int(survey.grid.row_start[cutoff])
        known_at = survey.known_at[:last]
        return Timeline(
            time=survey.time[:last],
            known_at=np.where(known_at <= now, known_at, NEVER),
            labels=survey.labels[:last],
            entity=None if self.entity is None else self.entity[:last],
            clock=survey.clock,
        )
