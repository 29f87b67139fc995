"""The registry of models in production: versions, and the aliases champion and challenger."""

from __future__ import annotations

import pickle
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlwild.app import App
from mlwild.digest import bytes_digest
from mlwild.errors import AppError, StoreError
from mlwild.rehearsal import STORE, folder_of
from mlwild.versions.place import Place, client_of, place_of
from mlwild.versions.reading import alias_in, left, run_of
from mlwild.versions.recording import Made, keep, leave

CHAMPION, CHALLENGER = "champion", "challenger"
MODEL = "model.pickle"


@dataclass(frozen=True)
class Registered:
    """
    A version of a model in the registry.

    Parameters
    ----------
    version : int
    run : str
        The run that it came of.
    vintage, key, digest : str
        What was fitted; the digest of what determined it; the digest of the artefact.
    aliases : tuple of str
    """

    version: int
    run: str
    vintage: str
    key: str
    digest: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Registrar:
    """
    What the live tick calls: it alone moves aliases.

    Parameters
    ----------
    store : Path
        Of the workspace.
    """

    store: Path

    def champion(self, app: App, vintage: str, noted: Mapping[str, Any], model: Path) -> dict[str, Any]:
        """
        Register what is live, if it is not yet there, and point `champion` at it.

        Parameters
        ----------
        app : App
        vintage : str
        noted : mapping
            ``key`` and ``digest`` of the artefact, ``rows`` that it learned from, and what else is to be kept.
        model : Path
            The artefact.

        Returns
        -------
        dict
            Run and version.
        """
        return self._point(CHAMPION, app, vintage, noted, model)

    def challenger(self, app: App, vintage: str, noted: Mapping[str, Any], model: Path) -> dict[str, Any]:
        """Register what runs in shadow, and point `challenger` at it; same parameters and answer."""
        return self._point(CHALLENGER, app, vintage, noted, model)

    def no_challenger(self, app: App) -> None:
        """Take the alias `challenger` away: its challenge is over."""
        place = place_of(self.store)
        with client_of(place) as client:
            if _alias(client, app.name, CHALLENGER) is not None:
                client.delete_registered_model_alias(app.name, CHALLENGER)

    def knows(self, app: App, version: int) -> bool:
        """
        Say whether `champion` still points at a version: the record of runs may have been deleted or restored.

        Only a look into the SQLite file, in a millisecond; a server is not asked at every tick, and counts as knowing.
        """
        place = place_of(self.store)
        if place.server:
            return True
        try:
            return alias_in(place, app.name, CHAMPION) == version
        except sqlite3.DatabaseError:  # whoever registers says what is wrong with it
            return False

    def _point(self, alias: str, app: App, vintage: str, noted: Mapping[str, Any], model: Path) -> dict[str, Any]:
        place = place_of(self.store)
        with client_of(place) as client:
            _named(client, app.name)
            found = next((one for one in _versions(client, app.name) if one.digest == noted["digest"]), None)
            found = found or self._register(client, place, app, vintage, noted, model)
            if alias not in found.aliases:
                client.set_registered_model_alias(app.name, alias, str(found.version))
        return {"run": found.run, "version": found.version}

    def _register(
        self, client: Any, place: Place, app: App, vintage: str, noted: Mapping[str, Any], model: Path
    ) -> Registered:
        payload = model.read_bytes()
        if bytes_digest(payload) != noted["digest"]:
            raise StoreError(f"registry: {model} does not agree with its digest; it is not registered.")
        params = {"vintage": vintage, "model": app.live, "key": str(noted["key"]), "seed": str(app.seeds[0])}
        run = keep(app, "fit", "production", Made(dict(noted), params=params), store=self.store)
        leave(client, place, run.id, {MODEL: payload})
        tags = {"vintage": vintage, "key": str(noted["key"]), "digest": str(noted["digest"])}
        made = client.create_model_version(
            app.name, source=_source(place, app.name, run.id), run_id=run.id, tags=tags, await_creation_for=0
        )
        return Registered(int(made.version), run.id, vintage, tags["key"], tags["digest"])


def _source(place: Place, app: str, run: str) -> str:
    if place.files is None:
        return f"runs:/{run}/{MODEL}"
    return (place.files / "production" / app / run / "artifacts" / MODEL).as_uri()


def _named(client: Any, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as problem:
        if problem.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _versions(client: Any, name: str) -> list[Registered]:
    found = client.search_model_versions(f"name = '{name}'")
    aliases = client.get_registered_model(name).aliases if found else {}
    made = []
    for one in found:
        mine = tuple(sorted(alias for alias, version in aliases.items() if str(version) == str(one.version)))
        tags = one.tags
        made.append(Registered(int(one.version), str(one.run_id), tags["vintage"], tags["key"], tags["digest"], mine))
    return sorted(made, key=lambda one: -one.version)


def _alias(client: Any, name: str, alias: str) -> Registered | None:
    return next((one for one in registered_in(client, name) if alias in one.aliases), None)


def registered_in(client: Any, name: str) -> list[Registered]:
    """Return the versions of an app's model, newest first; none where it was never registered."""
    from mlflow.exceptions import MlflowException

    try:
        return _versions(client, name)
    except MlflowException as problem:
        if problem.error_code == "RESOURCE_DOES_NOT_EXIST":
            return []
        raise


def registered(app: App, *, store: str | Path = STORE) -> list[Registered]:
    """
    Return the versions of an app's model that were in production or beside it, newest first.

    Parameters
    ----------
    app : App
    store : str or Path

    Returns
    -------
    list of Registered
    """
    place = place_of(folder_of(app, store))
    if not place.server and not place.database.exists():
        return []
    with client_of(place) as client:
        return registered_in(client, app.name)


def load_registered(app: App, alias: str = CHAMPION, *, store: str | Path = STORE) -> Any:
    """
    Return the fitted model that an alias points at; only if it agrees with its digest.

    Parameters
    ----------
    app : App
    alias : {"champion", "challenger"}
    store : str or Path

    Returns
    -------
    object
        What was fitted: it predicts on the app's features.

    Raises
    ------
    AppError
        If nothing has this alias.
    StoreError
        If the artefact is gone, or has another digest.
    """
    found = next((one for one in registered(app, store=store) if alias in one.aliases), None)
    if found is None:
        raise AppError(f"registry: {app.name!r} has no {alias}. mlwild operate registers what goes live.")
    return load_version(found, store=folder_of(app, store))


def load_version(version: Registered, *, store: str | Path) -> Any:
    """Return the model of a version; only if it agrees with its digest."""
    held = left(run_of(version.run, store), store).get(MODEL)
    if held is None or bytes_digest(held) != version.digest:
        what = "is gone" if held is None else "has another digest: it was changed or damaged"
        raise StoreError(
            f"registry: the artefact of version {version.version} (vintage {version.vintage}) {what}; it is not "
            "loaded. Restore it, or go back to an earlier one with mlwild rollback."
        )
    try:
        return pickle.loads(held)
    except Exception as problem:  # whatever a class that is gone, or another version of a package, raises
        said = " ".join(str(problem).split())[:200]
        raise StoreError(
            f"registry: version {version.version} (vintage {version.vintage}) agrees with its digest and cannot be "
            f"loaded here ({type(problem).__name__}: {said}). Restore the code or the packages that made it: see "
            f"mlwild show {version.run[:8]}."
        ) from problem
