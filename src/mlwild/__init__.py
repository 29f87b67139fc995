"""ML-wild rehearses a model's life in production over its own history."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlwild import gate, guards, monitors, remedies, rules, serve, splits, stressors
    from mlwild.answering.batch import predict
    from mlwild.app import App
    from mlwild.checks import check
    from mlwild.comparisons import compare
    from mlwild.drilling import drill
    from mlwild.gating import judge
    from mlwild.guards import Explore, Guard
    from mlwild.loading import load_app
    from mlwild.losses import Loss, pinball
    from mlwild.models import Forecast
    from mlwild.operating import operate
    from mlwild.past import past_events
    from mlwild.patching.patch import patch
    from mlwild.records import Prices
    from mlwild.rehearsal import Rehearsal, rehearse
    from mlwild.serve.drill import drill_server
    from mlwild.serving import Serving
    from mlwild.side_tables import Table
    from mlwild.starting import new
    from mlwild.stressing import stress
    from mlwild.trading import Trading
    from mlwild.triangle.logged import log_features
    from mlwild.warehouse import Stored

__version__ = "0.1.0"

#: Where a public name is from; modules are public as they are.
_HOME = {
    "App": "mlwild.app",
    "Explore": "mlwild.guards",
    "Forecast": "mlwild.models",
    "Guard": "mlwild.guards",
    "Loss": "mlwild.losses",
    "Prices": "mlwild.records",
    "Rehearsal": "mlwild.rehearsal",
    "Serving": "mlwild.serving",
    "Ray": "mlwild.compute",
    "Sql": "mlwild.warehouse",
    "Stored": "mlwild.warehouse",
    "Table": "mlwild.side_tables",
    "Trading": "mlwild.trading",
    "check": "mlwild.checks",
    "compare": "mlwild.comparisons",
    "drill": "mlwild.drilling",
    "drill_server": "mlwild.serve.drill",
    "judge": "mlwild.gating",
    "load_app": "mlwild.loading",
    "log_features": "mlwild.triangle.logged",
    "new": "mlwild.starting",
    "operate": "mlwild.operating",
    "past_events": "mlwild.past",
    "patch": "mlwild.patching.patch",
    "pinball": "mlwild.losses",
    "predict": "mlwild.answering.batch",
    "rehearse": "mlwild.rehearsal",
    "stress": "mlwild.stressing",
}
_MODULES = ("gate", "guards", "monitors", "remedies", "rules", "serve", "splits", "stressors")

__all__ = [
    "App",
    "Explore",
    "Forecast",
    "Guard",
    "Loss",
    "Prices",
    "Ray",
    "Rehearsal",
    "Serving",
    "Sql",
    "Stored",
    "Table",
    "Trading",
    "__version__",
    "check",
    "compare",
    "drill",
    "drill_server",
    "gate",
    "guards",
    "judge",
    "load_app",
    "log_features",
    "monitors",
    "new",
    "operate",
    "past_events",
    "patch",
    "pinball",
    "predict",
    "rehearse",
    "remedies",
    "rules",
    "serve",
    "splits",
    "stress",
    "stressors",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `import mlwild` itself computes nothing."""
    if name in _MODULES:
        found: Any = import_module(f"mlwild.{name}")
    elif name in _HOME:
        found = getattr(import_module(_HOME[name]), name)
    else:
        raise AttributeError(f"module 'mlwild' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
