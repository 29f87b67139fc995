"""A category that was never seen is not taken for another one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.cells import unlike
from mlwild.digest import row_hashes
from mlwild.errors import MlwildError
from mlwild.gate.held import Held
from mlwild.gate.outcome import Outcome
from mlwild.gate.ready.code.sameness import published
from mlwild.gate.ready.serving.categories import categories_of, has_gaps, unseen, with_category
from mlwild.gate.trial import Trial
from mlwild.wording import things

MISSING = "missing"
#: A known category counts as what the new one is taken for if it is at least so large a share of what was learned.
COMMON = 0.001
#: Learned rows among which the features of the new category are looked for; categories of those that are tried.
SOUGHT, TRIED = 20_000, 3


@dataclass(frozen=True)
class UnknownCategories:
    """
    A category that was never seen gets an answer, and not by way of the features of another category or of a gap.

    Into each column of categories of the app's own rows a word is put that looks like the others and is none of
    them; features are computed anew, by the service where the app declares one, and the model has to answer.
    If the features (those after the steps of a scikit-learn pipeline, where the model is one) are those of a known
    category, or of a missing value that was learned from, the model answers for something else, silently.

    Parameters
    ----------
    allowed : mapping of str to str
        What a new category of a column may be taken for: a category, or "missing".
    rows : int
        Rows that are changed.
    owner : str
        Who is to be asked.

    References
    ----------
    .. [1] Breck, E., Polyzotis, N., Roy, S., Whang, S. E., & Zinkevich, M. (2019). Data validation for machine
       learning. MLSys: unexpected string values.

    Examples
    --------
    >>> UnknownCategories(allowed={"country": "other"}).name
    'unknown categories'
    """

    allowed: Mapping[str, str] = field(default_factory=dict)
    rows: int = 50
    owner: str = ""
    name: str = "unknown categories"
    family: str = "operation"

    def objection(self, trial: Trial) -> str:
        """Say why it does not apply."""
        none = "" if next(categories_of(trial), None) else "the app's rows have no column of categories"
        return published(trial.model) or none

    def judge(self, trial: Trial) -> Outcome:
        """Judge the candidate and the features."""
        rows = trial.events.evenly(self.rows)
        used, faults = [], []
        for name, seen in categories_of(trial):
            word = unseen(seen)
            try:
                fault = self._fault(trial, rows, (name, seen, word))
            except MlwildError:
                raise
            except Exception as problem:  # noqa: BLE001  the user's features or model may raise anything on a new word
                text = " ".join(str(problem).split())[:200]
                fault = f"{name} = {word!r} is not answered: {type(problem).__name__}: {text}"
            if fault is not None:
                used.append(name)
                faults += [fault] if fault else []
        if faults:
            more = f" ({len(faults)} of {len(used)} columns)" if len(used) > 1 else ""
            return Outcome("fail", f"{faults[0]}{more}", n=len(rows), parts=tuple({"said": said} for said in faults))
        names = ", ".join(used) or "none is used by the features"
        said = f"a category never seen is answered as one in {things(len(used), 'column')}: {names}"
        return Outcome("pass", said, n=len(rows))

    def _fault(self, trial: Trial, rows: Held, what: tuple[str, Counter[str], str]) -> str | None:
        """Return what is wrong with one column; nothing if it is well, None if the features do not use it."""
        name, seen, word = what
        new = trial.changed(rows, with_category(rows.raw, name, word))
        common = [value for value, _ in seen.most_common(2)]
        # As they are, and all of one category: what moves between these is what the column makes.
        known = [
            trial.changed(rows, raw) for raw in (rows.raw, *(with_category(rows.raw, name, one) for one in common))
        ]
        if all(_alike(one.table, new.table) for one in known):
            return None
        trial.model.predict(new.features)
        tables = [_seen_by_model(trial, one) for one in (new, *known)]
        columns = [
            one
            for one in tables[0].column_names
            if any(unlike(tables[0].column(one), other.column(one)).any() for other in tables[1:])
        ]
        taken = self._taken_for(trial, rows, (name, seen, columns), tables[0])
        if not taken or self.allowed.get(name) in taken:
            return ""
        whom = "of a missing value" if taken[0] == MISSING else f"of {taken[0]!r}"
        return (
            f"{name} = {word!r}, which was never seen, silently gets the features {whom}; give it its own, or say "
            f"allowed={{{name!r}: {taken[0]!r}}}"
        )

    def _taken_for(self, trial: Trial, rows: Held, what: tuple[str, Counter[str], list[str]], made: Any) -> list[str]:
        """Return which known categories, or missing, have the features that the new one gets, the commonest first."""
        name, seen, columns = what

        def of(value: str | None) -> Any:
            return _seen_by_model(trial, trial.changed(rows, with_category(rows.raw, name, value)))

        if has_gaps(trial, name) and _alike(of(None), made):
            return [MISSING]
        learned = trial.learned.evenly(SOUGHT)
        theirs, ours = (_hashes(table.select(columns)) for table in (_seen_by_model(trial, learned), made))
        words = learned.raw[name].to_list()
        alike = Counter(
            words[place] for place in np.flatnonzero(np.isin(theirs, ours)) if isinstance(words[place], str)
        )
        common = [value for value, _ in alike.most_common() if seen[value] >= COMMON * seen.total()]
        tried = [value for place, value in enumerate(common) if place < TRIED or value == self.allowed.get(name)]
        return [value for value in tried if _alike(of(value), made)]


def _seen_by_model(trial: Trial, rows: Held) -> Any:
    """Return what reaches the estimator: the features, or what the steps of a pipeline before it make of them."""
    import pyarrow as pa

    steps = getattr(trial.model.raw, "steps", None)
    if not steps or len(steps) < 2 or not hasattr(trial.model.raw[:-1], "transform"):
        return rows.table
    made = trial.model.raw[:-1].transform(rows.features)
    dense = np.asarray(made.toarray() if hasattr(made, "toarray") else made)
    return pa.table({f"x{place}": pa.array(dense[:, place].tolist()) for place in range(dense.shape[1])})


def _alike(first: Any, second: Any) -> bool:
    if first.column_names != second.column_names:
        return False
    return not any(unlike(first.column(name), second.column(name)).any() for name in first.column_names)


def _hashes(table: Any) -> NDArray[np.uint64]:
    """Return hashes that do not depend on how a column is coded."""
    import pyarrow as pa

    plain = {}
    for name in table.column_names:
        column = table.column(name)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if pa.types.is_integer(column.type) or pa.types.is_boolean(column.type) or pa.types.is_floating(column.type):
            column = pa.chunked_array(
                [np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64) + 0.0]
            )
        plain[name] = column
    return row_hashes(pa.table(plain))
