"""What runs beside the champion, as the ledger tells it: in shadow, or as a canary that answers a share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlwild.errors import AppError
from mlwild.ledger import Fact
from mlwild.operating.lived import Lived, vintage_of

#: The greatest share of the requests that a challenger may answer: beyond it, it is the champion.
MOST = 0.5
#: How a challenger runs.
CHAMPION, CANARY, SHADOW = "champion", "canary", "shadow"
#: Its rows and reports are kept under the app's name with this: those of the champion stay as they are.
SUFFIX = "--beside"
#: Facts that may say which artefact runs beside the champion.
_TELL = ("challenged", "shared", "shadowed")


@dataclass(frozen=True)
class Beside:
    """
    An artefact that runs beside the champion.

    Parameters
    ----------
    name : str
        The challenger: a model of the app, or the stem of another app file.
    live : str
        Its vintage.
    since : str
        When it began; the same however its share is changed.
    share : float
        Of the requests that it answers; 0 in shadow.
    key, digest : str
        Of the artefact.
    file : str
        Its app file, relative to the app's root; empty for another model of the app.
    """

    name: str
    live: str
    since: str
    share: float
    key: str
    digest: str
    file: str

    @property
    def arm(self) -> str:
        """``canary`` or ``shadow``."""
        return CANARY if self.share else SHADOW

    def entry(self) -> dict[str, Any]:
        """Return what a server is told of it."""
        told: dict[str, Any] = {"key": self.key, "digest": self.digest, "name": f"{self.name} {self.live}"}
        told |= {"live": self.live, "since": self.since}
        told |= {"file": self.file} if self.file else {"model": self.name}
        return told | ({"share": self.share} if self.share else {})


def beside(life: Lived) -> Beside | None:
    """
    Return what runs beside the champion; None where nothing does.

    Nothing does once a challenge is ended or settled, since no tick scores it any more; where the artefact was lost;
    and after a rollback until the next tick: the challenger there is learned when another champion did.
    """
    begun = trial_of(life)
    if begun is None or settled(life, begun):
        return None
    told = told_last(life, begun)
    if not told.get("key") or "digest" not in told:
        return None
    if not life.path or vintage_of(told["vintage"]).cutoff != life.path[-1].cutoff:
        return None
    return Beside(
        name=str(begun.body["name"]),
        live=str(told["shadow"]),
        since=str(begun.body["at"]),
        share=0.0 if told.get("refused") else share_of(life),
        key=str(told["key"]),
        digest=str(told["digest"]),
        file=str(begun.body["file"]),
    )


def trial_of(life: Lived) -> Fact | None:
    """Return the challenge that runs; None where there is none."""
    last = next((fact for fact in reversed(life.facts) if fact.kind in ("challenged", "unchallenged")), None)
    return last if last is not None and last.kind == "challenged" else None


def facts_since(life: Lived, challenge: Fact) -> tuple[Fact, ...]:
    """Return the facts from the beginning of a challenge on."""
    place = next(place for place, fact in enumerate(life.facts) if fact is challenge)
    return life.facts[place:]


def shadowed_since(life: Lived, challenge: Fact) -> list[Fact]:
    """Return what ticks said of a challenge so far."""
    return [fact for fact in facts_since(life, challenge) if fact.kind == "shadowed"]


def settled(life: Lived, challenge: Fact) -> bool:
    """Say whether a challenge is settled: then no tick scores it any more."""
    return any(fact.body["over"] for fact in shadowed_since(life, challenge))


def share_of(life: Lived) -> float:
    """Return the share of the requests that a person wants the challenger to answer; 0 for none."""
    begun = trial_of(life)
    if begun is None:
        return 0.0
    told = [fact.body for fact in facts_since(life, begun) if fact.kind in ("challenged", "shared")]
    return float(told[-1].get("share", 0.0))


def told_of(life: Lived, challenge: Fact) -> list[Fact]:
    """Return the facts that tell of the challenger's artefacts, oldest first; those with no key tell that none is."""
    return [fact for fact in facts_since(life, challenge) if fact.kind in _TELL and "key" in fact.body]


def told_last(life: Lived, challenge: Fact) -> Mapping[str, Any]:
    """Return what the newest of them says; empty where there is none."""
    return next((fact.body for fact in reversed(told_of(life, challenge))), {})


def answered(told: Sequence[Fact]) -> set[str]:
    """Return the keys of the artefacts that have answered requests, as facts tell: the gate has let them pass."""
    bodies = (fact.body for fact in told)
    return {str(body["key"]) for body in bodies if body["key"] and body.get("share") and not body.get("refused")}


def trouble(life: Lived) -> str:
    """Say why a canary that should answer does not, though nobody took it out; empty where all is well."""
    begun = trial_of(life)
    if begun is None or not share_of(life):
        return ""
    return str(told_last(life, begun).get("alarm", ""))


def percent(share: float) -> str:
    """
    Write a share.

    Examples
    --------
    >>> percent(0.1), percent(0.005)
    ('10%', '0.5%')
    """
    return f"{100 * share:.3g}%"


def checked_share(share: float) -> float:
    """
    Return a share that a challenger may answer.

    Raises
    ------
    AppError
        If it is below 0 or above a half.
    """
    if not 0 <= share <= MOST:
        raise AppError(
            f"share: {share:g} is not between 0 and {MOST:g}. Write 0.1 for a tenth of the requests, 0 for none; what "
            "is to answer more than half is to be put in place, with mlwild deploy."
        )
    return float(share)
