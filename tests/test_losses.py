"""Losses: each against scikit-learn, lower is better, and words that are not known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from mlwild.errors import AppError
from mlwild.losses import NAMED, Loss, auc, named, pinball


def _binary(seed, n=200, ties=False):
    rng = np.random.default_rng(seed)
    label = (rng.random(n) < 0.3).astype(float)
    label[:2] = 0.0, 1.0
    score = np.clip(0.3 * label + 0.7 * rng.random(n), 0.01, 0.99)
    return label, (np.round(score, 1) if ties else score)


def _numbers(seed, n=200):
    rng = np.random.default_rng(seed)
    label = rng.poisson(3.0, n).astype(float)
    return label, label * 0.5 + rng.gamma(2.0, 0.7, n)


def _classes(seed, n=150, k=4):
    rng = np.random.default_rng(seed)
    return rng.integers(0, k, n).astype(float), rng.dirichlet(np.ones(k), n)


# -- per row -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("log_loss", metrics.log_loss),
        ("brier", metrics.brier_score_loss),
        ("zero_one", lambda y, p: metrics.zero_one_loss(y, p > 0.5)),
    ],
)
def test_mean_of_a_binary_loss_is_scikit_learns(name, theirs, seed):
    label, probability = _binary(seed)
    asked = (probability > 0.5).astype(float) if name == "zero_one" else probability
    assert named(name).rows(label, asked).mean() == pytest.approx(theirs(label, probability))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("squared", metrics.mean_squared_error),
        ("absolute", metrics.mean_absolute_error),
        ("poisson", metrics.mean_poisson_deviance),
        ("pinball_0.5", lambda y, p: metrics.mean_pinball_loss(y, p, alpha=0.5)),
        ("pinball_0.9", lambda y, p: metrics.mean_pinball_loss(y, p, alpha=0.9)),
        ("pinball_0.05", lambda y, p: metrics.mean_pinball_loss(y, p, alpha=0.05)),
    ],
)
def test_mean_of_a_loss_of_numbers_is_scikit_learns(name, theirs, seed):
    label, prediction = _numbers(seed)
    assert named(name).rows(label, prediction).mean() == pytest.approx(theirs(label, prediction))


def test_log_loss_and_brier_of_many_classes_are_scikit_learns():
    label, probabilities = _classes(0)
    ours, theirs = named("log_loss").rows(label, probabilities), metrics.log_loss(label, probabilities)
    assert ours.mean() == pytest.approx(theirs)
    one_hot = np.eye(4)[label.astype(int)]
    brier = named("brier").rows(label, probabilities)
    assert brier == pytest.approx(((probabilities - one_hot) ** 2).sum(axis=1) / 2)
    assert brier.mean() == pytest.approx(metrics.brier_score_loss(label, probabilities, scale_by_half=True))


def test_two_columns_of_probabilities_have_the_log_loss_of_one():
    label, probability = _binary(1)
    both = np.column_stack([1 - probability, probability])
    assert named("log_loss").rows(label, both) == pytest.approx(named("log_loss").rows(label, probability))


def test_log_loss_of_certainty_is_finite_and_that_of_a_sure_mistake_great():
    certain = named("log_loss").rows(np.array([1.0, 0.0, 1.0, 0.0]), np.array([1.0, 0.0, 0.0, 1.0], np.float32))
    assert certain == pytest.approx([0.0, 0.0, -math.log(1e-7), -math.log(1e-7)], abs=2e-7)
    many = named("log_loss").rows(np.array([0.0]), np.array([[0.0, 1.0]], np.float32))
    assert many == pytest.approx([-math.log(1e-7)])


def test_poisson_of_no_event_is_twice_the_forecast_and_never_infinite():
    losses = named("poisson").rows(np.array([0.0, 0.0, 2.0]), np.array([1.5, 0.0, 0.0]))
    assert losses[:2] == pytest.approx([3.0, 0.0], abs=1e-8)
    assert np.isfinite(losses).all()


# -- per set -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("name", "theirs"), [("auc", metrics.roc_auc_score), ("average_precision", metrics.average_precision_score)]
)
def test_ranking_loss_is_one_minus_scikit_learns_with_and_without_ties(name, theirs, seed, ties):
    label, score = _binary(seed, ties=ties)
    assert (len(np.unique(score)) < 20) == ties
    assert named(name).of_set(label, score) == pytest.approx(1 - theirs(label, score))


@settings(max_examples=100, deadline=None)
@given(rows=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 4)), min_size=1, max_size=40))
def test_auc_and_average_precision_agree_with_scikit_learn_on_any_small_set(rows):
    label, score = np.array(rows, dtype=float).T
    if label.min() == label.max():
        assert math.isnan(auc(label, score))
    else:
        assert auc(label, score) == pytest.approx(metrics.roc_auc_score(label, score))
    if label.any():
        ours = 1 - named("average_precision").of_set(label, score)
        assert ours == pytest.approx(metrics.average_precision_score(label, score))
    else:
        assert math.isnan(named("average_precision").of_set(label, score))


def test_rmse_and_f1_are_scikit_learns():
    label, prediction = _numbers(0)
    assert named("rmse").of_set(label, prediction) == pytest.approx(metrics.root_mean_squared_error(label, prediction))
    label, probability = _binary(0)
    asked = (probability > 0.5).astype(float)
    assert named("f1").of_set(label, asked) == pytest.approx(1 - metrics.f1_score(label, asked))


@pytest.mark.parametrize("name", ["auc", "average_precision", "f1", "rmse"])
def test_loss_of_no_row_is_not_defined(name):
    assert math.isnan(named(name).of_set(np.zeros(0), np.zeros(0)))


def test_f1_is_not_defined_where_no_one_has_or_is_given_the_class():
    assert math.isnan(named("f1").of_set(np.zeros(5), np.zeros(5)))
    assert named("f1").of_set(np.zeros(5), np.ones(5)) == 1.0


def test_auc_by_hand():
    # Of 2 x 2 pairs two are in order, one is tied and one is not: 2.5 of 4.
    assert auc(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.2, 0.6, 0.6, 0.3])) == 0.625


# -- direction, bounds and names -----------------------------------------------------------------


PERFECT = {
    "probability": (np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.01, 0.99, 0.01, 0.99])),
    "class": (np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.0, 1.0, 0.0, 1.0])),
    "value": (np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 2.0, 3.0, 4.0])),
}


@pytest.mark.parametrize("loss", NAMED.values(), ids=list(NAMED))
def test_every_named_loss_is_lower_for_the_better_model_and_within_its_bounds(loss):
    label, best = PERFECT[loss.predicts]
    worst = best[::-1]
    of = loss.of_set if loss.per == "set" else lambda y, p: loss.rows(y, p).mean()
    assert of(label, best) < of(label, worst)
    assert of(label, best) == pytest.approx(0.0, abs=0.02)
    for value in (of(label, best), of(label, worst)):
        assert loss.bounds[0] <= value <= loss.bounds[1]


def test_names_of_losses_are_their_keys():
    assert all(named(name) is loss for name, loss in NAMED.items() if not name.startswith("pinball"))
    assert all(named(name).name == name for name in NAMED)
    assert {loss.classifies for loss in NAMED.values() if loss.predicts != "value"} == {True}
    assert not named("squared").classifies


def test_metric_that_is_better_when_greater_is_turned_round():
    label, prediction = np.array([1.0, 2.0]), np.array([1.0, 5.0])
    hit = Loss(lambda y, p: (y == p).astype(float), "hit", better="greater", bounds=(0.0, 1.0))
    assert hit.rows(label, prediction).tolist() == [0.0, 1.0]
    profit = Loss(lambda y, p: p, "profit", better="greater")
    assert profit.rows(label, prediction).tolist() == [-1.0, -5.0]
    assert Loss(lambda y, p: p.sum(), "sales", per="set", better="greater").of_set(label, prediction) == -6.0
    assert Loss(lambda y, p: p.sum(), "waste", per="set").of_set(label, prediction) == 6.0


def test_bare_function_is_a_loss_per_row_of_a_value():
    def cubic(y, p):
        return np.abs(y - p) ** 3

    loss = named(cubic)
    assert (loss.name, loss.per, loss.predicts) == ("cubic", "row", "value")
    assert loss.rows(np.array([0.0]), np.array([2.0])).tolist() == [8.0]
    assert named(loss) is loss


def test_name_that_is_not_known_lists_those_that_are():
    with pytest.raises(AppError, match=r"loss: 'logless' is not known\. Name one of log_loss, brier, .*, or give a"):
        named("logless")


@pytest.mark.parametrize("name", ["pinball", "pinball_", "pinball_high", "pinball_-0.5", "0.9"])
def test_pinball_without_a_quantile_is_not_known(name):
    with pytest.raises(AppError, match=rf"loss: '{name}' is not known"):
        named(name)


@pytest.mark.parametrize("quantile", [0.0, 1.0, 1.5, -0.1])
def test_pinball_quantile_lies_between_zero_and_one(quantile):
    with pytest.raises(AppError, match=rf"the quantile {quantile} of the pinball loss must lie in \(0, 1\)"):
        pinball(quantile)


@pytest.mark.parametrize(("field", "word"), [("per", "batch"), ("predicts", "score"), ("better", "higher")])
def test_word_that_a_loss_does_not_know_is_refused(field, word):
    with pytest.raises(AppError, match=rf"loss\.{field}: '{word}' is not one of "):
        Loss(lambda y, p: y - p, "mine", **{field: word})


@pytest.mark.parametrize(
    ("function", "shape"),
    [(lambda y, p: (y - p).mean(), r"\(\)"), (lambda y, p: y[1:] - p[1:], r"\(2,\)"), (np.subtract.outer, r"\(3, 3\)")],
)
def test_function_that_gives_another_shape_is_told_so(function, shape):
    with pytest.raises(AppError, match=rf"loss: 'mine' gave shape {shape} for 3 rows\. Return one loss for each row"):
        Loss(function, "mine").rows(np.arange(3.0), np.zeros(3))


def test_errors_of_the_users_function_pass_through():
    with pytest.raises(ZeroDivisionError):
        Loss(lambda y, p: 1 / 0, "mine").rows(np.arange(3.0), np.zeros(3))
