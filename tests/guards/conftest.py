"""What the tests of the guard share."""

import pytest

from tests.guards.streams import regression


@pytest.fixture(scope="session")
def stream():
    """Return a stream and its guard; whoever asks it brings a watch of his own."""
    return regression(1)
