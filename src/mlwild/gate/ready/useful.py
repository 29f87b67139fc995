"""The model is of use: it beats what takes no learning, and is not worse than what is live."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from mlwild.gate import baselines
from mlwild.gate.baselines import Floats
from mlwild.gate.bounds import ALPHA, BETA, Bounds, judged
from mlwild.gate.held import Held
from mlwild.gate.outcome import Outcome, worst
from mlwild.gate.ready.paired import loss_difference, mean_loss, parts_of
from mlwild.gate.trial import Trial
from mlwild.wording import number


@dataclass(frozen=True)
class BeatsBaselines:
    """
    The model loses less than a constant, than the last labels known, and than those of the same hour of the week.

    Baselines know what the model could know: labels as late as they come. The model must beat every baseline over
    all rows; and in no declared group may one of them beat it for certain: a good mean hides a group in which the
    model is worse than nothing.

    Parameters
    ----------
    margin : float
        A model that is better by this share of the baseline's loss must not be blocked.
    fewest : int
        Groups with fewer rows are left out.
    owner : str

    References
    ----------
    .. [1] Hyndman, R. J., & Koehler, A. B. (2006). Another look at measures of forecast accuracy. International
       Journal of Forecasting, 22(4), 679-688.

    Examples
    --------
    >>> BeatsBaselines().name
    'beats baselines'
    """

    margin: float = 0.05
    fewest: int = 100
    owner: str = ""
    name: str = "beats baselines"
    family: str = "improvement"

    def judge(self, trial: Trial) -> Outcome:
        """Judge the candidate."""
        rows, ours = trial.events, trial.model.predictions(trial.events)
        made = baselines_of(trial)
        outcomes = [self._against(trial, rows, ours, theirs, name) for name, theirs in made.items()]
        groups = parts_of(rows, self.fewest)
        alpha = BETA / max(len(groups) * len(made), 1)
        for group, part in groups:
            at = np.searchsorted(rows.rows, part.rows)
            for name, theirs in made.items():
                found = self._against(trial, part, ours[at], theirs[at], f"{name} where {group}", alpha)
                # In a group it is red only if the baseline wins for certain, whatever the number of groups.
                outcomes.append(found if found.low > 0 else replace(found, verdict="underpowered"))
        # The numbers of a verdict are those of the baseline that comes nearest, and so is its sentence.
        nearest = max(outcomes[: len(made)], key=lambda one: -math.inf if math.isnan(one.high) else one.high)
        named = f"it loses less than {' and '.join(made)}: {nearest.said}"
        red = [one for one in outcomes[len(made) :] if one.verdict == "fail"]
        # A group that is worse for certain does not wait for the mean to have rows enough.
        if red and not any(one.verdict == "fail" for one in outcomes[: len(made)]):
            return worst(red, "group", all_said=named)
        return worst(outcomes[: len(made)], "baseline", all_said=named)

    def _against(
        self, trial: Trial, rows: Held, ours: Floats, theirs: Floats, name: str, alpha: float = ALPHA
    ) -> Outcome:
        scale = abs(mean_loss(trial.loss, rows, theirs))
        found = loss_difference(trial.loss, rows, ours, theirs, alpha)
        what = f"its loss less that of {name}"
        return judged(found, 0.0, margin=max(self.margin * scale, 1e-12), what=what, alpha=alpha, below=True)


def baselines_of(trial: Trial) -> dict[str, Floats]:
    """
    Return the predictions of each baseline for the rows on trial.

    Returns
    -------
    dict of str to ndarray of shape (n,) or (n, n_classes)
    """
    rows, ask, learned = trial.events, trial.model.ask, trial.learned
    n_classes = 0 if rows.classes is None else len(rows.classes)
    start = baselines.constant(learned.labels, learned.weight, n_classes, trial.loss, ask)
    made = {"a constant": np.repeat(start[None], len(rows), axis=0).astype(np.float64)}
    return made | baselines.recent(trial.timeline, rows, ask, start)


@dataclass(frozen=True)
class NotWorse:
    """
    The model does not lose more than the champion, paired on the same rows.

    Parameters
    ----------
    than : float
        By how much of the champion's loss it may be worse; below 0 it must be better by so much.
    margin : float
        A model that keeps this with so much of the champion's loss to spare must not be blocked.
    owner : str

    Examples
    --------
    >>> NotWorse(than=-0.01).name
    'improves on the champion'
    """

    than: float = 0.02
    margin: float = 0.02
    owner: str = ""
    family: str = "improvement"

    @property
    def name(self) -> str:
        """What it asks for."""
        return "improves on the champion" if self.than < 0 else "not worse than the champion"

    def objection(self, trial: Trial) -> str:
        """Say why it does not apply."""
        return "" if trial.champion is not None else "nothing was live before it"

    def judge(self, trial: Trial) -> Outcome:
        """Judge the candidate."""
        assert trial.champion is not None
        rows = trial.events
        ours, theirs = trial.model.predictions(rows), trial.champion.predictions(rows)
        scale = abs(mean_loss(trial.loss, rows, theirs))
        if np.array_equal(ours, theirs):
            found = Bounds(0.0, 0.0, 0.0, 0.0, len(rows), "the same predictions")
        else:
            found = loss_difference(trial.loss, rows, ours, theirs)
        what = f"its loss less that of {trial.champion.name}"
        made = judged(found, self.than * scale, margin=self.margin * scale, what=what)
        share = (
            f"; the difference is {number(100 * found.estimate / scale, 2)} % of the champion's loss" if scale else ""
        )
        return replace(made, said=made.said + share)
