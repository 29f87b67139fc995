"""
Compiled loops, where a C compiler was at hand when ML-wild was installed.

Without it NumPy does the same beside each caller, and gives the same numbers in two to three times the time.
"""

from __future__ import annotations

import importlib
from typing import Any


def _compiled() -> Any:
    try:
        return importlib.import_module("mlwild.stats._kernels")
    except ModuleNotFoundError:
        return None


#: The functions of ``_kernels.c``; None where they were not compiled.
compiled: Any = _compiled()
