"""Long lists, a page at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Page:
    """
    One page of a list.

    Parameters
    ----------
    number, pages : int
        From 1.
    first, after : int
        Places in the list: the first of this page, and one past its last.
    total : int
    """

    number: int
    pages: int
    first: int
    after: int
    total: int

    def of(self, whole: Sequence[Any]) -> Sequence[Any]:
        """Return the part of a list that is on this page."""
        return whole[self.first : self.after]

    def links(self, address: Callable[[int], str]) -> dict[str, Any]:
        """Return what a template needs to lead to the pages before and after."""
        return {
            "said": f"{self.first + 1:,} to {self.after:,} of {self.total:,}" if self.pages > 1 else "",
            "before": address(self.number - 1) if self.number > 1 else "",
            "after": address(self.number + 1) if self.number < self.pages else "",
        }


def page_of(total: int, number: int, each: int) -> Page:
    """
    Return a page of a list; the nearest one where there is none of that number.

    Examples
    --------
    >>> page_of(120, 3, 50)
    Page(number=3, pages=3, first=100, after=120, total=120)
    >>> page_of(0, 7, 50).number, page_of(120, -1, 50).number
    (1, 1)
    """
    pages = max(-(-total // each), 1)
    number = min(max(number, 1), pages)
    first = (number - 1) * each
    return Page(number, pages, first, min(first + each, total), total)
