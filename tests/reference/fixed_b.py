"""
Simulate the critical values of the fixed-b test with Bartlett's kernel (Kiefer and Vogelsang, 2005).

The statistic's limit is a standard normal Z over the root of Q(b), where Q(b) = 2 / b * (the integral
of B(r)^2 over [0, 1] less that of B(r) B(r + b) over [0, 1 - b]) of a Brownian bridge B that does not
depend on Z. Paths of B are drawn; Z is integrated out: P(|Z| > c sqrt(Q)) = E 2 Phi(-c sqrt(Q)).

    python tests/reference/fixed_b.py > tests/reference/fixed_b.txt

40,000 paths of 1,000 steps, b = .02, .04, ..., 1; a cubic in b is fitted at each two-sided level, its
constant the normal quantile. Half a minute.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

PATHS, STEPS, CHUNK = 40_000, 1_000, 1_000
LEVELS = (0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.001)
WIDTHS = np.arange(0.02, 1.001, 0.02)

#: Table 1 of the paper, at the two-sided levels that it has.
PUBLISHED = {
    0.2: (1.3040, 0.5135, -0.3386),
    0.1: (2.1859, 0.3142, -0.3427),
    0.05: (2.9694, 0.4160, -0.5324),
    0.02: (4.1618, 0.5368, -0.9060),
}


def spreads(rng):
    """Return Q, shape (paths, widths)."""
    found = []
    lags = np.rint(WIDTHS * STEPS).astype(int)
    for _ in range(PATHS // CHUNK):
        noise = rng.normal(size=(CHUNK, STEPS)) / np.sqrt(STEPS)
        walk = np.cumsum(noise - noise.mean(axis=1, keepdims=True), axis=1)
        power = np.abs(np.fft.rfft(walk, 2 * STEPS, axis=1)) ** 2
        products = np.fft.irfft(power, axis=1)[:, : STEPS + 1] / STEPS
        found.append(2 / WIDTHS * (products[:, :1] - products[:, lags]))
    return np.concatenate(found)


def excess(c, root, level):
    return 2 * ndtr(-c * root).mean() - level


def main():
    roots = np.sqrt(spreads(np.random.default_rng(0)))
    powers = np.stack([WIDTHS, WIDTHS**2, WIDTHS**3], axis=1)
    for level in LEVELS:
        normal = -ndtri(level / 2)
        values = np.array([brentq(excess, 0.1 * normal, 40 * normal, args=(root, level)) for root in roots.T])
        fit = np.linalg.lstsq(powers, values - normal, rcond=None)[0]
        worst = np.abs(normal + powers @ fit - values).max()
        line = f"{level:6} {normal:.4f} {fit[0]:8.4f} {fit[1]:8.4f} {fit[2]:8.4f}  misfit {worst:.4f}"
        if level in PUBLISHED:
            gap = np.abs(normal + powers @ np.array(PUBLISHED[level]) - values) / values
            line += f"  from the published cubic {gap.max():.4f} of the value at most, {gap[WIDTHS < 0.31].max():.4f} for b <= .3"
        print(line)


if __name__ == "__main__":
    main()
