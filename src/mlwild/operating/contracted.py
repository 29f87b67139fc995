"""The contract in operation: a tick holds what is known against it, also where nothing goes live and no gate asks."""

from __future__ import annotations

from pathlib import Path

from mlwild.checks.contract import held
from mlwild.clock import today
from mlwild.errors import DataError, MlwildError, users_place
from mlwild.gate.ready import KeepsContract
from mlwild.gate.waivers import in_force
from mlwild.gating import waivers_beside
from mlwild.operating.desk import Desk
from mlwild.triangle import Triangle


def broken(desk: Desk, cutoff: int, triangle: Triangle) -> str:
    """
    Say that the data, as they were known at a cutoff, break the app's contract: what, where, and what to do.

    Parameters
    ----------
    desk : Desk
    cutoff : int
    triangle : Triangle
        Of this cutoff: it has the features.

    Returns
    -------
    str
        Empty where they keep it, the app has none, or somebody answers for it with a waiver of the gate's test.
    """
    file = desk.app.file
    waived = in_force([] if file is None else waivers_beside(file, desk.app.name), desk.today or today())
    return "" if KeepsContract().name in waived else _said(desk, cutoff, triangle)


def because_of(desk: Desk, cutoff: int, problem: Exception) -> Exception:
    """
    Return why a triangle could not be made: the broken contract, where the app's own code raised over such data.

    Parameters
    ----------
    desk : Desk
    cutoff : int
    problem : Exception
        What was raised.

    Returns
    -------
    Exception
        The problem itself where the data keep the contract, or where it says already what is wrong with them.
    """
    said = "" if isinstance(problem, MlwildError) else _said(desk, cutoff, None)
    if not said:
        return problem
    where = users_place(problem) or "the app's code"
    return DataError(f"{said}. So {where} raised {type(problem).__name__}, and this tick is not done.")


def _said(desk: Desk, cutoff: int, triangle: Triangle | None) -> str:
    if desk.app.contract is None:
        return ""
    features = None if triangle is None else triangle.survey.features
    red = [one for one in held(desk.app, desk.known(cutoff)[0], features) if one.verdict == "fail"]
    if not red:
        return ""
    name, file = Path(desk.app.contract).name, "APP.py" if desk.app.file is None else desk.app.file.name
    more = f" ({len(red)} findings in all: mlwild check {file})" if len(red) > 1 else ""
    return f"the data break {name}: {red[0].said.removesuffix('.')}{more}"


__all__ = ["because_of", "broken"]
