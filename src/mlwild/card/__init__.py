"""The card: the self-contained page that shows what a rehearsal found."""

from mlwild.card.build import card_html, write_card

__all__ = ["card_html", "write_card"]
