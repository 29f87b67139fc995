"""ML-wild rehearses a model's life in production over its own history."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlwild import rules, splits
    from mlwild.app import App
    from mlwild.checks import check
    from mlwild.comparisons import compare
    from mlwild.events import Table
    from mlwild.loading import load_app
    from mlwild.losses import Loss, pinball
    from mlwild.models import Forecast
    from mlwild.records import Prices
    from mlwild.rehearsal import Rehearsal, rehearse
    from mlwild.serving import Serving
    from mlwild.starting import new

__version__ = "0.1.0"

_HOME = {
    "App": "mlwild.app",
    "Forecast": "mlwild.models",
    "Loss": "mlwild.losses",
    "Prices": "mlwild.records",
    "Rehearsal": "mlwild.rehearsal",
    "Serving": "mlwild.serving",
    "Table": "mlwild.events",
    "check": "mlwild.checks",
    "compare": "mlwild.comparisons",
    "load_app": "mlwild.loading",
    "new": "mlwild.starting",
    "pinball": "mlwild.losses",
    "rehearse": "mlwild.rehearsal",
    "rules": "mlwild.rules",
    "splits": "mlwild.splits",
}

__all__ = [
    "App",
    "Forecast",
    "Loss",
    "Prices",
    "Rehearsal",
    "Serving",
    "Table",
    "__version__",
    "check",
    "compare",
    "load_app",
    "new",
    "pinball",
    "rehearse",
    "rules",
    "splits",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `import mlwild` itself computes nothing."""
    if name not in _HOME:
        raise AttributeError(f"module 'mlwild' has no attribute {name!r}")
    home = import_module(_HOME[name])
    found = home if name in ("rules", "splits") else getattr(home, name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
