"""What the tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Commands of tests put nothing on record, but where that is what is tested.
os.environ["MLWILD_RECORD"] = "0"

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def shared():
    """Return the folder of real data sets beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("the folder of real data sets is not beside this checkout")
    return SHARED
