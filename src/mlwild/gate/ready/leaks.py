"""No feature knows the future."""

from __future__ import annotations

from dataclasses import dataclass

from mlwild.gate.outcome import Outcome
from mlwild.gate.trial import Trial


@dataclass(frozen=True)
class NoLeaks:
    """
    Nothing that `mlwild check` looks for is found: features are the same with the future cut off, and so on.

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
        found = trial.findings()
        red = [one for one in found if one.verdict == "fail"]
        if red:
            more = f" ({len(red)} findings in all: see mlwild check)" if len(red) > 1 else ""
            return Outcome("fail", f"{red[0].check}: {red[0].said}{more}", n=len(found))
        return Outcome("pass", f"{len(found)} checks found nothing", n=len(found))
