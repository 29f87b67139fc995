"""What is live, and what runs in shadow, goes into the registry; a tick that changes neither does not ask it."""

from __future__ import annotations

from typing import Any

from mlwild.errors import StoreError
from mlwild.operating.beside import shadowed_since, trial_of
from mlwild.operating.desk import Desk
from mlwild.operating.lived import Lived, of_vintage
from mlwild.operating.publishing import live_fit


def to_register(desk: Desk) -> bool:
    """Say whether the registry has another champion or challenger than the ledger, or has lost what it was told."""
    if desk.registrar is None or desk.published or not desk.ledger.lasting:
        return False
    life = desk.lived()
    if _told(life) != _now(life):
        return True
    version = next((fact.body["version"] for fact in reversed(life.facts) if fact.kind == "registered"), None)
    return version is not None and not desk.registrar.knows(desk.app, int(version))


def _told(life: Lived) -> tuple[str, str]:
    last = next((fact.body for fact in reversed(life.facts) if fact.kind == "registered"), {})
    return str(last.get("key", "")), str(last.get("challenger", ""))


def _now(life: Lived) -> tuple[str, str]:
    shadow = _shadow(life)
    return str(live_fit(life).get("key", "")), "" if shadow is None else str(shadow["key"])


def _shadow(life: Lived) -> dict[str, Any] | None:
    """Return what the last tick said of the challenger, while it runs and could be made."""
    begun = trial_of(life)
    said = [] if begun is None else shadowed_since(life, begun)
    body = dict(said[-1].body) if said else None
    return body if body is not None and body["key"] and not body["over"] else None


def registered(desk: Desk, cutoff: int) -> dict[str, Any]:
    """Register what is live, and point at it; the same for the challenger."""
    assert desk.registrar is not None
    life = desk.lived()
    fit, live = live_fit(life), life.path[-1]
    noted = {"vintage": of_vintage(live), "cutoff": cutoff, "at": desk.clock.show(int(desk.edges[cutoff]))}
    noted |= {name: fit[name] for name in ("key", "digest", "rows")}
    noted["data"] = next((fact.body["data"] for fact in reversed(life.facts) if fact.kind == "observed"), "")
    body = desk.registrar.champion(desk.app, str(live), noted, desk.store.payload(fit["key"], "model"))
    shadow = _shadow(life)
    if shadow is None:
        if _told(life)[1]:
            desk.registrar.no_challenger(desk.app)
        return body | {"key": fit["key"], "challenger": ""}
    held = desk.store.get(shadow["key"], "model")
    if held is None:
        raise StoreError(f"store: the challenger {shadow['shadow']} is missing or damaged in {desk.store.root}.")
    noted |= {"vintage": shadow["vintage"], "name": shadow["name"], "key": shadow["key"], "digest": held["digest"]}
    noted["rows"] = held.get("rows")
    path = desk.store.payload(shadow["key"], "model")
    said = desk.registrar.challenger(desk.app, f"{shadow['name']} {shadow['shadow']}", noted, path)
    return body | {"key": fit["key"], "challenger": shadow["key"], "challenger_version": said["version"]}
