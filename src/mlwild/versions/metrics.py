"""The few numbers by which runs are compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any

#: Where they stand in the sheet of each kind of run.
PLACES: dict[str, dict[str, tuple[str, ...]]] = {
    "rehearsal": {
        "cost": ("recommended", "cost"),
        "cost_low": ("recommended", "low"),
        "cost_high": ("recommended", "high"),
        "regret": ("recommended", "regret"),
        "difficulty": ("split", "difficulty"),
        "staleness": ("split", "staleness"),
        "worst_period_loss": ("worst_period", "loss"),
        "promised_loss": ("split_audition", "promise", "estimate"),
        "promise_coverage": ("split_audition", "promise", "coverage"),
        "overfitting_probability": ("overfitting_probability",),
        "rows": ("data", "rows"),
        "fits_made": ("fits", "made"),
        "seconds": ("seconds",),
    },
    "stress": {
        "worst_loss": ("headline", "loss"),
        "worst_loss_high": ("headline", "high"),
        "expected_loss": ("expected", "loss"),
        "searched": ("searched",),
    },
    "gate": {"seconds": ("seconds",)},
    "comparison": {"n": ("n",)},
    "fit": {"rows": ("rows",), "promised_loss": ("promised", "estimate")},
}


#: Verdicts of tests, and what they are called.
VERDICTS = {"green": "pass", "red": "fail", "undecided": "underpowered", "error": "error"}


def metrics_of(kind: str, sheet: Mapping[str, Any]) -> dict[str, float]:
    """
    Return the numbers of a run by name; what is not known is left out.

    Examples
    --------
    >>> metrics_of("rehearsal", {"recommended": {"cost": 12.0, "low": None}, "data": {"rows": 7}})
    {'cost': 12.0, 'rows': 7.0}
    """
    made = {name: _at(sheet, place) for name, place in PLACES.get(kind, {}).items()}
    made |= dict(_counted(kind, sheet))
    return {name: value for name, value in made.items() if value is not None}


def _at(sheet: Mapping[str, Any], place: tuple[str, ...]) -> float | None:
    value: Any = sheet
    for key in place:
        if not isinstance(value, Mapping) or key not in value:
            return None
        value = value[key]
    return _number(value)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return None
    return float(value)


def _counted(kind: str, sheet: Mapping[str, Any]) -> Iterator[tuple[str, float | None]]:
    """Return losses of models, or scores where greater is better, and verdicts of tests."""
    if kind == "gate":
        said = [str(one["verdict"]) for one in sheet.get("tests", ())]
        yield from ((name, float(said.count(word))) for name, word in VERDICTS.items())
    for one in sheet.get("models", ()) if kind in ("rehearsal", "comparison") else ():
        if isinstance(one, Mapping) and "name" in one:
            what = "score" if one.get("better") == "greater" else "loss"
            yield f"{what} of {_plain(str(one['name']))}", _number(one.get("estimate"))


def _plain(name: str) -> str:
    """Return a name with the letters that MLflow takes."""
    return "".join(letter if letter.isalnum() or letter in "_-. :/" else "_" for letter in name)[:80]
