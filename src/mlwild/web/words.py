"""Words of the pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlwild.wording import between, number


def plain_name(name: str) -> bool:
    """Say whether a name is one that an app may have: letters, digits, ``-`` and ``_``; no path."""
    return name.replace("-", "").replace("_", "").isalnum()


def promise(body: Mapping[str, Any]) -> str:
    """Write a promise with its interval."""
    if body.get("estimate") is None:
        return "too early"
    if body.get("low") is None:
        return f"{number(body['estimate'], 3)} (no interval yet)"
    return f"{number(body['estimate'], 3)} ({between(body['low'], body['high'], 3)})"
