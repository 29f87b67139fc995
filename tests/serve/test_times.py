"""The days that the description of the server allows are those that there are."""

import re
from datetime import date, timedelta

from mlwild.serve.openapi import _BARE, _ZONED


def test_all_days_from_1700_to_2199_are_described_and_no_others():
    days = {
        date(1700, 1, 1) + timedelta(place)
        for place in range(date(2200, 1, 1).toordinal() - date(1700, 1, 1).toordinal())
    }
    written = {str(one) for one in days}
    for year in (1699, 1700, 1899, 1900, 1996, 2000, 2023, 2024, 2100, 2199, 2200):
        for month in range(14):
            for day in range(33):
                one = f"{year}-{month:02d}-{day:02d}"
                assert bool(re.match(_BARE, one)) == (one in written)
                assert bool(re.match(_BARE, f"{one}T23:59:59.5")) == (one in written)
                assert bool(re.match(_ZONED, f"{one}T23:59:59+01:00")) == (one in written)
    assert all(re.match(_BARE, one) for one in written)
    assert not re.match(_ZONED, "2024-01-31")  # a day alone has no zone
    assert not re.match(_BARE, "2024-01-31T24:00:00")
