"""What there is so much of: what is taken is told, and given back."""

from __future__ import annotations

import pytest

from mlwild.serve.requests import RefusedError
from mlwild.serve.shares import Share


def refused(share, client, n):
    with pytest.raises(RefusedError) as raised:
        share.take(client, n)
    assert int(raised.value.headers["Retry-After"]) >= 1
    return raised.value.code, raised.value.said


def test_there_is_so_much_for_all_and_half_of_it_for_one_who_can_be_told_from_others():
    share = Share(10, "rows are waiting")
    share.take("", 7)
    share.take("till", 3)
    assert refused(share, "till", 1) == (503, "Too many rows are waiting. Come again.")
    share.leave("", 7)
    share.take("till", 2)
    assert refused(share, "till", 1) == (429, "Too many of your rows are waiting. Come again.")
    share.check("web", 5)
    share.leave("till", 5)
    share.take("", 10)  # nothing is left of what was refused


def test_one_of_something_may_be_had_by_one_client():
    share = Share(1, "requests at once")
    share.take("till", 1)
    assert refused(share, "web", 1)[0] == 503
