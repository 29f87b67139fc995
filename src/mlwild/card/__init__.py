"""Cards: a sheet, a comparison, a drill or a stress report as one self-contained HTML file."""

from mlwild.card.build import card_html, write_card
from mlwild.card.comparison import comparison_html, write_comparison
from mlwild.card.drill import drill_html, write_drill
from mlwild.card.drill_server import server_drill_html, write_server_drill
from mlwild.card.life import life_html, life_view
from mlwild.card.stress import stress_html, write_stress

__all__ = [
    "card_html",
    "comparison_html",
    "drill_html",
    "life_html",
    "life_view",
    "server_drill_html",
    "stress_html",
    "write_card",
    "write_comparison",
    "write_drill",
    "write_server_drill",
    "write_stress",
]
