"""A table of past experiments: read, linted, grouped by configuration, made ready to compare."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.comparisons.agents import UNLIKE, unlike_sizes
from mlwild.comparisons.answer import listed
from mlwild.comparisons.given import Folds, Given, Losses, Runs
from mlwild.comparisons.lint import CHOSEN, lint
from mlwild.comparisons.read_table import Columns, as_number, filled, read_columns
from mlwild.comparisons.schema import Schema, infer, unfinished
from mlwild.errors import AppError, DataError
from mlwild.jsonable import plain
from mlwild.wording import count

Floats = NDArray[np.float64]

#: From so many shared seeds or tasks on, pairs are worth more than the freedom that they cost.
PAIRED = 8
#: Splits, the best to compare on first.
SPLITS = ("test", "holdout", "eval", "valid", "validation", "val", "dev")
#: Those of rows that are to be reported on, and those of rows that are there to choose by.
REPORTED, CHOOSING = SPLITS[:2], SPLITS[3:]


@dataclass(frozen=True)
class Experiments:
    """
    Past experiments, ready to be compared.

    Parameters
    ----------
    schema : Schema
        What each column was taken for.
    given : Runs, Folds or Losses
        By configuration.
    findings : tuple of str
        What is missing in the table or makes it misleading, in sentences.
    said : str
        What was compared, in a line.
    rows : int
        Rows that were compared.
    """

    schema: Schema
    given: Given
    findings: tuple[str, ...]
    said: str
    rows: int

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON gets besides the comparison."""
        return {"schema": plain(asdict(self.schema)), "findings": list(self.findings), "rows": self.rows}


def read_experiments(
    given: str | Path | Any,
    *,
    metric: str | None = None,
    better: str | None = None,
    by: Sequence[str] | None = None,
    seed: str | None = None,
) -> Experiments:
    """
    Read a table of past experiments, one row a run.

    Parameters
    ----------
    given : path or frame
        CSV, TSV, XLSX (with openpyxl) or Parquet, or any frame.
    metric : str, optional
        The column to compare by; default one named like a metric, of test rows if it says so.
    better : {"greater", "lower"}, optional
        Default by the metric's name.
    by : sequence of str, optional
        Columns that say what was tried; default all that are nothing else.
    seed : str, optional
        The column of seeds.

    Returns
    -------
    Experiments

    Raises
    ------
    AppError, DataError
        With the column and the row.

    Examples
    --------
    >>> import pyarrow as pa
    >>> rows = {"model": ["a", "a", "b", "b"], "seed": [0, 1, 0, 1], "accuracy": [0.8, 0.82, 0.9, 0.91]}
    >>> found = read_experiments(pa.table(rows))
    >>> found.schema.metric, sorted(found.given.scores)
    ('accuracy', ['a', 'b'])
    """
    columns, where = read_columns(given)
    schema = infer(columns, metric=metric, better=better, by=by, seed=seed)
    findings: list[str] = []
    at = list(range(2, len(columns[schema.metric]) + 2))  # the row of the sheet, under its header
    for keep in (_once, _finished, _one_split, _last_of_each):
        kept = keep(columns, schema, findings)
        columns, at = _rows(columns, kept), [at[row] for row in kept]
    scores = _scores(columns, schema, where, at)
    names = configurations(columns, schema)
    if len(set(names)) < 2:
        raise AppError(
            f"--by: there is one configuration only, {names[0]!r}, by {listed(schema.configuration)}: nothing to "
            "compare. Name other columns."
        )
    _no_doubles(columns, schema, names, scores, at)
    made, unit = _grouped(columns, schema, names, scores, findings)
    said = (
        f"{count(len(scores))} runs of {count(len(set(names)))} configurations by {', '.join(schema.configuration)}; "
        f"{schema.metric}, {schema.better} is better; {unit}."
    )
    return Experiments(schema, made, (*findings, *lint(columns, schema, names, scores)), said, len(scores))


def configurations(columns: Mapping[str, Sequence[Any]], schema: Schema) -> list[str]:
    """
    Return the configuration of each row, with the columns that differ at all.

    Examples
    --------
    >>> schema = Schema("acc", "greater", ("model", "lr"))
    >>> configurations({"model": ["a", "b"], "lr": ["0.1", "0.1"]}, schema)
    ['a', 'b']
    """
    telling = [name for name in schema.configuration if len({str(cell) for cell in columns[name]}) > 1]
    telling = telling or list(schema.configuration[:1])
    first = columns[telling[0]]
    if len(telling) == 1 and not all(as_number(cell) is not None for cell in first):
        return [str(cell) for cell in first]
    made = []
    for cells in zip(*(columns[name] for name in telling), strict=True):
        parts = []
        for name, cell in zip(telling, cells, strict=True):
            words = as_number(cell) is None and name == telling[0]
            parts.append(str(cell) if words else f"{name}={cell if filled(cell) else '-'}")
        made.append(" ".join(parts))
    return made


