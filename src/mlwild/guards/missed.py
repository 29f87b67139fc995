"""Who answers where a feature cannot be used, and what that costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mlwild.guards.stages import Gone, Stage

#: Stages that may answer, by their place, each with what it loses.
Order = list[tuple[int, Gone]]


@dataclass(frozen=True)
class Missed:
    """
    What it costs if a feature cannot be used.

    Parameters
    ----------
    feature : str
    loss : float
        Mean loss then, of the stage that answers.
    stage : str
        Who answers.
    fill : str
        What stands in its place, one of `mlwild.guards.filling.FILLS`; empty where the stage reads no feature.
    """

    feature: str
    loss: float
    stage: str
    fill: str


def ranked(known: Sequence[tuple[int, Gone]], last: Stage) -> Order:
    """
    Return the stages that give an answer, the best first.

    What was worse than the last one, the constant, in any stretch comes after it; equals stay in the chain's order.
    """
    able = [one for one in known if math.isfinite(one[1].loss)]
    return sorted(able, key=lambda one: (one[1].excess(last) > 0, one[1].loss))


def missed(stages: Sequence[Stage], names: Sequence[str]) -> list[Missed]:
    """
    Return what it costs to do without each feature alone, the dearest first.

    Parameters
    ----------
    stages : sequence of Stage
        The chain, the constant last.
    names : sequence of str
        Features.

    Examples
    --------
    >>> model = Stage("model", "1", 1.0, 100, {"a": Gone(1.5, "usual"), "b": Gone(3.0), "c": Gone(1.0)})
    >>> for one in missed([model, Stage("constant", "", 2.0, 100, blind=True)], "abc"):
    ...     print(one.feature, one.loss, one.stage, one.fill)
    b 2.0 constant
    a 1.5 model usual
    c 1.0 model missing
    """
    found = []
    for name in names:
        known = [(place, stage.whole if stage.blind else stage.gone[name]) for place, stage in enumerate(stages)]
        place, gone = ranked(known, stages[-1])[0]
        found.append(Missed(name, gone.loss, stages[place].name, "" if stages[place].blind else gone.fill))
    return sorted(found, key=lambda one: -one.loss)
