"""Why a column is not the same where it is served: the first cause that explains the rows that differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlwild.gate.ready.serving.pairs import CLOSE, Bools, Floats, Pair, close
from mlwild.gate.ready.serving.units import unit_of
from mlwild.wording import number

#: Share of the differing rows that a cause has to explain.
EXPLAINS = 0.9
_SIZE = "its size, without the sign"
#: What counts go round in: hours, minutes, weekdays.
_ROUND = (7, 12, 24, 60, 365, 366, 1440, 86_400)


@dataclass(frozen=True, eq=False)
class Around:
    """
    What a column may be mistaken for.

    Parameters
    ----------
    others : mapping of str to pyarrow.ChunkedArray
        All columns of the same rows, as the rehearsal has them.
    earlier : callable
        ``earlier(pair)``: how the served values stood in rows before, in words; nothing where they did not.
    """

    others: Mapping[str, Any]
    earlier: Callable[[Pair], str]


def alone() -> Around:
    """Return the surroundings of a column that has none."""
    return Around({}, lambda _: "")


def causes_of(pair: Pair, around: Around) -> list[str]:
    """
    Return why a column differs, in words: gaps first, then values.

    Examples
    --------
    >>> import pyarrow as pa
    >>> pair = Pair("km", pa.chunked_array([[1.0, 2.5, None, 4.0]]), pa.chunked_array([[1000.0, 2500.0, 0.0, 4000.0]]))
    >>> for said in causes_of(pair, alone()):
    ...     print(said)
    missing is served as 0
    1000 times as great (thousandths (milliseconds, metres) for whole units (seconds, kilometres)?)
    """
    made = list(_gaps(pair))
    differs = pair.differs[pair.both]
    if not differs.any():
        return made
    numbers = pair.numbers
    found = _constant(pair)
    if not found and numbers is not None:
        found = next(filter(None, (cause(*numbers, differs) for cause in _OF_NUMBERS)), "")
    found = found or _other_column(pair, around) or around.earlier(pair) or _coded(pair) or _unknown(pair)
    return [*made, found]


def _explains(mask: Bools, differs: Bools) -> bool:
    """Say whether enough of the differing rows, and of all, are as a cause would have them."""
    return bool(mask[differs].mean() >= EXPLAINS and mask.mean() >= EXPLAINS)


def _gaps(pair: Pair) -> Iterator[str]:
    ours, theirs = pair.gaps
    lost = theirs & ~ours
    if lost.any():
        share = lost.sum() / max((~ours).sum(), 1)
        yield (
            "missing in every row"
            if theirs.all()
            else f"missing in {share:.0%} of the rows that have a value otherwise"
        )
    filled = ours & ~theirs
    if filled.any():
        values = [value for value, chosen in zip(pair.served.to_pylist(), filled, strict=True) if chosen]
        kinds = {repr(value) for value in values}
        word = _shown(values[0]) if len(kinds) == 1 else f"{len(kinds)} values such as {_shown(values[0])}"
        yield f"missing is served as {word}"


def _constant(pair: Pair) -> str:
    trained, served = pair.words
    if len(served) > 1 and len({repr(one) for one in served}) == 1 and len({repr(one) for one in trained}) > 1:
        return f"always {_shown(served[0])}"
    return ""


def _turned(trained: Floats, served: Floats, differs: Bools) -> str:
    return "its sign is turned" if _explains(close(-trained, served), differs) else ""


def _rounded(trained: Floats, served: Floats, differs: Bools) -> str:
    with np.errstate(invalid="ignore", over="ignore"):
        for digits in (0, 1, 2, 3, 4, 5, 6, -1, -2, -3):
            if _explains(served == np.round(trained, digits), differs):
                return f"rounded to {digits} decimals" if digits >= 0 else f"rounded to {10**-digits}s"
        for word, made in (("cut to whole numbers", np.trunc(trained)), ("rounded down", np.floor(trained))):
            if _explains(served == made, differs):
                return word
        if _explains(trained.astype(np.float32) == served.astype(np.float32), differs):
            return "the same in single precision only: another type of number"
    return ""


def _scaled(trained: Floats, served: Floats, differs: Bools) -> str:
    use = differs & (trained != 0)
    if len(np.unique(trained[use])) < 2:
        return ""
    factor = float(np.median(served[use] / trained[use]))
    if factor == 0 or not np.isfinite(factor) or abs(factor - 1) < 1e-4:
        return ""
    if not _explains(close(factor * trained, served), differs):
        return ""
    size = f"{number(factor, 6).replace(',', '')} times as great"
    unit = unit_of(factor)
    return f"{size} ({unit})" if unit else size


def _shifted(trained: Floats, served: Floats, differs: Bools) -> str:
    if len(np.unique(trained[differs])) < 3:
        return ""
    step = float(np.median((served - trained)[differs]))
    # Times in seconds are great numbers: a shift is held against itself, not against them.
    if _explains(np.abs(served - trained - step) <= CLOSE * abs(step) + 1e-9 * np.abs(trained), differs):
        words = {273.15: "kelvin for degrees Celsius?", -273.15: "degrees Celsius for kelvin?"}
        unit = words.get(round(step, 2), "")
        if abs(step) >= 900 and step % 900 == 0:
            unit = f"{number(step / 3600)} hours of seconds: a time zone?"
        return f"{number(step, 6)} more" + (f" ({unit})" if unit else "")
    for length in _ROUND:
        if max(trained.max(), served.max()) < length and min(trained.min(), served.min()) >= 0:
            # Circular, as the hours of a day: 23 and 1 lie two apart.
            gaps = np.round((served - trained)[differs]) % length
            step = float(np.bincount(gaps.astype(np.int64)).argmax())
            if step and _explains(close((trained + step) % length + 1, served + 1), differs):
                near = step if step <= length / 2 else step - length
                return f"{number(near)} more, round {length} (a time zone, or another first day?)"
    return ""


def _linear(trained: Floats, served: Floats, differs: Bools) -> str:
    if len(np.unique(trained[differs])) < 4:
        return ""
    slope, level = np.polyfit(trained, served, 1)
    spread = np.abs(served - slope * trained - level).max()
    if slope == 0 or spread > 1e-6 * max(np.ptp(served), 1e-300):
        return ""
    for known, start, words in (
        (1.8, 32.0, "degrees Fahrenheit for Celsius?"),
        (1 / 1.8, -32 / 1.8, "degrees Celsius for Fahrenheit?"),
    ):
        if abs(slope / known - 1) < 1e-4 and abs(level - start) < 1e-2:
            return words.rstrip("?") + f": {number(slope)} times, and {number(level)} more"
    if abs(slope + 1) < 1e-6 and abs(level - 1) < 1e-6:
        return "one minus what it is: that of the other class or side"
    return f"{number(slope)} times as great and {number(level)} more: standardised by other rows?"


_TRANSFORMS = (
    ("its logarithm", np.log), ("the logarithm of one more", np.log1p), ("its decimal logarithm", np.log10),
    ("its exponential", np.exp), ("its square root", np.sqrt), ("its square", np.square), (_SIZE, np.abs),
)  # fmt: skip


def _transformed(trained: Floats, served: Floats, differs: Bools) -> str:
    for first, second, said in ((trained, served, "{}"), (served, trained, "not transformed: the rehearsal has {}")):
        for word, function in _TRANSFORMS:
            with np.errstate(all="ignore"):
                made = np.asarray(function(first), dtype=np.float64)
            if np.isfinite(made[differs]).all() and _explains(close(made, second), differs):
                return said.format(word)
    return ""


_OF_NUMBERS = (_turned, _rounded, _scaled, _shifted, _linear, _transformed)


def _other_column(pair: Pair, around: Around) -> str:
    """Say which other column it holds the values of."""
    for name, column in around.others.items():
        if name == pair.name:
            continue
        crossed = Pair(name, column, pair.served)
        if not crossed.both.sum() or len({repr(one) for one in crossed.words[0]}) < 2:
            continue
        same = (~crossed.differs)[pair.both]
        if _explains(same, pair.differs[pair.both]):
            return f"holds the values of {name!r}"
    return ""


def _coded(pair: Pair) -> str:
    """Say that values are written otherwise: other codes, other case, numbers as text."""
    trained, served = pair.words
    pairs = {(repr(one), repr(two)) for one, two in zip(trained, served, strict=True)}
    ours, theirs = {one for one, _ in pairs}, {two for _, two in pairs}
    if all(
        isinstance(one, str) and isinstance(two, str) and one.strip().lower() == two.strip().lower()
        for one, two in zip(trained, served, strict=True)
    ):
        return f"written otherwise: {_example(trained, served)}"
    if len(pairs) > len(ours) or len(ours) < 2 or len(ours) > len(trained) / 2:
        return ""
    if len(theirs) < len(ours):
        return f"several values become one: {_example(trained, served)}"
    return f"other codes, one for one: {_example(trained, served)}"


def _example(trained: Any, served: Any) -> str:
    unlike = [place for place in range(len(trained)) if repr(trained[place]) != repr(served[place])]
    shown = dict.fromkeys(f"{_shown(trained[place])} is served as {_shown(served[place])}" for place in unlike)
    return ", ".join(list(shown)[:2])


def _unknown(pair: Pair) -> str:
    trained, served = pair.words
    kinds = {type(one).__name__ for one in trained}, {type(one).__name__ for one in served}
    differs = pair.differs[pair.both]
    share = f"other values in {differs.mean():.0%} of the rows"
    if kinds[0] != kinds[1]:
        return f"{share}: {'/'.join(sorted(kinds[1]))} for {'/'.join(sorted(kinds[0]))}, {_example(trained, served)}"
    if pair.numbers is not None:
        gap = float(np.median(np.abs(pair.numbers[1] - pair.numbers[0])[differs]))
        spread = float(pair.numbers[0].std())
        size = f"{number(gap / spread, 2)} standard deviations" if spread else number(gap, 3)
        return f"{share}, off by {size} at the median, no cause found"
    return f"{share}: {_example(trained, served)}"


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return number(value, 6)
    text = repr(value)
    return text if len(text) <= 30 else f"{text[:27]}..."
