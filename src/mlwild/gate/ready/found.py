"""What `mlwild check` finds, as tests: no feature knows the future, and the data keep their contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlwild.gate.outcome import Outcome
from mlwild.gate.trial import Finding, Trial

CONTRACT = "contract"


@dataclass(frozen=True)
class NoLeaks:
    """
    Nothing that `mlwild check` looks for is found: features are the same with the future cut off, and so on.

    A check that could not be made (too few labels) leaves the test underpowered.

    Parameters
    ----------
    owner : str
        Who is to be asked.

    References
    ----------
    .. [1] Kaufman, S., Rosset, S., Perlich, C., & Stitelman, O. (2012). Leakage in data mining: formulation,
       detection, and avoidance. ACM TKDD, 6(4), 15.

    Examples
    --------
    >>> NoLeaks().name, NoLeaks().family
    ('no leaks', 'leaks')
    """

    owner: str = ""
    name: str = "no leaks"
    family: str = "leaks"

    def judge(self, trial: Trial) -> Outcome:
        """Judge the app's features."""
        found = [one for one in trial.findings() if one.check != CONTRACT]
        return _outcome(found, f"{len(found)} checks found nothing")


@dataclass(frozen=True)
class KeepsContract:
    """
    The data are as the app's contract says: columns, types, units, ranges, sets, gaps, statistics.

    Parameters
    ----------
    owner : str
        Who is to be asked.

    References
    ----------
    .. [1] Breck, E., Polyzotis, N., Roy, S., Whang, S., & Zinkevich, M. (2019). Data validation for machine learning.
       MLSys.

    Examples
    --------
    >>> KeepsContract().name, KeepsContract().family
    ('keeps its contract', 'data')
    """

    owner: str = ""
    name: str = "keeps its contract"
    family: str = "data"

    def objection(self, trial: Trial) -> str:
        """Say why it does not apply."""
        return "" if trial.app.contract is not None else "the app has none: mlwild check --write-contract infers one"

    def judge(self, trial: Trial) -> Outcome:
        """Judge the app's data."""
        found = [one for one in trial.findings() if one.check == CONTRACT]
        return _outcome(found, found[0].said if found else "")


def _outcome(found: Sequence[Finding], said: str) -> Outcome:
    red = [one for one in found if one.verdict == "fail"]
    if red:
        more = f" ({len(red)} findings in all: see mlwild check)" if len(red) > 1 else ""
        return Outcome("fail", f"{red[0].check}: {red[0].said}{more}", n=len(found))
    blind = [one for one in found if one.verdict == "undecided"]
    if blind:
        return Outcome("underpowered", f"{blind[0].check}: {blind[0].said}", n=len(found))
    return Outcome("pass" if found else "underpowered", said or "nothing was checked", n=len(found))