def _once(columns: Columns, _: Schema, findings: list[str]) -> list[int]:
    """Leave rows out that repeat another one cell by cell; like the next two, returns the rows to keep."""
    seen: dict[tuple[str, ...], int] = {}
    kept, twice = [], []
    for row, cells in enumerate(zip(*columns.values(), strict=True)):
        key = tuple(str(cell) for cell in cells)
        if key in seen:
            twice.append((seen[key], row))
        else:
            seen[key] = row
            kept.append(row)
    if not twice:
        return kept
    a, b = twice[0]
    findings.append(
        f"{count(len(twice))} row{'s repeat' if len(twice) > 1 else ' repeats'} another one in every cell (the first: "
        f"row {b + 2} repeats row {a + 2}); each is counted once."
    )
    return kept


def _finished(columns: Columns, schema: Schema, findings: list[str]) -> list[int]:
    """Leave runs out that did not end well: the score of one that broke off is not what it would have reached."""
    every = range(len(columns[schema.metric]))
    if schema.status is None:
        return list(every)
    kept = [row for row in every if not unfinished(columns[schema.status][row])]
    words = listed(list(dict.fromkeys(str(columns[schema.status][row]) for row in every if row not in set(kept))))
    many = len(every) - len(kept)
    if not kept:
        raise DataError(
            f"experiments: no run ended well by column {schema.status!r} ({words}). Leave it out, or mend it."
        )
    findings.append(
        f"{count(many)} run{'s' if many > 1 else ''} did not end well ({schema.status!r}: {words}) and "
        f"{'are' if many > 1 else 'is'} left out: the latest run is not the latest good one, and a configuration that "
        "fails often is flattered."
    )
    return kept


def _rows(columns: Columns, kept: Sequence[int]) -> Columns:
    return {name: [cells[row] for row in kept] for name, cells in columns.items()}


def _one_split(columns: Columns, schema: Schema, findings: list[str]) -> list[int]:
    """Keep the rows of one split: scores of training and of test rows are not compared."""
    if schema.split is None:
        return list(range(len(columns[schema.metric])))
    cells = [str(cell).lower() for cell in columns[schema.split]]
    kinds = list(dict.fromkeys(cells))
    best = next((kind for kind in SPLITS if kind in kinds), None)
    if len(kinds) < 2 or best is None:
        return list(range(len(cells)))
    others = listed([kind for kind in kinds if kind != best], most=5)
    findings.append(f"Compared on the split {best!r} alone; rows of {others} are left out.")
    spare = next((kind for kind in CHOOSING if kind in kinds), None)
    if best in REPORTED and spare is not None:
        findings.append(CHOSEN.format(by=best, spare=spare))
    return [row for row, cell in enumerate(cells) if cell == best]


def _last_of_each(columns: Columns, schema: Schema, findings: list[str]) -> list[int]:
    """Keep the last epoch of each run."""
    if schema.step is None:
        return list(range(len(columns[schema.metric])))
    names = configurations(columns, schema)
    at: dict[tuple[str, ...], int] = {}
    steps = [as_number(cell) for cell in columns[schema.step]]
    for row, key in enumerate(_keys(columns, schema, names)):
        here, there = steps[row], steps[at[key]] if key in at else None
        if key not in at or (here is not None and (there is None or here > there)):
            at[key] = row
    if len(at) == len(names):
        return list(range(len(names)))
    findings.append(f"There are several rows a run by {schema.step!r}: the last one of each is compared, not the best.")
    return sorted(at.values())


def _keys(columns: Columns, schema: Schema, names: Sequence[str]) -> list[tuple[str, ...]]:
    """Return what should name each row: configuration, seed, data, fold, split and task."""
    fields = (schema.seed, schema.data, schema.fold, schema.split, schema.task)
    parts = [[str(cell) for cell in columns[field]] for field in fields if field is not None]
    return list(zip(names, *parts, strict=True))


def _scores(columns: Columns, schema: Schema, where: str, at: Sequence[int]) -> list[float]:
    """Return the metric as numbers; text in it is refused with the row."""
    cells = columns[schema.metric]
    made = [as_number(cell) for cell in cells]
    bad = [row for row, value in enumerate(made) if value is None or not np.isfinite(value)]
    if bad:
        cell = cells[bad[0]]
        shown = repr(cell) if filled(cell) else "nothing"
        raise DataError(
            f"experiments: column {schema.metric!r} of {where} holds {shown} in row {at[bad[0]]} ({len(bad)} such "
            f"cell{'s' if len(bad) > 1 else ''}). Leave plain numbers in it; give a run that failed a score, or leave "
            "it out."
        )
    return [value for value in made if value is not None]


