"""What a reader of a table of experiments cannot know, in sentences."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlwild.comparisons.read_table import Columns
from mlwild.comparisons.schema import Schema
from mlwild.wording import count, number

#: From so many configurations on, the luck of the best is put in numbers.
MANY = 5

#: What is said where there are rows to choose by, and rows to report on are compared.
CHOSEN = (
    "Compared on test rows ({by!r}), though there are others to choose by ({spare!r}): what is chosen on test rows is "
    "flattered by them, and nothing is left to report."
)
_MISSING = {
    "seed": "No column names the seed: whether a score was luck of the seed cannot be looked up.",
    "data": "No column names the version of the data: runs on other data are compared as if it were the same.",
    "split": "No column names the split: whether scores are of training or of test rows cannot be told.",
}


def lint(columns: Columns, schema: Schema, names: Sequence[str], scores: Sequence[float]) -> list[str]:
    """
    Return what is missing in a table of experiments, or makes it misleading.

    Parameters
    ----------
    columns : dict of str to list
    schema : Schema
    names : sequence of str
        Configuration of each row.
    scores : sequence of float

    Examples
    --------
    >>> schema = Schema("acc", "greater", ("model",), seed="seed", data="snapshot", split="split")
    >>> columns = {"snapshot": ["v1", "v2"], "split": ["test", "test"]}
    >>> lint(columns, schema, ["a", "b"], [0.5, 0.5])[0]
    "Each configuration was run on a version of the data of its own ('snapshot'): ..."
    """
    said = []
    for kind, words in _MISSING.items():
        known = getattr(schema, kind) is not None or (kind == "split" and (schema.fold or _says_split(schema.metric)))
        if not known:
            said.append(words)
    said += _versions(columns, schema, names)
    said += _chosen_on_test(columns, schema, names)
    if len(scores) > 1 and not np.ptp(scores):
        said.append(f"Every run has the same {schema.metric!r}, {number(scores[0])}: nothing can be told by it.")
    sizes = Counter(names)
    if len(set(sizes.values())) > 1:
        (most, times), (least, few) = sizes.most_common()[0], sizes.most_common()[-1]
        said.append(f"Configurations were not run equally often: {most!r} {times} times, {least!r} {few}.")
    return said + _best_of_many(names, scores, schema)


def _says_split(metric: str) -> bool:
    from mlwild.comparisons.schema import _TEST, _flat

    return bool(_TEST.search(_flat(metric)))


def _versions(columns: Columns, schema: Schema, names: Sequence[str]) -> list[str]:
    if schema.data is None:
        return []
    of: dict[str, set[Any]] = defaultdict(set)
    for name, version in zip(names, columns[schema.data], strict=True):
        of[name].add(str(version))
    every = set().union(*of.values())
    if len(every) == 1:
        return []
    if all(len(one) == 1 for one in of.values()) and len(every) == len(of):
        return [
            (
                f"Each configuration was run on a version of the data of its own ({schema.data!r}): whether it is the "
                "configuration or the data that is better cannot be told."
            )
        ]
    return [f"Runs are on {len(every)} versions of the data ({schema.data!r}): compare within one of them."]


def _chosen_on_test(columns: Columns, schema: Schema, names: Sequence[str]) -> list[str]:
    """Say that a choice is made by the scores that are to be reported."""
    from mlwild.comparisons.schema import for_choice, for_report, measure

    splits = [] if schema.split is None else [str(cell) for cell in columns[schema.split]]
    if not (for_report(schema.metric) or (splits and all(for_report(cell) for cell in splits))):
        return []
    spare = next((name for name in columns if for_choice(name) and measure(name) == measure(schema.metric)), None)
    if spare is not None:
        return [CHOSEN.format(by=schema.metric, spare=spare)]
    if len(set(names)) < MANY:
        return []
    return [
        (
            f"{count(len(set(names)))} configurations were scored on test rows ({schema.metric!r}): the best of them "
            "is chosen on test rows, and flattered by them. Report it on rows that chose nothing."
        )
    ]


def _best_of_many(names: Sequence[str], scores: Sequence[float], schema: Schema) -> list[str]:
    """Say by how much the best of so many leads by luck alone, from the spread of runs of one configuration."""
    sizes = Counter(names)
    if len(sizes) < MANY:
        return []
    from scipy.special import ndtri

    values, name_of = np.asarray(scores, dtype=np.float64), np.asarray(names)
    within = [values[name_of == name] for name in sizes if sizes[name] > 1]
    best = float(ndtri(1 - 1 / (len(sizes) + 1)))
    if not within:
        return [
            (
                f"Best of many: {count(len(sizes))} configurations, each run once. If all were equal, the best would "
                f"lead the mean by about {number(best * float(values.std(ddof=1)), 2)} {schema.metric}, as much as "
                "these scatter."
            )
        ]
    spread = float(np.sqrt(np.mean([one.var(ddof=1) for one in within])))
    runs = float(np.mean(list(sizes.values())))
    return [
        (
            f"Best of many: if all {count(len(sizes))} configurations were equal, the best would lead the mean by "
            f"about {number(best * spread / np.sqrt(runs), 2)} {schema.metric} by luck of the seed."
        )
    ]
