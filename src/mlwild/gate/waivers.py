"""Waivers: a red test that somebody answers for, in a file, signed, dated, until a day."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import blake2b
from typing import Any

from mlwild.errors import AppError
from mlwild.gate.outcome import Waived

FIELDS = ("test", "by", "on", "until", "why", "seal")
#: A waiver holds for so many days at most: it is not a way to switch a test off.
MOST_DAYS = 366


@dataclass(frozen=True)
class Waiver:
    """
    One waiver.

    Parameters
    ----------
    app, test : str
        What it is for.
    by : str
        Who signs: a name, or a name and an address.
    on, until : date
        When it was signed, and the last day that it holds.
    why : str
    seal : str
        Digest of the rest: a waiver that was changed after it was signed does not hold.

    Examples
    --------
    >>> waiver = signed("flights", "calibration", "Ada", date(2026, 1, 5), date(2026, 2, 5), "mended in March")
    >>> waiver.holds(date(2026, 2, 5)), waiver.holds(date(2026, 2, 6))
    (True, False)
    """

    app: str
    test: str
    by: str
    on: date
    until: date
    why: str
    seal: str

    def holds(self, today: date) -> bool:
        """Say whether it holds on a day."""
        return self.on <= today <= self.until

    @property
    def waived(self) -> Waived:
        """What a verdict says of it."""
        return Waived(self.by, self.on.isoformat(), self.until.isoformat(), self.why)

    def text(self) -> str:
        """Return it as TOML."""
        lines = ["[[waiver]]", *(f"{name} = {_quoted(getattr(self, name))}" for name in ("test", "by"))]
        lines += [f"on = {self.on.isoformat()}", f"until = {self.until.isoformat()}"]
        return "\n".join([*lines, f"why = {_quoted(self.why)}", f"seal = {_quoted(self.seal)}", ""])


def signed(app: str, test: str, by: str, on: date, until: date, why: str) -> Waiver:
    """
    Return a sealed waiver.

    Raises
    ------
    AppError
        If nobody signs it, it gives no reason, or it holds for longer than a year.
    """
    for name, value in (("by", by), ("why", why), ("test", test)):
        if not value.strip():
            raise AppError(f"waiver.{name}: is empty. A waiver says who answers for what, and why.")
    if until < on:
        raise AppError(f"waiver.until: {until} is before {on}, the day it is signed.")
    if (until - on).days > MOST_DAYS:
        raise AppError(f"waiver.until: {until} is more than a year after {on}. Give a day by which the test is mended.")
    return Waiver(app, test, by, on, until, why, _seal(app, test, by, on, until, why))


def _seal(app: str, test: str, by: str, on: date, until: date, why: str) -> str:
    said = repr((app, test, by, on.isoformat(), until.isoformat(), why))
    return blake2b(said.encode(), digest_size=8).hexdigest()


def _quoted(text: str) -> str:
    """Return a TOML string."""
    # JSON escapes what TOML does, but for the one control sign above the letters.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def read_waivers(text: str, app: str, where: str) -> list[Waiver]:
    """
    Return the waivers of a file.

    Parameters
    ----------
    text : str
        TOML.
    app : str
        Name of the app that the file is for.
    where : str
        Name of the file, for the errors.

    Raises
    ------
    AppError
        If it is no TOML, a field is missing, strange or of the wrong kind, or a seal does not fit.

    Examples
    --------
    >>> text = signed("flights", "calibration", "Ada", date(2026, 1, 5), date(2026, 2, 5), "mended in March").text()
    >>> read_waivers(text, "flights", "flights.waivers.toml")[0].by
    'Ada'
    >>> read_waivers(text.replace("2026-02-05", "2026-12-05"), "flights", "flights.waivers.toml")
    Traceback (most recent call last):
    ...
    mlwild.errors.AppError: flights.waivers.toml: waiver 1 (calibration) was changed after it was signed. Sign ...
    """
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise AppError(f"{where}: is no TOML: {problem}.") from problem
    strange = [name for name in given if name != "waiver"]
    if strange or not isinstance(given.get("waiver", []), list):
        raise AppError(f"{where}: holds {strange[0] if strange else 'waiver'!r}; it holds [[waiver]] tables only.")
    return [_read(one, place, app, where) for place, one in enumerate(given.get("waiver", []), start=1)]


def _read(one: dict[str, Any], place: int, app: str, where: str) -> Waiver:
    if not isinstance(one, dict):
        raise AppError(f"{where}: waiver {place} is {one!r}, no [[waiver]] table. Write it with mlwild waive.")
    for name in FIELDS:
        if name not in one:
            raise AppError(f"{where}: waiver {place} has no {name!r}. Write it with mlwild waive.")
        kind = date if name in ("on", "until") else str
        if type(one[name]) is not kind:  # a datetime is a date, and no day
            raise AppError(f"{where}: {name!r} of waiver {place} is {one[name]!r}, not a {kind.__name__}.")
    strange = [name for name in one if name not in FIELDS]
    if strange:
        raise AppError(f"{where}: waiver {place} has a strange field {strange[0]!r}.")
    test, by, on, until, why, seal = (one[name] for name in FIELDS)
    made = signed(app, test, by, on, until, why)
    if made.seal != seal:
        raise AppError(
            f"{where}: waiver {place} ({test}) was changed after it was signed. Sign it again with mlwild waive."
        )
    return made


def in_force(waivers: Sequence[Waiver], today: date) -> dict[str, Waived]:
    """Return those that hold today, by test; of several for one test the one that holds longest."""
    held = sorted((one for one in waivers if one.holds(today)), key=lambda one: one.until)
    return {one.test: one.waived for one in held}
