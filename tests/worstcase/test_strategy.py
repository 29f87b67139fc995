"""Strategies: books by hand, scenarios that hurt as they must, and the S&P 500 through 2008."""

from __future__ import annotations

import numpy as np
import pytest

from mlwild.errors import AppError, DataError
from mlwild.stats.drawdown import drawdown
from mlwild.trading import Book, Trading, book_of
from mlwild.worstcase.strategy import scenarios_of, strategy_of, worst_window


def two_assets(n=600, seed=0):
    """Return a book of two assets with little in common."""
    rng = np.random.default_rng(seed)
    returns = 0.01 * rng.normal(size=(n, 2)) + 0.0005
    return Book(np.arange(n), np.ones((n, 2)), returns, 0.001)


def test_costs_are_paid_on_every_change_of_position():
    book = book_of(np.array([1, 2, 3]), None, np.array([1.0, 1.0, -1.0]), np.array([0.01, 0.02, -0.03]), 0.001)
    assert book.net() == pytest.approx([0.01 - 0.001, 0.02, 0.03 - 0.002])


def test_rows_are_laid_out_by_bar_and_asset():
    time, asset = np.array([1, 1, 2]), np.array([7, 8, 8])
    book = book_of(time, asset, np.array([1.0, -1.0, 0.5]), np.array([0.1, 0.2, 0.4]), 0.0)
    assert book.positions.tolist() == [[1.0, -1.0], [0.0, 0.5]]
    assert book.net() == pytest.approx([(0.1 - 0.2) / 2, 0.1])


def test_two_rows_of_an_asset_at_one_time_are_refused():
    with pytest.raises(DataError, match="two rows at one time"):
        book_of(np.array([1, 1]), None, np.ones(2), np.zeros(2), 0.0)


def test_a_position_that_is_nan_is_refused():
    with pytest.raises(DataError, match="row 1"):
        book_of(np.array([1, 2]), None, np.array([1.0, np.nan]), np.zeros(2), 0.0)


def test_a_late_position_knows_less():
    book = two_assets().later(1)
    assert book.positions[0].tolist() == [0.0, 0.0]
    assert book.positions[1:].all()


def test_moving_as_one_is_riskier_than_apart():
    book = two_assets()
    apart, one = book.net().std(), book.as_one().net().std()
    assert one == pytest.approx(0.01, rel=0.1)
    assert one > 1.3 * apart
    assert np.corrcoef(book.as_one().returns.T)[0, 1] == pytest.approx(1.0)


def test_volatility_times_two_keeps_the_mean():
    book = two_assets().louder(2.0)
    assert book.returns.mean() == pytest.approx(two_assets().returns.mean())
    assert book.returns.std(axis=0) == pytest.approx(2 * two_assets().returns.std(axis=0))


def test_no_news_keeps_the_last_position():
    positions = np.arange(1.0, 101.0)[:, None]
    book = Book(np.arange(100), positions, np.zeros((100, 1)), 0.0).without_feed(0.5, np.random.default_rng(0))
    held = book.positions[:, 0]
    assert (np.diff(held) >= 0).all()
    assert (held <= positions[:, 0]).all()
    assert 0.3 < (held < positions[:, 0]).mean() < 0.7


def test_only_what_applies_is_a_scenario():
    one = Book(np.arange(100), np.ones((100, 1)), np.zeros((100, 1)), 0.0)
    assert "correlation to 1" not in scenarios_of(one)
    assert "costs x2" not in scenarios_of(one)
    assert {"correlation to 1", "costs x2", "costs x5"} <= set(scenarios_of(two_assets()))


def test_the_worst_window_is_that_of_brute_force():
    returns = np.random.default_rng(1).normal(0, 0.02, 200)
    totals = [np.prod(1 + returns[k : k + 21]) - 1 for k in range(180)]
    found = worst_window(returns, 21)
    assert (found.first, found.searched) == (int(np.argmin(totals)), 180)
    assert found.total == pytest.approx(min(totals))


def test_settings_out_of_range_are_refused():
    with pytest.raises(AppError, match=r"trading\.cost"):
        Trading(cost=-0.1)
    with pytest.raises(AppError, match=r"trading\.per_year"):
        Trading(per_year=0)
    with pytest.raises(AppError, match=r"trading\.position"):
        Trading(position="sign")


def test_too_few_bars_make_no_worst_case():
    book = Book(np.arange(20), np.ones((20, 1)), np.full((20, 1), 0.01), 0.0)
    with pytest.raises(DataError, match="too few"):
        strategy_of("short", book, Trading(), tried={"short": book.net()})


def test_less_than_a_year_has_no_worst_year():
    book = two_assets(100)
    found = strategy_of("young", book, Trading(), tried={"young": book.net()})
    assert list(found.windows) == ["month"]
    assert found.dates["start"] == ""
    rare = strategy_of("rare", book, Trading(per_year=0.3), tried={"rare": book.net()})
    assert rare.windows["year"].searched == 100


@pytest.fixture(scope="module")
def sp500():
    """Daily closes of the S&P 500, 1999 to 2018, as the package arch ships them."""
    data = pytest.importorskip("arch.data.sp500").load()
    closes = data["Adj Close"].to_numpy()
    return data.index[1:], closes


def momentum(closes, bars):
    """Return the sign of the return over the last so many bars, known before each bar."""
    logs = np.log(closes)
    signs = np.zeros(len(closes) - 1)
    signs[bars:] = np.sign(logs[bars:-1] - logs[: -bars - 1])
    return signs


def test_the_stress_of_a_simple_strategy_on_the_sp500_and_of_its_ensemble(sp500):
    days, closes = sp500
    time, returns, trading = days.as_unit("ns").asi8, closes[1:] / closes[:-1] - 1, Trading(cost=0.0005)
    signs = {f"momentum {bars}": momentum(closes, bars) for bars in (60, 120, 200, 250)}
    signs["ensemble"] = np.mean(list(signs.values()), axis=0)
    signs["hold"] = np.ones(len(returns))
    books = {name: book_of(time, None, sign, returns, trading.cost) for name, sign in signs.items()}
    tried = {name: book.net() for name, book in books.items()}
    hold = strategy_of("hold", books["hold"], trading, tried=tried, shown=lambda at: str(np.datetime64(at, "ns"))[:10])
    # Buy and hold: the fall of October 2007 to March 2009, 56.8 % (a published figure), and the wild months are 2008.
    assert hold.plain.drawdown.depth == pytest.approx(0.568, abs=0.002)
    assert (str(days[hold.plain.drawdown.peak].date()), str(days[hold.plain.drawdown.trough].date())) == (
        "2007-10-09",
        "2009-03-09",
    )
    assert hold.dates["fall"] == "2007-10-09 to 2009-03-09"
    assert hold.dates["recovered"].startswith("2013-03")
    assert hold.dates["month"].startswith("2008-09")
    assert hold.dates["year"].startswith("2008-03")
    assert hold.by_regime[-1][0] == "wild"
    assert hold.by_regime[-1][1].annual < 0 < hold.by_regime[0][1].annual
    ensemble = strategy_of("ensemble", books["ensemble"], trading, tried=tried)
    members = [drawdown(net).depth for name, net in tried.items() if name.startswith("momentum")]
    assert ensemble.plain.drawdown.depth < np.mean(members)  # shallower than the mean of its members, not than the best
    # None of six tries has a Sharpe ratio beyond luck.
    assert all(
        strategy_of(name, book, trading, tried=tried).deflated.probability < 0.95 for name, book in books.items()
    )
    assert ensemble.deflated.tries == 6
