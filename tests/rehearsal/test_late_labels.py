"""Where bad outcomes are known before good ones, the newest periods look worse than any: they are not judged alone."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import mlwild as wild

DAYS = 400


def _loans(*, until):
    """Return loans: who fails is known within 90 days, who does not after 90; nothing is known after an instant."""
    rng = np.random.default_rng(0)
    n = 6000
    day, x = np.sort(rng.integers(0, DAYS, n)), rng.normal(size=n)
    fails = rng.random(n) < 1 / (1 + np.exp(2 - 1.5 * x))
    known = pd.Series(day + np.where(fails, rng.integers(5, 90, n), 90), dtype="Int64")
    rows = pd.DataFrame({"day": day, "x": x, "fails": fails.astype(float), "known": known.where(known <= until)})
    rows.loc[rows["known"].isna(), "fails"] = np.nan
    return wild.App(
        name="loans", data=lambda: rows, time="day", label="fails", known_at="known", features=lambda rows: rows[["x"]],
        models={"line": LogisticRegression()}, loss="log_loss", every=20, start=120, fallback=[],
    )  # fmt: skip


def test_the_worst_period_is_one_of_which_about_all_labels_are_there(tmp_path):
    now, later = (wild.rehearse(_loans(until=until), store=tmp_path, jobs=1).sheet for until in (DAYS, np.inf))
    worst, stage = now["worst_period"], now["fallback"]["stages"][0]["worst"]
    assert int(stage["to"]) <= DAYS - 90 + 20
    assert worst["to"] == stage["to"]
    assert worst["searched"] == now["cutoffs"].index(next(one for one in now["cutoffs"] if int(one) > DAYS - 110))
    # Of the failures alone, which are known first, it would be 1 and more.
    assert worst["loss"] == pytest.approx(later["worst_period"]["loss"], abs=0.05)
    said = next(one for one in now["unknown"] if "may still wait for many of their labels" in one)
    assert said.startswith(
        f"{len(now['cutoffs']) - worst['searched']} of {len(now['cutoffs'])} periods, the first from "
    )
    assert not any("may still wait" in one for one in later["unknown"])
    assert later["worst_period"]["searched"] == len(later["cutoffs"])
