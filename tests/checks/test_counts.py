"""Counts of labels that include the row's own: found where they stand in the data, and honest ones are not accused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import mlwild as wild
from tests.support import Logit, small_app

WORDS = ["barely", "false", "true"]


def statements(n: int = 3000, seed: int = 0) -> pd.DataFrame:
    """One row a statement of a speaker; its columns count what the speaker said before."""
    rng = np.random.default_rng(seed)
    speaker = rng.integers(0, 120, n)
    false = (rng.random(n) < 0.2 + 0.5 * (speaker % 5 == 0)).astype(int)
    rows = pd.DataFrame(
        {"when": np.arange(n), "known": np.arange(n) + 5, "speaker": speaker, "length": rng.poisson(40, n)}
    )
    rows["party"], rows["y"] = np.array(["left", "right"])[speaker % 2], false
    of = rows.groupby("speaker")["y"]
    return rows.assign(
        earlier=of.cumsum() - false,
        late=(of.cumsum() - false).groupby(speaker).shift(2).fillna(0),
        running=of.cumsum(),
        offset=of.cumsum() + 7 * speaker,
        total=of.transform("sum"),
        mean=of.transform("mean"),
        by_party=rows.groupby("party")["y"].cumsum(),
        said=of.cumcount(),
        often=of.transform("size"),
    )


def found(columns, rows=None, **changes):
    data = statements() if rows is None else rows
    fields = {"features": lambda frame: frame[["length", *columns]], "models": {"logit": Logit()}, "loss": "log_loss"}
    app = small_app(data, every=300, start=600, **(fields | changes))
    return [one for one in wild.check(app).findings if one.check == "label counts"]


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("running", "feature 'running' counts the labels of its 'speaker', that of its own row among them"),
        ("offset", "feature 'offset' counts the labels of its 'speaker', that of its own row among them"),
        ("total", "feature 'total' is the sum of all labels of its 'speaker'"),
        ("mean", "feature 'mean' is the mean of all labels of its 'speaker'"),
        ("by_party", "feature 'by_party' counts the labels of its 'party'"),
    ],
)
def test_a_count_with_its_own_label_is_red(column, said):
    (one,) = found([column])
    assert (one.verdict, one.column) == ("fail", column)
    assert one.said.startswith(said)
    assert "that of its own row" in one.said


def test_the_entity_is_a_group_too():
    (one,) = found(["total"], entity="speaker")
    assert one.verdict == "fail"


def test_gaps_in_a_few_rows_do_not_hide_it():
    rows = statements()
    rows.loc[[5, 900], "running"] = [99, 0]
    (one,) = found(["running"], rows)
    assert one.verdict == "fail"


def test_honest_counts_are_green():
    (one,) = found(["earlier", "late", "said", "often"])
    assert one.verdict == "pass"
    assert one.said == "none of 5 features counts its own label by any of 10 columns that name a group"


def test_several_kinds_and_numbers_are_counted():
    rows = statements()
    rng = np.random.default_rng(1)
    rows["y"] = rng.integers(0, 3, len(rows))
    rows["second"] = (rows["y"] == 1).groupby(rows["speaker"]).transform("sum")
    (one,) = found(["second"], rows)
    assert "'second' is the sum" in one.said
    rows["y"] = rng.normal(size=len(rows))
    rows["level"], rows["earlier"] = (
        rows.groupby("speaker")["y"].transform("mean"),
        rows.groupby("speaker")["y"].cumsum() - rows["y"],
    )
    assert [one.column for one in found(["level", "earlier"], rows, loss="squared", models={"zero": zero})] == ["level"]


def zero(X, y):
    return lambda X: np.zeros(len(X))


def test_honest_data_are_not_accused_over_draws():
    """60 draws of eight honest columns: none may be accused, since agreement in 99 % of the telling rows is no chance."""
    for seed in range(60):
        rng = np.random.default_rng(seed)
        rows = statements(600, seed)[
            ["when", "known", "speaker", "party", "y", "length", "earlier", "late", "said", "often"]
        ]
        rows = rows.assign(coin=rng.integers(0, 2, 600), few=rng.integers(0, 3, 600), share=rng.random(600))
        app = small_app(
            rows,
            every=100,
            start=200,
            features=honest,
            models={"zero": zero},
            loss="brier",
        )
        assert [one.verdict for one in label_counts_of(app)] == ["pass"]


def honest(frame):
    return frame[["length", "earlier", "late", "said", "often", "coin", "few", "share"]]


def label_counts_of(app):
    from mlwild.checks.counts import label_counts
    from mlwild.triangle.survey import lay_survey, read_events

    events, tables = read_events(app)
    return label_counts(app, events, lay_survey(app, events, tables))
