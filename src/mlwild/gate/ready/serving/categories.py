"""Columns of words, and a word that was never seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from string import ascii_lowercase, ascii_uppercase, digits
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np

from mlwild import frames
from mlwild.gate.trial import Trial

#: A column of words is one of categories if each comes so often on average.
REPEATS = 20


def categories_of(trial: Trial) -> Iterator[tuple[str, Counter[Any]]]:
    """Yield the raw columns of categories that features may use, with how often each was learned from."""
    raw = trial.learned.raw
    for name in raw.columns:
        kind = raw.schema[name]
        if name in trial.app.not_features or kind not in (nw.String, nw.Categorical, nw.Enum):
            continue
        seen = Counter(value for value in frames.values(raw, name, "events")[0].tolist() if value is not None)
        words = all(isinstance(value, str) for value in seen)
        if words and 1 < len(seen) <= max(len(trial.learned) / REPEATS, 2):
            yield name, seen


def has_gaps(trial: Trial, name: str) -> bool:
    """Say whether a column had missing values among what was learned from."""
    return bool(frames.values(trial.learned.raw, name, "events")[1].any())


def unseen(seen: Mapping[str, int]) -> str:
    """
    Return a word that looks like those seen and is none of them.

    Examples
    --------
    >>> unseen({"AA": 3, "BB": 2, "B6": 1})
    'B7'
    """
    model = sorted(seen, key=lambda word: (len(word), word))[len(seen) // 2]
    for step in range(1, 200):
        made = "".join(_turned(letter, step * (place + 1) - 1) for place, letter in enumerate(model))
        if made not in seen:
            return made
    return f"{model}Q"


def _turned(letter: str, step: int) -> str:
    for letters in (ascii_uppercase, ascii_lowercase, digits):
        if letter in letters:
            return letters[(letters.index(letter) + step) % len(letters)]
    return letter


def with_category(raw: frames.Frame, name: str, value: str | None) -> frames.Frame:
    """Return rows with one category throughout; None makes it missing."""
    if value is None:
        return frames.blank(raw, [name], np.ones(len(raw), dtype=bool))
    kind = raw.schema[name]
    if kind == nw.String:
        return raw.with_columns(nw.lit(value).cast(nw.String()).alias(name))
    column = nw.new_series(name, [value] * len(raw), nw.Categorical(), backend=raw.implementation)
    return raw.with_columns(column.alias(name))
