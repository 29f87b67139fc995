"""Proxies of generalisation: armed by their record alone, and how often a record of nothing arms one."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import spearmanr

from mlwild.errors import AppError
from mlwild.gate import ready
from mlwild.gate.ready.proxies import PROXIES, Proxy, record_of
from mlwild.gate.run import run_suite
from tests.gate.made import click_app, clicks, replay_of


@dataclass(frozen=True)
class Past:
    """A trial of which a proxy's value and the loss are known."""

    value: float
    loss: float
    before: tuple = ()

    @property
    def model(self):
        return SimpleNamespace(raw=1)

    def earlier(self):
        return self.before

    def remember(self, key, make):
        return self.loss if key == "loss" else self.value


def of(values, losses, now):
    return Past(now, np.nan, tuple(Past(*pair) for pair in zip(values, losses, strict=True)))


PROXY = Proxy("bootstrap churn")
RISING = np.arange(24.0)


def test_a_record_that_foretold_the_loss_arms_and_an_unusual_value_is_red():
    armed = of(RISING, RISING**2, 99.0)
    assert PROXY.objection(armed) == ""
    assert PROXY.judge(armed).verdict == "fail"
    assert PROXY.judge(armed).blocks_good == pytest.approx(1 / 25)
    assert PROXY.judge(of(RISING, RISING**2, 10.0)).verdict == "pass"
    assert PROXY.judge(of(RISING, RISING**2, np.nan)).verdict == "fail"


def test_greater_than_ever_on_a_short_record_is_not_red():
    short = of(RISING[:10], RISING[:10], 99.0)
    assert PROXY.objection(short) == ""
    assert PROXY.judge(short).verdict == "underpowered"


@pytest.mark.parametrize(
    ("values", "losses", "said"),
    [
        (RISING, -RISING, "not armed: over 24 past trials"),
        (np.ones(24), RISING, "not armed: it says the same at all 24"),
        (RISING[:5], RISING[:5], "5 past trials make no record; 8 at least"),
        (np.full(24, np.nan), RISING, "not armed: the model gave it no answer at 24 of 24 past trials"),
    ],
)
def test_without_a_record_it_is_left_out(values, losses, said):
    assert PROXY.objection(of(values, losses, 1.0)).startswith(said)


def test_a_model_that_raises_under_noise_tells_a_proxy_nothing():
    def give_up(trial):
        raise ValueError("negative")

    kept = {}
    trial = SimpleNamespace(remember=lambda key, make: kept.setdefault(key, make()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PROXIES, "bootstrap churn", give_up)
        assert np.isnan(PROXY.value(trial))


def test_what_a_test_raises_when_it_is_asked_whether_it_applies_makes_it_red_and_stops_nothing():
    @dataclass(frozen=True)
    class Broken:
        name: str = "broken"

        def objection(self, trial):
            raise ZeroDivisionError("no rows")

    verdicts, left_out = run_suite([Broken(), PROXY], of(RISING[:5], RISING[:5], 1.0))
    assert [(one.test, one.outcome.verdict, one.outcome.said) for one in verdicts] == [
        ("broken", "error", "it raised ZeroDivisionError: no rows")
    ]
    assert [name for name, _ in left_out] == [PROXY.name]


def test_an_unknown_proxy_is_refused():
    with pytest.raises(AppError, match="there is no proxy 'luck'"):
        ready.Proxy("luck")


def test_correlation_is_scipys():
    rng = np.random.default_rng(0)
    values, losses = rng.normal(size=(2, 30)).round(1)
    assert record_of(values, losses).correlation == pytest.approx(spearmanr(values, losses).statistic)


@pytest.mark.parametrize("draws", [1_000, pytest.param(20_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("n", [8, 24])
def test_a_proxy_that_knows_nothing_is_armed_once_in_twenty(n, draws):
    rng = np.random.default_rng(n)
    armed = np.mean([record_of(*rng.normal(size=(2, n))).low > 0 for _ in range(draws)])
    assert armed <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / draws) + 0.01  # Fisher's transform is near at eight trials


@pytest.mark.parametrize("draws", [1_000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_an_armed_proxy_blocks_a_usual_candidate_once_in_twenty(draws):
    rng = np.random.default_rng(1)
    red = 0
    for _ in range(draws):
        values = rng.normal(size=25)
        red += PROXY.judge(of(values[:24], values[:24], values[24])).verdict == "fail"
    assert abs(red / draws - 1 / 25) <= 3 * np.sqrt(0.04 * 0.96 / draws)


@pytest.mark.parametrize("kind", PROXIES)
def test_each_proxy_reads_no_label_of_the_rows_on_trial(kind, tmp_path):
    rows = clicks(3_000)
    trial = replay_of(click_app(rows), tmp_path / "one").now
    value = PROXIES[kind](trial)
    assert np.isfinite(value)
    turned = rows.copy()
    turned.loc[np.isin(turned["when"], trial.events.time), "y"] ^= 1
    other = replay_of(click_app(turned), tmp_path / "two").now
    assert PROXIES[kind](other) == value


def test_churn_is_greater_where_less_was_learned_from(tmp_path):
    few, many = (
        PROXIES["bootstrap churn"](replay_of(click_app(clicks(n)), tmp_path / str(n)).now) for n in (1_600, 12_000)
    )
    assert few > 1.5 * many
