"""What a scheduler has to know of an app."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from mlwild.app import App
from mlwild.clock import Duration
from mlwild.errors import AppError
from mlwild.triangle.store import STORE

_DAY, _HOUR, _MINUTE = 86_400_000_000_000, 3_600_000_000_000, 60_000_000_000


@dataclass(frozen=True)
class Plan:
    """
    How often an app is to be looked after, and by which command.

    Parameters
    ----------
    name : str
        Of the app.
    folder : Path
        Where its file lies.
    file : str
    schedule : str
        Five fields of a crontab.
    python : str
        The interpreter that has ML-wild.
    since : date
        Day of the export.
    store : str
        Folder that keeps what was fitted; a relative one lies beside the app.
    """

    name: str
    folder: Path
    file: str
    schedule: str
    python: str
    since: date
    store: str = STORE

    def command(self, verb: str, *words: str) -> str:
        """Return a shell command that does one verb of `mlwild` in the app's folder."""
        kept = [] if self.store == STORE else ["--store", self.store]
        called = shlex.join([self.python, "-m", "mlwild.cli", verb, *words, *kept])
        return f"cd {shlex.quote(str(self.folder))} && {called}"


def plan_of(app: App, file: Path, since: date, store: str = STORE) -> Plan:
    """
    Return the plan of an app.

    It is looked after more often than it decides: a look with nothing due does nothing, and data that come late are
    found sooner.

    Parameters
    ----------
    app : App
    file : Path
    since : date
    store : str
    """
    path = file.resolve()
    for field, said in (("app", str(path)), ("store", store)):
        if "\n" in said:
            raise AppError(f"{field}: the path {said!r} has a line break, which no schedule can hold. Rename it.")
    return Plan(app.name, path.parent, path.name, schedule_of(app.every_), sys.executable, since, store)


def schedule_of(every: Duration) -> str:
    """
    Return how often to look, as the five fields of a crontab.

    Examples
    --------
    >>> [schedule_of(Duration.parse(every)) for every in ("7D", "6h", "90min", "15min", "10s", 500)]
    ['17 5 * * *', '17 * * * *', '17 * * * *', '*/7 * * * *', '* * * * *', '17 5 * * *']
    """
    if every.unit == "tick" or every.exact >= _DAY:
        return "17 5 * * *"  # not at midnight or a full hour, when everybody else begins
    if every.exact >= _HOUR:
        return "17 * * * *"
    minutes = max(every.exact // _MINUTE // 2, 1)
    return "* * * * *" if minutes == 1 else f"*/{minutes} * * * *"
