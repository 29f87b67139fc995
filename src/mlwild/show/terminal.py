"""Where answers are printed."""

from __future__ import annotations

import sys

from rich.console import Console


def terminal() -> Console:
    """Return the console: colours on a terminal only; a pipe gets the whole width of a line."""
    out = sys.stdout
    return Console(file=out, highlight=False, width=None if out.isatty() else 120, soft_wrap=False)
