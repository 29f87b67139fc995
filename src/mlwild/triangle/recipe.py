"""What determines a fit and its predictions, as digests; and the job that makes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import ModuleType
from typing import Any

import cloudpickle
import numpy as np
from numpy.typing import NDArray

from mlwild.clock import Duration
from mlwild.digest import digest, fingerprint, version
from mlwild.errors import AppError
from mlwild.own_modules import loads, own_modules
from mlwild.records import ALL, Vintage
from mlwild.triangle import fitting
from mlwild.triangle.fitting import Job
from mlwild.triangle.survey import Survey

_BEGINNING = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Recipe:
    """
    The keys of one model's and one seed's vintages.

    Parameters
    ----------
    survey : Survey
    model : str
        Name of the model.
    seed : int
    """

    survey: Survey
    model: str
    seed: int
    _keys: dict[Vintage, str] = field(default_factory=dict, repr=False, compare=False)
    _pinned: set[Vintage] = field(default_factory=set, repr=False, compare=False)
    _artefacts: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def _recipe(self) -> str:
        return self.named(self.seed)

    def named(self, seed: int) -> str:
        """Return the digest of what determines a fit besides its rows: model, seed, form of answer, versions."""
        survey = self.survey
        classes = None if survey.classes is None else digest(survey.classes)
        schema = str(survey.features.schema.remove_metadata())
        # A model may read the numbers of a category: they depend on all categories there are.
        schema += digest(*(_categories(column) for column in survey.features.columns))
        versions = [version(name) for name in ("numpy", "sklearn", "mlwild")]
        model = fingerprint(survey.app.models[self.model])
        return digest("fit 1", model, seed, classes, survey.kind, schema, versions)

    @cached_property
    def _pickled(self) -> bytes:
        try:
            return bytes(cloudpickle.dumps(self.survey.app.models[self.model]))
        except Exception as problem:  # pickling runs the user's code, which may raise anything
            raise AppError(
                f"models[{self.model!r}]: cannot be pickled, so it can be neither kept nor sent to workers: {problem}"
            ) from problem

    @cached_property
    def _own(self) -> Mapping[str, ModuleType]:
        file = self.survey.app.file
        return {} if file is None else own_modules(file.parent)

    def loads(self, data: bytes) -> Any:
        """Return what was pickled, with the modules of the app."""
        return loads(data, self._own)

    def opens(self, vintage: Vintage) -> int:
        """Return the instant at which a vintage's training window opens."""
        if vintage.window == ALL:
            return int(_BEGINNING)
        cutoff = int(self.survey.grid.edges[vintage.fitted])
        window = Duration.parse(_ticks(vintage.window), "windows")
        return self.survey.clock.add(cutoff, window, -1)

    def _learned(self, vintage: Vintage) -> tuple[slice | NDArray[np.int64], int | None]:
        edges = self.survey.grid.edges
        after = None
        if vintage.updates:
            earlier = vintage.updates[-2] if len(vintage.updates) > 1 else vintage.fitted
            after = int(edges[earlier])
        opens = _BEGINNING if vintage.updates else self.opens(vintage)
        survey = self.survey
        cutoff = int(edges[vintage.cutoff])
        return fitting.training_rows(survey.time, survey.known_at, opens, cutoff, after), after

    def pin(self, keys: Mapping[Vintage, str], artefacts: Mapping[str, str] | None = None) -> None:
        """
        Name vintages by the artefacts that went live, whatever has become of the rows that they learned from.

        Where the digest of an artefact is given by its key, no other is loaded in its place.
        """
        self._artefacts.update(artefacts or {})
        self._keys.update(keys)
        self._pinned.update(keys)

    def fit_key(self, vintage: Vintage) -> str:
        """Return the digest of all that determines a fitted model."""
        if vintage not in self._keys:
            picked, _ = self._learned(vintage)
            content = digest(self.survey.hashes[picked], self.survey.labels[picked])
            if vintage.updates:
                parent = self.fit_key(parent_of(vintage))
                self._keys[vintage] = digest("update", parent, fingerprint(self.survey.app.update), content)
            else:
                self._keys[vintage] = digest(self._recipe, content)
        return self._keys[vintage]

    def prediction_key(self, vintage: Vintage, fit_key: str, rows: int | None = None) -> str:
        """Return the digest of all that determines a vintage's predictions, of the first so many rows or of all."""
        first = self.survey.grid.row_start[vintage.cutoff]
        classes = None if self.survey.classes is None else digest(self.survey.classes)
        return digest("predict 2", fit_key, self.survey.ask, classes, self.survey.hashes[first:][:rows])

    def job(self, vintage: Vintage) -> Job:
        """Return the job that makes a vintage."""
        survey, app = self.survey, self.survey.app
        fit_key = self.fit_key(vintage)
        _, after = self._learned(vintage)
        parent = self.fit_key(parent_of(vintage)) if vintage.updates else None
        return Job(
            fit_key=fit_key,
            prediction_key=self.prediction_key(vintage, fit_key),
            model=self._pickled,
            seed=self.seed,
            opens=int(_BEGINNING) if vintage.updates else self.opens(vintage),
            cutoff=int(survey.grid.edges[vintage.cutoff]),
            predict=(*(int(row) for row in survey.grid.row_start[vintage.cutoff :]), len(survey.time)),
            ask=survey.ask,
            classes=survey.classes,
            after=after,
            parent_key=parent,
            update=cloudpickle.dumps(app.update) if vintage.updates else None,
            was_live=vintage in self._pinned,
            artefact=self._artefacts.get(fit_key, ""),
            own=cloudpickle.dumps(self._own) if self._own else b"",
        )


def _categories(column: Any) -> str:
    import pyarrow as pa

    if not pa.types.is_dictionary(column.type):
        return ""
    return digest(*(str(chunk.dictionary.to_pylist()) for chunk in column.chunks))


def parent_of(vintage: Vintage) -> Vintage:
    """Return the vintage that an update was made from."""
    return replace(vintage, updates=vintage.updates[:-1])


def _ticks(window: str) -> str | int:
    return int(window) if window.isdigit() else window
