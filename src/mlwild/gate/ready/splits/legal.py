"""No row is on both sides of a split, and the model's own splits keep the order of time."""

from __future__ import annotations

from dataclasses import dataclass

from mlwild.gate.outcome import Outcome
from mlwild.gate.ready.splits.lint import random_splits
from mlwild.gate.ready.splits.offence import Offence
from mlwild.gate.ready.splits.reach import reach
from mlwild.gate.ready.splits.rows import copies, wrong_rows
from mlwild.gate.ready.splits.sight import functions_of, in_sight
from mlwild.gate.ready.splits.validation import folds_of, held_out_at_random
from mlwild.gate.trial import Trial
from mlwild.wording import count


@dataclass(frozen=True)
class LegalSplits:
    """
    What the candidate learned from, and what it is tried on, are apart in time; and so are its own folds.

    Recomputed from the rows: none is on both sides, every label that was learned was known when the candidate was
    made, and none that it is tried on is a copy of one that it learned from. Read from the model: no parameter `cv`
    lets later rows train for earlier ones, no train function or estimator of the app's own splits at random or can see
    the app's data by itself. Whom a row is about does not count: dated rows of one entity lie in past and future.

    Parameters
    ----------
    allow : tuple of str
        Offences that are meant, by the name that the sentence gives: ``("cv",)``.
    copies : float
        Greatest share of copies.
    owner : str
        Who is to be asked.

    References
    ----------
    .. [1] Kapoor, S., & Narayanan, A. (2023). Leakage and the reproducibility crisis in machine-learning-based
       science. Patterns, 4(9), 100804: L1.1 to L3.2.

    Examples
    --------
    >>> LegalSplits(allow=("cv",)).name, LegalSplits().family
    ('legal splits', 'splits')
    """

    allow: tuple[str, ...] = ()
    copies: float = 0.005
    owner: str = ""
    name: str = "legal splits"
    family: str = "splits"

    def judge(self, trial: Trial) -> Outcome:
        """Judge the candidate's rows and recipe."""
        learned, tried = len(trial.learned), len(trial.events)
        found = [one for one in self._offences(trial) if one.name not in self.allow]
        if found:
            more = f" ({len(found)} offences in all)" if len(found) > 1 else ""
            said = f"{found[0].said}{more}; if it is meant: LegalSplits(allow=({found[0].name!r},))"
            return Outcome(
                "fail", said, n=learned + tried, parts=tuple({"name": o.name, "said": o.said} for o in found)
            )
        said = (
            f"{count(learned)} rows learned from and {count(tried)} tried on are apart, every label was known in time, "
            "no copy on both sides"
        )
        if trial.model.raw is not None:
            seen = list(reach(trial.recipe))
            own = len(functions_of(seen))
            said += f"; its {count(own)} functions see no later row and draw no random split" if own else ""
            said += "".join(f"; {remark}" for remark in dict.fromkeys(held_out_at_random(seen, learned)))
        return Outcome("pass", said, n=learned + tried)

    def _offences(self, trial: Trial) -> list[Offence]:
        made = [*wrong_rows(trial), *copies(trial, self.copies)]
        if trial.model.raw is not None:
            seen = list(reach(trial.recipe))
            made += [*in_sight(trial, seen), *folds_of(seen), *random_splits(seen)]
        return list({one.said: one for one in made}.values())
