"""Values as JSON can hold them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """
    Return a value as JSON can hold it: numbers that are not known are None.

    Examples
    --------
    >>> plain({"a": (float("nan"), np.float64(1.0), True)})
    {'a': [None, 1.0, True]}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(one) for one in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if isfinite(value) else None
    return value
