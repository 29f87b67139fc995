"""All that answering takes, less the models: what a server, a batch and a saved model load instead of the history."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.answering.ages import Limit
from mlwild.answering.shapes import Shape
from mlwild.columns import Columns
from mlwild.digest import bytes_digest
from mlwild.errors import StoreError
from mlwild.guards.guarded import Guarded
from mlwild.triangle.store import Store
from mlwild.triangle.survey import Tables

#: What a bundle is kept as in the store.
KIND = "bundle"


@dataclass(frozen=True)
class Part:
    """
    A stage of the chain: where its model is kept.

    Parameters
    ----------
    name : str
        Such as ``"champion"``.
    vintage : str
        What its answers are signed with.
    key, digest : str
        Of its artefact in the store.
    """

    name: str
    vintage: str
    key: str
    digest: str


@dataclass(frozen=True, eq=False)
class Bundle:
    """
    What answers from one tick to the next.

    Parameters
    ----------
    app : str
    file : str
        The file of the app that made it.
    code : str
        Digest of that app's code: its functions make the features.
    model : str
        Name of the model in the app.
    vintage : str
    parts : tuple of Part
        Stages of the chain, the champion first; none for a published forecast.
    guard : Guarded, optional
        None where nothing is known that a guard could go by.
    unguarded : str
        Why there is none; empty where there is one.
    ask : str
        What the loss asks for.
    classes : ndarray or None
    columns : Columns
        What a request is made of.
    data, learned : Shape
        Of the app's data, and of the features that models learned from.
    data_kind, kind : str
        Kinds of frame that the app's function is given, and that it returned.
    tables : Tables
        Side tables as they were known.
    limits : dict of str to Limit
        How old their rows may be, by table.
    constant : ndarray of float64, shape () or (n_classes,)
        What is answered where nothing else is.
    loss : float
        Mean loss of that; NaN where it was not measured.
    newest : float
        When the newest label became known, in seconds since 1970; NaN where times are integers.
    clock : {"instant", "naive", "tick"}
        What the time column holds.
    live : mapping
        What was live, as the file beside the ledger says; of the arms, this one alone.
    """

    app: str
    file: str
    code: str
    model: str
    vintage: str
    parts: tuple[Part, ...]
    guard: Guarded | None
    unguarded: str
    ask: str
    classes: NDArray[Any] | None
    columns: Columns
    data: Shape
    learned: Shape
    data_kind: str
    kind: str
    tables: Tables
    limits: Mapping[str, Limit]
    constant: NDArray[np.float64]
    loss: float
    newest: float
    clock: str
    live: Mapping[str, Any]

    @property
    def names(self) -> tuple[str, ...]:
        """Columns of a request, and features."""
        return tuple(dict.fromkeys((*self.columns.names, *self.learned.schema.names)))

    def told(self) -> dict[str, Any]:
        """Return what a process without user code must know, as plain values."""
        guard = self.guard
        return {
            "app": self.app,
            "live": dict(self.live),
            "vintage": self.vintage,
            "columns": self.columns.as_dict(),
            "ask": self.ask,
            "classes": None if self.classes is None else self.classes.tolist(),
            "constant": self.constant.tolist(),
            "loss": self.loss if isfinite(self.loss) else None,
            "newest": self.newest if isfinite(self.newest) else None,
            "clock": self.clock,
            "unguarded": self.unguarded,
            "tables": bool(self.tables),
            "stages": [] if guard is None else [one.name for one in guard.stages],
        }


def load_bundle(store: Store, key: str, digest: str) -> Bundle:
    """
    Return a bundle of the store.

    Raises
    ------
    StoreError
        If it is gone, has another digest, or cannot be loaded.
    """
    found = loaded(store, key, KIND, digest, "what answers")
    assert isinstance(found, Bundle)
    return found


def load_model(store: Store, part: Part) -> Any:
    """
    Return the model of a stage.

    Raises
    ------
    StoreError
        If it is gone, has another digest, or cannot be loaded.
    """
    return loaded(store, part.key, "model", part.digest, f"the model of {part.name} (vintage {part.vintage})")


def loaded(store: Store, key: str, kind: str, digest: str, what: str) -> Any:
    """Return an object of the store: only if it has the digest that was told."""
    path: Path = store.payload(key, kind)
    try:
        held = path.read_bytes()
    except OSError as problem:
        raise StoreError(
            f"store: {what} (key {key[:8]}) is gone from {store.root}. Restore it, have it made again with mlwild "
            "operate, or go back to an earlier one with mlwild rollback."
        ) from problem
    if bytes_digest(held) != digest:
        raise StoreError(
            f"store: {what} (key {key[:8]}) has another digest: it was changed or damaged, and is not loaded. Restore "
            f"it in {store.root}, have it made again with mlwild operate, or go back to an earlier one with mlwild "
            "rollback."
        )
    try:
        return pickle.loads(held)
    except Exception as problem:  # whatever a class that is gone, or another version of a package, raises
        said = " ".join(str(problem).split())[:200]
        raise StoreError(
            f"store: {what} (key {key[:8]}) agrees with its digest and cannot be loaded here "
            f"({type(problem).__name__}: {said}). Restore the code or the packages that made it."
        ) from problem
