"""One offence against the order of time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Offence:
    """
    What is not legal with dated rows.

    Parameters
    ----------
    name : str
        What is to be written in `allow` where it is meant.
    said : str
        A sentence.
    """

    name: str
    said: str
