"""The whole page of a simple strategy on the S&P 500 and of its ensemble: momentum through 2008."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import mlwild as wild
from mlwild.show import show_stress

BARS = (250, 60, 120)


@pytest.fixture(scope="module")
def closes():
    """Daily closes of the S&P 500, 1999 to 2018, as the package arch ships them."""
    return pytest.importorskip("arch.data.sp500").load()["Adj Close"]


def momentum(closes: pd.Series) -> pd.DataFrame:
    """One row a day: its return, known at its close, and the signs of earlier moves, known at its open."""
    made = pd.DataFrame({"day": closes.index, "move": closes.pct_change().to_numpy()})
    known = np.log(closes.shift(1))
    for bars in BARS:
        made[f"momentum {bars}"] = np.sign(known - known.shift(bars)).to_numpy()
    made["hold"] = 1.0
    made["known"] = made["day"] + pd.Timedelta("16h")
    return made.iloc[max(BARS) + 1 :]


@pytest.fixture(scope="module")
def report(closes, tmp_path_factory):
    """The stress of the app, run once."""
    trading = wild.Trading(cost=0.0005)
    app = wild.App(
        name="momentum",
        data=lambda: momentum(closes),
        time="day",
        label="move",
        known_at="known",
        models={f"momentum {bars}": wild.Forecast(f"momentum {bars}") for bars in BARS}
        | {"hold": wild.Forecast("hold")},
        loss=trading.loss,
        trading=trading,
        every="28D",
        start="2001-01-01",
    )
    return wild.stress(app, store=tmp_path_factory.mktemp("store"), jobs=1)


def test_the_page_tells_of_2008_of_drawdowns_and_of_luck(report, capsys):
    show_stress(report)
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith(
        "momentum 250: at worst it fell 53.0% from its peak (2009-03-09 to 2012-07-12, not made good)"
    )
    assert "hold: deepest fall 56.8% (2007-10-09 to 2009-03-09, made good 2013-03-28); within the next year" in said
    assert "worst year -48.8% (2008-03-06 to 2009-03-05), worst month -30.0% (2008-09-29 to 2008-10-27)" in said
    assert "chance that it is more than the luck of 5 tries" in said
    by_name = {one.name: one for one in report.strategies}
    assert set(by_name) == {*(f"momentum {bars}" for bars in BARS), "hold", "all as one"}
    ensemble = by_name["all as one"]
    assert ensemble.plain.drawdown.depth < by_name["hold"].plain.drawdown.depth
    assert all(one.deflated.probability < 0.95 for one in report.strategies)
    assert "no answer" not in said  # a published forecast has no features to take away
    # What may come within a year: deeper than half of the worst so far, and no certainty of ruin.
    assert 0.5 * by_name["hold"].plain.drawdown.depth < by_name["hold"].next.bound < 0.95


def test_the_worst_period_is_of_the_crisis_and_promises_are_scored(report):
    worst = {one.kind: one for one in report.worst}
    assert worst["period"].searched > 200
    assert "2008" in worst["period"].what or "2009" in worst["period"].what
    records = {one.kind: one for one in report.records}
    assert {"period", "window"} <= set(records)
    assert records["period"].of > 150
    # Promised 95 %: with so many scored, a record below 90 % would be no chance.
    assert records["period"].kept / records["period"].of > 0.9
    json.dumps(report.as_dict(), allow_nan=False)
