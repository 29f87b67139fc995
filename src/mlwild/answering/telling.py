"""What is said to the operator: a line on the terminal, never to a client."""

from __future__ import annotations

import sys


def tell(said: str) -> None:
    """Write a line to the operator."""
    sys.stderr.write(f"mlwild: {said}\n")
    sys.stderr.flush()
