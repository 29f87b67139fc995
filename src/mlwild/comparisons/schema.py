"""What the columns of a table of experiments are: what was tried, seed, data, split, task or metric."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlwild.comparisons.answer import listed
from mlwild.comparisons.read_table import as_number, filled
from mlwild.errors import AppError

#: Words by which columns are known; a word is what stands between capitals, spaces and signs.
WORDS = {
    "seed": "seed seeds random_state rng repeat repetition replicate",
    "data": "data_version data_hash data_digest data_snapshot dataset_version dataset_hash snapshot vintage",
    "fold": "fold folds cv_fold",
    "split": "split partition subset holdout eval_set",
    "task": "task tasks game env environment dataset problem benchmark",
    "step": "epoch step iteration iter global_step round",
    "aside": (
        "id uuid run run_id run_name name date time timestamp created created_at started started_at finished duration "
        "runtime seconds minutes comment comments note notes url commit sha host hostname user status gpu memory"
    ),
    "greater": (
        "acc accuracy auc auroc roc auprc f1 f1_score precision recall r2 map ap ndcg return returns reward score "
        "sharpe iou bleu rouge hit_rate mcc kappa gini lift sensitivity specificity"
    ),
    "lower": (
        "loss error err rmse mse mae mape smape log_loss logloss nll brier perplexity ppl wer cer deviance pinball "
        "regret"
    ),
}
#: A column of these names says how runs ended where it holds one of these words; else it may be a country's state.
ENDED = ("status", "state", "exit_status", "run_status", "run_state")
UNFINISHED = (
    "failed", "failure", "fail", "error", "crashed", "crash", "killed", "aborted", "canceled", "cancelled",
    "interrupted", "preempted", "timeout", "timed out", "diverged", "running", "pending", "queued", "scheduled",
    "incomplete",
)  # fmt: skip
_PATTERNS = {kind: re.compile(rf"(^|_)({'|'.join(words.split())})($|_)") for kind, words in WORDS.items()}
_TEST = re.compile(r"(^|_)(test|holdout|val|valid|validation|eval|dev)($|_)")


@dataclass(frozen=True)
class Schema:
    """
    What each column of a table of experiments is.

    Parameters
    ----------
    metric : str
    better : {"greater", "lower"}
    configuration : tuple of str
        Columns that say what was tried.
    seed, data, fold, split, task, step, status : str or None
        Columns of the seed, the version of the data, the fold, the part of the data that was scored, the
        task, the epoch, and how the run ended.
    """

    metric: str
    better: str
    configuration: tuple[str, ...]
    seed: str | None = None
    data: str | None = None
    fold: str | None = None
    split: str | None = None
    task: str | None = None
    step: str | None = None
    status: str | None = None


def _flat(name: str) -> str:
    spaced = re.sub(r"([a-z])([A-Z])", r"\1_\2", name.strip())
    return re.sub(r"[^0-9a-z]+", "_", spaced.lower())


def _is(kind: str, name: str) -> bool:
    return bool(_PATTERNS[kind].search(_flat(name)))


def for_report(name: str) -> bool:
    """Return whether a metric or a split is, by its name, of rows to report on."""
    return bool(re.search(r"(^|_)(test|holdout)($|_)", _flat(name)))


def for_choice(name: str) -> bool:
    """Return whether a metric or a split is, by its name, of rows to choose by."""
    return bool(re.search(r"(^|_)(val|valid|validation|dev|cv)($|_)", _flat(name)))


def measure(name: str) -> str:
    """
    Return what a metric measures, without the rows that it is of.

    Examples
    --------
    >>> measure("test_log_loss") == measure("valid log-loss")
    True
    """
    return re.sub(r"(^|_)(test|holdout|val|valid|validation|dev|cv)(?=$|_)", "", _flat(name)).strip("_")


def direction(name: str) -> str | None:
    """
    Return whether greater or lower is better for a metric of this name; None where it does not tell.

    Examples
    --------
    >>> direction("valAUC"), direction("test log-loss"), direction("quality"), direction("max_depth")
    ('greater', 'lower', None, None)
    """
    return "lower" if _is("lower", name) else "greater" if _is("greater", name) else None


def infer(
    columns: Mapping[str, Sequence[Any]],
    *,
    metric: str | None = None,
    better: str | None = None,
    by: Sequence[str] | None = None,
    seed: str | None = None,
) -> Schema:
    """
    Say what each column is, by name and content; what the user says goes first.

    Raises
    ------
    AppError
        If a column that was named is not there, no metric can be found, its direction is not known, or no
        column says what was tried.

    Examples
    --------
    >>> found = infer({"model": ["a", "b"], "seed": [0, 0], "val_acc": [0.8, 0.9], "time": [3, 4]})
    >>> found.metric, found.better, found.configuration, found.seed
    ('val_acc', 'greater', ('model',), 'seed')
    """
    said: list[tuple[str, str | None]] = [
        ("--metric", metric),
        ("--seed-column", seed),
        *(("--by", one) for one in by or ()),
    ]
    for option, name in said:
        if name is not None and name not in columns:
            raise AppError(f"{option}: there is no column {name!r}; there is {listed(list(columns), most=12)}.")
    taken = {name for name in (metric, seed, *(by or ())) if name is not None}
    found: dict[str, str | None] = {"seed": seed}
    for kind in ("seed", "data", "fold", "split", "task", "step"):
        if found.get(kind) is None:
            found[kind] = next((name for name in columns if name not in taken and _is(kind, name)), None)
        if (name := found[kind]) is not None:
            taken.add(name)
    found["status"] = next((name for name in columns if name not in taken and _says_how_it_ended(name, columns)), None)
    rest = [name for name in columns if name not in taken and name != found["status"]]
    chosen = metric or _metric(columns, rest)
    turned = better or direction(chosen)
    if turned is None:
        raise AppError(f"--better: the name {chosen!r} does not say whether greater or lower is better. Say which.")
    if turned not in ("greater", "lower"):
        raise AppError(f"--better: {turned!r} is not 'greater' or 'lower'.")
    tried = tuple(by) if by else _tried(columns, [name for name in rest if name != chosen])
    if not tried and found["task"] is not None and not by:
        # "dataset" or "task" may be what was tried, where nothing else was.
        tried, found["task"] = (found["task"],), None
    if not tried:
        raise AppError(f"--by: no column says what was tried; there is {listed(list(columns), most=12)}. Say which.")
    return Schema(metric=chosen, better=turned, configuration=tried, **found)


def unfinished(cell: Any) -> bool:
    """Return whether a cell says that a run did not end well."""
    return str(cell).strip().lower() in UNFINISHED


def _says_how_it_ended(name: str, columns: Mapping[str, Sequence[Any]]) -> bool:
    return _flat(name) in ENDED and any(unfinished(cell) for cell in columns[name])


def _metric(columns: Mapping[str, Sequence[Any]], rest: Sequence[str]) -> str:
    """Return the column to compare by: named like a metric, of test rows rather than of training rows."""
    named = [name for name in rest if direction(name) is not None]
    # A column "loss" that holds names of losses is no metric; one that holds "0.91 (best)" is a spoilt one.
    numbers = [name for name in named if is_numeric(columns[name])]
    spoilt = [name for name in named if any("0" <= str(cell)[:1] <= "9" for cell in columns[name])]
    usable = numbers or spoilt
    if usable:
        tested = [name for name in usable if _TEST.search(_flat(name))]
        ranked = sorted(tested or usable, key=lambda name: 0 if re.search("test|holdout", _flat(name)) else 1)
        return ranked[0]
    numeric = [name for name in rest if is_numeric(columns[name]) and not _is("aside", name)]
    if len(numeric) == 1:
        return numeric[0]
    raise AppError(f"--metric: no column is named like a metric; there is {listed(list(columns), most=12)}. Say which.")


def _tried(columns: Mapping[str, Sequence[Any]], rest: Sequence[str]) -> tuple[str, ...]:
    """Return the columns that say what was tried: no other metrics, nothing that is new in every row."""
    rest = [name for name in rest if name and not _flat(name).startswith("unnamed")]  # an index that was saved along
    kept = [name for name in rest if not (direction(name) is not None and is_numeric(columns[name]))]
    tried = [name for name in kept if not _is("aside", name)]
    if not tried:
        # A column "name" says what was tried where nothing else does.
        tried = [name for name in kept if len({str(cell) for cell in columns[name]}) < len(columns[name])]
        tried = tried or [name for name in kept if _flat(name) in ("name", "run", "run_name")][:1]
    return tuple(name for name in tried if any(filled(cell) for cell in columns[name]))


def is_numeric(values: Sequence[Any]) -> bool:
    """Return whether every cell that is filled holds a number."""
    known = [value for value in values if filled(value)]
    return bool(known) and all(as_number(value) is not None for value in known)
