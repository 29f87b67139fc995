"""The cards: self-contained pages that show what a rehearsal found, and what a comparison found."""

from mlwild.card.build import card_html, write_card
from mlwild.card.comparison import comparison_html, write_comparison

__all__ = ["card_html", "comparison_html", "write_card", "write_comparison"]
