"""One run as it is on record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

#: What a run can be of.
KINDS = ("rehearsal", "gate", "stress", "comparison", "fit")
#: Where a run belongs: what a person tries, and what the live tick does.
SPACES = ("user", "production")


@dataclass(frozen=True)
class Run:
    """
    A run: what was done, on what, by what, and what came of it.

    Parameters
    ----------
    id : str
    app : str
    kind : str
        One of `KINDS`.
    space : str
        One of `SPACES`.
    at : str
        When it began: ISO 8601 with offset.
    seconds : float or None
        How long it took; None while it runs or if it never ended.
    status : str
        ``running``, ``finished`` or ``failed``.
    params : mapping of str to str
        Settings: rule, model, window, seed and so on.
    metrics : mapping of str to float
    commit : str
        Of the code beside the app; empty where there is no repository.
    dirty : bool
        Whether the code differed from the commit.
    data : str
        Digest of the rows.
    versions : mapping of str to int
        Of the stored tables that were read.
    environment : str
        Digest of the installed packages.
    against : str
        What it was compared with: another run's id or a name; empty if nothing.

    Examples
    --------
    >>> Run("a1", "flights", "rehearsal", "user", "2026-01-01T00:00:00+00:00", 2.0, "finished").as_dict()["kind"]
    'rehearsal'
    """

    id: str
    app: str
    kind: str
    space: str
    at: str
    seconds: float | None
    status: str
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    commit: str = ""
    dirty: bool = False
    data: str = ""
    versions: Mapping[str, int] = field(default_factory=dict)
    environment: str = ""
    against: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)
