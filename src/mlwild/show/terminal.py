"""Where answers are printed."""

from __future__ import annotations

import os
import sys

from rich.console import Console


class Terminal(Console):
    """A console whose reader may leave, as `head` does: the command goes on, and ends with its own exit code."""

    def on_broken_pipe(self) -> None:
        """Print the rest nowhere."""
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def terminal() -> Console:
    """Return the console: colours on a terminal only; a pipe gets the whole width of a line; no word is a sign."""
    out = sys.stdout
    width = None if out.isatty() else 120
    return Terminal(file=out, highlight=False, markup=False, emoji=False, width=width, soft_wrap=False)
