"""What a drill of a running server found, as plain figures."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import isnan
from typing import Any


@dataclass(frozen=True)
class ServedCell:
    """
    What a running server made of one fault.

    Parameters
    ----------
    fault, what : str
        Its name, and what is done.
    asked : int
        Requests that could be answered, those of the recovery among them.
    answered : int
        Those answered by 200, each row with a status and a finite value, or refused with a cause.
    turned : int
        Those turned away by 429 or 503 with Retry-After.
    away : int
        Those that found no server, where the fault is that there is none.
    silent : int
        All others: another code, a row without a status, a broken line, or no answer at all.
    rows : dict of str to int
        Rows by status.
    causes : dict of str to int
        Requests by what they name as the cause, of rows that are normal without a fault.
    slowest : float
        Milliseconds of the slowest answer, as the client saw it.
    late : int
        Answers that came later than the deadline and a tenth of a second for the wire and the log.
    detected : float
        Seconds from the fault to the first answer that shows it; NaN where none does.
    recovered : float
        Seconds from the end of the fault until answers are as before and all workers are up; NaN where they never were.
    lost, doubled : int
        Acknowledged requests that the log does not hold as they were answered, or holds more than once.
    wrong, unsound : int
        Requests of nonsense, and those of them that were not refused in a sentence.
    memory : tuple of (float, float)
        Megabytes of the front process, before and after.
    """

    fault: str
    what: str
    asked: int
    answered: int
    turned: int
    away: int
    silent: int
    rows: dict[str, int]
    causes: dict[str, int]
    slowest: float
    late: int
    detected: float
    recovered: float
    lost: int
    doubled: int
    wrong: int
    unsound: int
    memory: tuple[float, float]

    @property
    def available(self) -> float:
        """Share of the requests that were answered; NaN where nothing was asked."""
        return self.answered / self.asked if self.asked else float("nan")

    @property
    def fails(self) -> tuple[str, ...]:
        """What no fault may bring about, in words."""
        found = (
            (self.lost, "acknowledged and not in the log"),
            (self.doubled, "twice in the log"),
            (self.silent, "without an answer that has a status"),
            (self.unsound, "of nonsense not refused in a sentence"),
        )
        said = [f"{n} {what}" for n, what in found if n]
        return tuple(said + ["not back as before"] * isnan(self.recovered))

    @property
    def badness(self) -> tuple[float, ...]:
        """What cells are ordered by."""
        rows = max(sum(self.rows.values()), 1)
        asked = max(self.asked, 1)
        return (
            self.lost + self.doubled,
            self.silent + self.unsound,
            isnan(self.recovered),
            1 - (self.answered + self.turned) / asked,
            self.late / asked,
            1 - self.answered / asked,
            1 - self.rows.get("normal", 0) / rows,
            0.0 if isnan(self.recovered) else self.recovered,
        )


@dataclass(frozen=True)
class ServedDrill:
    """
    What a drill of a running server found.

    Parameters
    ----------
    app, vintage : str
    deadline : float
        Seconds that a row may wait for the model.
    seconds : float
        That each fault lasted.
    cells : tuple of ServedCell
        The worst first.
    clean : ServedCell
        The same without a fault.
    clients : int
    skipped : tuple of str
        Faults that the app gives no hold for.
    notes : tuple of str
        What it does not cover.
    """

    app: str
    vintage: str
    deadline: float
    seconds: float
    cells: tuple[ServedCell, ...]
    clean: ServedCell
    clients: int
    skipped: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def failed(self) -> tuple[str, ...]:
        """Faults that brought about what none may."""
        return tuple(f"{cell.fault}: {', '.join(cell.fails)}" for cell in (self.clean, *self.cells) if cell.fails)

    def as_dict(self) -> dict[str, Any]:
        """Return the whole as plain data; what is not known is None."""
        body = asdict(self)
        body["clean"] = _plain(self.clean)
        body["cells"] = [_plain(cell) for cell in self.cells]
        return body | {"failed": list(self.failed), "skipped": list(self.skipped), "notes": list(self.notes)}


def _plain(cell: ServedCell) -> dict[str, Any]:
    body = asdict(cell) | {"available": cell.available, "fails": list(cell.fails), "memory": list(cell.memory)}
    return {key: None if isinstance(one, float) and isnan(one) else one for key, one in body.items()}
