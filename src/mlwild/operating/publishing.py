"""What is live, for whoever serves: one small file that names the artefacts that answer, and their digests."""

from __future__ import annotations

import json
from typing import Any

from mlwild.disk import write_atomically
from mlwild.errors import StoreError
from mlwild.operating.beside import CANARY, SHADOW, beside
from mlwild.operating.desk import Desk
from mlwild.operating.lived import Lived, of_vintage
from mlwild.operating.rescue import unusable
from mlwild.wording import count

FILE = "live.json"


def published(desk: Desk, cutoff: int) -> dict[str, Any]:
    """Point at what is live, and return what was said of the champion: of a challenger other facts tell."""
    body = _body(desk, desk.lived(), cutoff)
    if desk.ledger.lasting:
        text = json.dumps(body, ensure_ascii=False, indent=1).encode()
        write_atomically(desk.store.root / FILE, lambda file: file.write(text), sync=True)
    return {name: body[name] for name in body if name not in ("app", CANARY, SHADOW)}


def publish_again(desk: Desk) -> None:
    """Point at what the ledger says is live, where something else is pointed at: a process may have died between."""
    life = desk.lived()
    if not desk.ledger.lasting or not life.decided or life.ticked != life.decided[-1].cutoff:
        return  # the tick that is not finished publishes
    try:
        said = json.loads((desk.store.root / FILE).read_bytes())
    except (OSError, ValueError):
        said = None
    if said != json.loads(json.dumps(_body(desk, life, life.ticked))):
        published(desk, life.ticked)


def make_again(desk: Desk) -> str:
    """
    Make the model of what is live again where it is gone or damaged and no tick is due, which would do so.

    Returns
    -------
    str
        What was made again, for a reader; empty if it was there.

    Raises
    ------
    StoreError
        If that does not give the same model.
    """
    life = desk.lived()
    if not desk.ledger.lasting or not life.decided or life.ticked != life.decided[-1].cutoff:
        return ""  # the tick that is not finished sees to it
    told = live_fit(life)
    if desk.published or not told:
        return ""
    sound = desk.store.get(key := str(told["key"]), "model") is not None
    # Of earlier ones a server may need some, for its guard and its fallback.
    gone = [one for one, of in life.artefacts.items() if of != key and not desk.store.payload(of, "model").exists()]
    if sound and not gone:
        return ""
    vintage, path = life.path[-1], desk.store.payload(key, "model")
    triangle = desk.triangle(life.ticked)
    if vintage in triangle.lost:
        raise StoreError(
            f"store: the model of vintage {vintage}, which is live, cannot be used any more: {triangle.lost[vintage]}. "
            f"Restore {path}, put an earlier one in place with mlwild rollback, or open a new life with --reopen; the "
            "next tick lets an earlier one stand in."
        )
    made = [one for one in gone if not unusable(triangle, one, life.digests)]
    for one in (key, *(life.artefacts[one] for one in made)):
        desk.store.sync(one, "model")
    said = "" if sound else f"the model of vintage {vintage}, which is live, was gone or damaged, and was made again"
    verb = "was" if len(made) == 1 else "were"
    of = f"{count(len(gone))} that {'was' if len(gone) == 1 else 'were'} gone"
    more = f"of earlier vintages {count(len(made))} {verb} made again, of {of}" if gone else ""
    return "; ".join(one for one in (said, more) if one)


def _body(desk: Desk, life: Lived, cutoff: int) -> dict[str, Any]:
    live = life.path[-1]
    body: dict[str, Any] = {"app": desk.app.name, "live": str(live), "vintage": of_vintage(live)}
    # Two ticks may read alike: less than a minute apart, or in the hour that a wall clock shows twice.
    body |= {"at": desk.clock.show(int(desk.edges[cutoff])), "cutoff": cutoff}
    if not desk.published:
        told = live_fit(life)
        body |= {name: told[name] for name in ("key", "digest") if name in told}
    return body | _beside(desk, life)


def _beside(desk: Desk, life: Lived) -> dict[str, Any]:
    """Return what runs beside it; nothing where its artefact is gone or is another: the champion answers all."""
    found = beside(life)
    if found is None:
        return {}
    held = desk.store.get(found.key, "model")
    return {found.arm: found.entry()} if held is not None and held["digest"] == found.digest else {}


def live_fit(life: Lived) -> dict[str, Any]:
    """Return which artefact is live, with its digest; empty where nothing is fitted."""
    fits = (fact.body for fact in reversed(life.facts) if fact.kind == "fitted")
    return dict(next((body for body in fits if body["live"] == str(life.path[-1])), {}))
