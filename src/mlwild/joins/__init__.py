"""Joins in time: what was at hand at an instant, and what it adds up to over a window."""

from mlwild.joins.keys import shared
from mlwild.joins.latest import latest
from mlwild.joins.seen import Asked
from mlwild.joins.windows import Rows, parsed, summed_up

__all__ = ["Asked", "Rows", "latest", "parsed", "shared", "summed_up"]
