"""What is to answer: the file that ticks leave beside the ledger, read and checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from mlwild.errors import AppError, StoreError
from mlwild.operating.beside import CANARY, CHAMPION, SHADOW
from mlwild.operating.publishing import FILE


@dataclass(frozen=True)
class Live:
    """
    What is live, as the file says.

    Parameters
    ----------
    body : mapping
        All that the file holds.
    """

    body: Mapping[str, Any]

    @property
    def arms(self) -> tuple[str, ...]:
        """Who takes part."""
        return (CHAMPION, *(name for name in (CANARY, SHADOW) if isinstance(self.body.get(name), dict)))

    def of(self, arm: str) -> Mapping[str, Any]:
        """Return what the file says of one of them alone."""
        if arm == CHAMPION:
            return {name: said for name, said in self.body.items() if name not in (CANARY, SHADOW)}
        return dict(self.body[arm])

    def vintage(self, arm: str) -> str:
        """Return what an answer of one of them is signed with."""
        said = self.of(arm)
        if arm == CHAMPION:
            return str(said["live"])
        return str(said.get("name") or said.get("live") or str(said.get("key", ""))[:8])

    @property
    def share(self) -> float:
        """Share of the requests that the canary answers."""
        return float(self.of(CANARY)["share"]) if CANARY in self.arms else 0.0

    def goes_to_canary(self, name: str) -> bool:
        """
        Say whether an event is answered by the canary: always the same for the same event and the same canary.

        Examples
        --------
        >>> half = Live({"live": "3", "canary": {"share": 0.5, "since": "2026-01-01"}})
        >>> half.goes_to_canary("a"), round(sum(half.goes_to_canary(str(n)) for n in range(4000)) / 4000, 1)
        (False, 0.5)
        """
        salt = str(self.of(CANARY).get("since", ""))
        drawn = int.from_bytes(blake2b(f"{salt}\0{name}".encode(), digest_size=8).digest(), "big")
        return drawn < self.share * 2**64


def read_live(folder: Path) -> Live:
    """
    Read what is live from the folder of an app in operation.

    Raises
    ------
    AppError
        If the app is not in operation.
    StoreError
        If the file is damaged.
    """
    path = folder / FILE
    try:
        said = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise AppError(
            f"app: {folder.name!r} is not in operation in {folder.parent.parent}: nothing is live. Begin with "
            "mlwild deploy or mlwild operate."
        ) from None
    except (OSError, ValueError) as problem:
        raise StoreError(f"store: {path} cannot be read. mlwild operate writes it again.") from problem
    return checked(said, path)


def checked(said: Any, path: Path) -> Live:
    """Return what a file says, if it is what a tick writes."""
    sound = isinstance(said, dict) and isinstance(said.get("live"), str) and isinstance(said.get("vintage"), dict)
    for arm in (CANARY, SHADOW):
        if sound and said.get(arm) is not None:
            one = said[arm]
            sound = isinstance(one, dict) and isinstance(one.get("key"), str) and isinstance(one.get("digest"), str)
            if arm == CANARY and sound:
                share = one.get("share")
                sound = isinstance(share, int | float) and not isinstance(share, bool) and 0 <= share <= 1
    if not sound:
        raise StoreError(f"store: {path} does not say what is live. mlwild operate writes it again.")
    return Live(said)
