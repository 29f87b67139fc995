"""Stressors that can be run: told before the work is done what one lacks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mlwild.errors import AppError
from mlwild.stressors.situation import Stressor


def checked(stressors: Sequence[Any]) -> tuple[Stressor, ...]:
    """
    Return stressors after a look at each.

    Raises
    ------
    AppError
        If one is no stressor, has no severity that is a number, or the name of another.

    Examples
    --------
    >>> from mlwild.stressors import Noise
    >>> [one.name for one in checked([Noise()])]
    ['noise']
    >>> checked([Noise(severities=())])
    Traceback (most recent call last):
    ...
    mlwild.errors.AppError: stressors: 'noise' has no severity. Give numbers, mild ones first.
    """
    names = []
    for one in stressors:
        name = getattr(one, "name", None)
        whole = (
            isinstance(name, str) and callable(getattr(one, "cases", None)) and callable(getattr(one, "apply", None))
        )
        if isinstance(one, type) or not whole:
            raise AppError(
                f"stressors: {one!r} is no stressor. Take one of mlwild.stressors, or wrap your function: "
                "Own(function, severities=(1.0, 2.0))."
            )
        severities = getattr(one, "severities", None)
        if not isinstance(severities, Sequence) or isinstance(severities, str):
            raise AppError(f"stressors: {name!r} has severities {severities!r}. Give a sequence of numbers.")
        if not len(severities):
            raise AppError(f"stressors: {name!r} has no severity. Give numbers, mild ones first.")
        for severity in severities:
            if not isinstance(severity, int | float) or not math.isfinite(severity):
                raise AppError(f"stressors: {name!r} has severity {severity!r}, which is no finite number.")
        names.append(str(name))
    doubles = sorted({name for name in names if names.count(name) > 1})
    if doubles:
        raise AppError(f"stressors: {doubles[0]!r} is there twice. Give one of them another name.")
    return tuple(stressors)