def _no_doubles(
    columns: Columns, schema: Schema, names: Sequence[str], scores: Sequence[float], at: Sequence[int]
) -> None:
    """Refuse two scores of what should be one run."""
    if schema.seed is None and schema.fold is None:
        return
    first: dict[tuple[str, ...], int] = {}
    for row, key in enumerate(_keys(columns, schema, names)):
        if key in first:
            other = first[key]
            what = " and ".join(f"{field} {columns[field][row]}" for field in (schema.seed, schema.fold) if field)
            raise DataError(
                f"experiments: {names[row]!r} with {what} is there twice, with {schema.metric} {scores[other]:g} and "
                f"{scores[row]:g} (rows {at[other]} and {at[row]}). Keep one, or name with --by the column that tells "
                "them apart."
            )
        first[key] = row


def _grouped(
    columns: Columns, schema: Schema, names: Sequence[str], scores: Sequence[float], findings: list[str]
) -> tuple[Given, str]:
    """Return the scores by configuration: on shared folds, tasks or seeds where there are such; and the unit."""
    sign = 1.0 if schema.better == "greater" else -1.0
    signed = sign * np.asarray(scores)
    distinct = list(dict.fromkeys(names))
    if schema.fold is not None:
        folds = _table(names, _cells(columns, schema.fold, schema.seed), signed, distinct)
        kinds = len({str(cell) for cell in columns[schema.fold]})
        if folds is not None and kinds > 1:
            return Folds(distinct, -folds, 1 / kinds), f"{count(len(folds))} folds that all of them share"
        findings.append(f"Configurations do not share all folds ({schema.fold!r}), so nothing is paired.")
    if schema.task is not None and len({str(cell) for cell in columns[schema.task]}) > 1:
        return _by_task(columns, schema, names, signed, findings)
    if schema.seed is not None:
        seeds = _table(names, _cells(columns, schema.seed), signed, distinct)
        if seeds is not None and len(seeds) >= PAIRED:
            losses = Losses(distinct, -seeds, order="independent", unit="seed")
            return losses, f"{count(len(seeds))} seeds that all of them share"
    sizes = Counter(names)
    few, most = min(sizes.values()), max(sizes.values())
    runs = {name: signed[np.array(names) == name][:, None] for name in distinct}
    return Runs(runs), f"{few} run{'s' if most > 1 else ''} each" if few == most else f"{few} to {most} runs each"


def _cells(columns: Columns, *fields: str | None) -> list[tuple[str, ...]]:
    parts = [[str(cell) for cell in columns[field]] for field in fields if field is not None]
    return list(zip(*parts, strict=True))


def _table(
    names: Sequence[str], keys: Sequence[tuple[str, ...]], scores: Floats, distinct: Sequence[str]
) -> Floats | None:
    """Return scores by key and configuration, if every configuration has the same ones once each; else None."""
    cells: dict[tuple[str, ...], dict[str, float]] = defaultdict(dict)
    for key, name, score in zip(keys, names, scores, strict=True):
        cells[key][name] = float(score)
    whole = all(len(row) == len(distinct) for row in cells.values())
    if not whole or len(cells) < 2 or len(keys) != len(cells) * len(distinct):
        return None
    return np.array([[row[name] for name in distinct] for row in cells.values()])


def _by_task(
    columns: Columns, schema: Schema, names: Sequence[str], scores: Floats, findings: list[str]
) -> tuple[Given, str]:
    """Return runs by task, or one score a task."""
    assert schema.task is not None
    tasks = [str(cell) for cell in columns[schema.task]]
    distinct, kinds = list(dict.fromkeys(names)), list(dict.fromkeys(tasks))
    cells: dict[tuple[str, str], list[float]] = defaultdict(list)
    for name, task, score in zip(names, tasks, scores, strict=True):
        cells[name, task].append(float(score))
    for name in distinct:
        missing = [task for task in kinds if (name, task) not in cells]
        if missing:
            raise DataError(
                f"experiments: {name!r} has no run on {schema.task} {missing[0]!r}. Give every configuration the same "
                "ones, or leave it out for all."
            )
    size = [float(np.median(np.abs([score for name in distinct for score in cells[name, task]]))) for task in kinds]
    if min(scores) < 0 < max(scores) or unlike_sizes(np.array(size)) >= UNLIKE:
        findings.append(
            f"Scores of one {schema.task} are much larger than those of another: each is put between 0, its worst run, "
            "and 1, its best one."
        )
        for task in kinds:
            pool = [score for name in distinct for score in cells[name, task]]
            low, wide = min(pool), (max(pool) - min(pool)) or 1.0
            for name in distinct:
                cells[name, task] = [(score - low) / wide for score in cells[name, task]]
    runs = min(len(found) for found in cells.values())
    if runs == 1:
        table = np.array([[float(np.mean(cells[name, task])) for name in distinct] for task in kinds])
        losses = Losses(distinct, -table, order="independent", unit="task")
        return losses, f"{count(len(kinds))} tasks that all of them share"
    if runs < max(len(found) for found in cells.values()):
        findings.append(f"Tasks were not run equally often: the first {runs} runs of each are compared.")
    table_of = {name: np.array([cells[name, task][:runs] for task in kinds]).T for name in distinct}
    return Runs(table_of, kinds), f"{count(len(kinds))} tasks with {runs} runs each"
