"""Tables for the bench of contracts, the same on both sides."""

from __future__ import annotations

import numpy as np
import pyarrow as pa


def wide(rows: int, seed: int = 0) -> pa.Table:
    """Return 20 columns: ten numbers, four counts, four words, a truth value and a time."""
    rng = np.random.default_rng(seed)
    columns = {}
    for k in range(10):
        values = rng.normal(50, 5, rows)
        columns[f"x{k}"] = pa.array(values, mask=rng.random(rows) < (0.02 if k < 3 else 0.0))
    columns |= {f"n{k}": rng.poisson(20, rows) for k in range(4)}
    columns |= {f"w{k}": pa.array(rng.choice([f"word{j}" for j in range(20)], rows)) for k in range(4)}
    columns["b"] = pa.array(rng.random(rows) < 0.3)
    columns["t"] = pa.array(np.datetime64("2024-01-01", "us") + np.arange(rows).astype("m8[s]"))
    return pa.table(columns)


def stream(rng: np.random.Generator, rows: int) -> pa.Table:
    """Return rows of one law: light and heavy tails, zeros, counts, words with a long tail, gaps."""
    noise = rng.normal(size=rows)
    columns = {
        "t": np.arange(rows),
        "normal": rng.normal(50, 5, rows),
        "lognormal": np.exp(rng.normal(size=rows)),
        "zeros": np.where(rng.random(rows) < 0.7, 0.0, np.exp(noise)),
        "student": rng.standard_t(3, rows),
        "count": rng.poisson(3, rows),
        "word": rng.choice(list("abcde"), rows, p=[0.5, 0.3, 0.1, 0.06, 0.04]),
        "tail": [f"c{k}" for k in np.minimum(rng.zipf(2.2, rows), 10**6)],
        "gaps": np.where(rng.random(rows) < 0.02, np.nan, noise),
        "label": np.exp(rng.normal(size=rows)),
    }
    return pa.table({name: pa.array(values, from_pandas=True) for name, values in columns.items()})
