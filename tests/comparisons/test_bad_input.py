"""Input that cannot be compared, or only seems to: one sentence each, from `compare` and from the command."""

from __future__ import annotations

import csv
import math

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import mlwild as wild
from mlwild.cli import cli
from mlwild.comparisons import Counts, Folds, Losses, Runs, Strategies
from mlwild.errors import AppError, DataError
from tests.comparisons.test_comparing import APP

X = np.random.default_rng(0).random(60)
RUNS = np.random.default_rng(1).random((5, 6))
FEW = "and it takes 8."

#: What is given, with settings; and what must be among the sentences of the answer.
ANSWERED = {
    "identical in time": ({"a": X, "b": X}, {}, "'a' and 'b' lose the same on every row: these may be identical models."),
    "identical, many in time": ({"a": X, "b": X, "c": X}, {}, "All 3 models lose the same on every row: these may be one model."),
    "twins among many": ({"a": X, "b": X, "c": X[::-1]}, {}, "'a' and 'b' lose the same on every row: these may be one model."),
    "identical, independent": ({"a": X, "b": X}, {"order": "independent"}, "'a' and 'b' lose the same on every row: these may be identical models."),
    "identical, right or wrong": ({"a": X > 0.5, "b": X > 0.5}, {"order": "independent"}, "'a' and 'b' err on the same rows: these may be identical models."),
    "identical, many right or wrong": ({"a": X > 0.5, "b": X > 0.5, "c": X > 0.2}, {"order": "independent"}, "'a' and 'b' lose the same on every row: these may be one model."),
    "identical, running": ({"a": X, "b": X}, {"looking": "while running"}, "'a' and 'b' lose the same on every row: these may be identical models."),
    "identical, many running": ({"a": X, "b": X, "c": X}, {"looking": "while running"}, "'a' and 'c' lose the same on every row: these may be one model."),
    "identical folds": (Folds("ab", np.repeat(X[:10, None], 2, axis=1), 0.1), {}, "'a' and 'b' lose the same on every fold: these may be identical models."),
    "identical agents": (Runs({"a": RUNS, "b": RUNS}), {}, "'a' and 'b' have the same score in every run: these may be one agent."),
    "identical seeds": (Runs({"a": RUNS[:, :1], "b": RUNS[:, :1]}), {}, "'a' and 'b' have the same scores in every run: these may be one and the same."),
    "identical strategies": (Strategies("ab", np.repeat(X[:, None] - 0.4, 2, axis=1)), {}, "'a' and 'b' have the same return in every period: these may be one strategy."),
    "no errors at all": (Counts({"a": 0, "b": 0}, {"a": 50, "b": 60}), {}, "No answer of any of them is wrong: nothing can be told by such rows."),
    "constant, both": ({"a": np.full(50, 0.2), "b": np.full(50, 0.3)}, {}, "It cannot be told which of 'a' and 'b' is better: they differ by 0.1 on every row alike, which leaves no spread to judge it by."),
    "constant, many": ({"a": np.full(50, 0.2), "b": np.full(50, 0.3), "c": np.full(50, 0.4)}, {}, "It cannot be told which of 3 models is best: they differ by as much on every row, which leaves no spread to judge it by."),
    "constant, independent": ({"a": np.full(50, 0.2), "b": np.full(50, 0.3)}, {"order": "independent"}, "It cannot be told which of 'a' and 'b' is better: they differ by 0.1 on every row alike, which leaves no spread to judge it by."),
    "constant, one of many": ({"a": X, "b": np.full(60, 0.3), "c": X[::-1]}, {}, "'b' loses 0.3 on every row: is that a loss, or a column filled in?"),
    "constant folds": (Folds("ab", np.tile([0.2, 0.3], (10, 1)), 0.1), {}, "It cannot be told which of 'a' and 'b' is better: they differ by 0.1 on every fold alike, which leaves no spread to judge it by."),
    "constant 5x2 folds": (Folds("ab", np.tile([0.2, 0.3], (10, 1)), 0.5, "5x2"), {}, "It cannot be told which of 'a' and 'b' is better: they differ by 0.1 on every fold alike, which leaves no spread to judge it by."),
    "constant folds of three": (Folds("abc", np.column_stack([np.full(10, 0.2), np.full(10, 0.3), X[:10] + 1]), 0.1), {}, "'a' and 'b' differ by 0.1 on every fold alike, which leaves no spread to judge it by: were the folds scored one by one?"),
    "constant agents": (Runs({"a": np.full((5, 6), 0.5), "b": np.full((5, 6), 0.4)}), {}, "No run of 'a' and 'b' differs from another of its task: was the seed used? Without spread a difference cannot be judged."),
    "constant seeds": (Runs({"a": np.full((5, 1), 0.5), "b": np.full((5, 1), 0.4)}), {}, "It cannot be told which of 'a' and 'b' is better: no run differs from another of its side, so there is no spread to measure the uncertainty by."),
    "one row": ({"a": [0.1], "b": [0.2]}, {}, f"It cannot be told which of 'a' and 'b' is better: 1 row counts as 1.0 independent ones, {FEW}"),
    "few rows in time": ({"a": X[:6], "b": X[6:12]}, {}, f"It cannot be told which of 'a' and 'b' is better: 6 rows count as 2.4 independent ones, {FEW}"),
    "few independent rows": ({"a": X[:5], "b": X[5:10], "c": X[10:15]}, {"order": "independent"}, f"It cannot be told which of 3 models is best: 5 rows count as 5.0 independent ones, {FEW}"),
    "few blocks for late labels": (Losses("abc", np.random.default_rng(2).random((60, 3)), lag=30), {}, f"It cannot be told which of 3 models is best: 60 rows count as 2.0 independent ones, {FEW}"),
    "few rows while running": ({"a": X[:5], "b": X[5:10]}, {"looking": "while running"}, "Not settled after 5 rows"),
}  # fmt: skip


@pytest.mark.parametrize("case", ANSWERED)
def test_what_cannot_be_told_is_an_answer_that_names_nobody_best(case):
    given, settings, said = ANSWERED[case]
    found = wild.compare(given, **settings)
    assert any(sentence.startswith(said) for sentence in found.said), found.said
    if not case.endswith("one of many") and "three" not in case:
        assert found.best is None
    assert len(found.best_set) >= (1 if "one of many" in case else 2)


#: What is given, and the sentence that refuses it.
REFUSED = {
    "no model": ({}, AppError, "models: there is none: nothing to compare."),
    "one model": ({"a": X}, AppError, "models: there is one only, 'a': nothing to compare it with."),
    "one agent": (Runs({"a": RUNS}), AppError, "models: there is one only, 'a': nothing to compare it with."),
    "nan": ({"a": [0.1, 0.2], "b": [0.1, math.nan]}, DataError, "losses: the loss of 'b' is nan in row 1 (1 such value in all). Leave the row out for every model, or mend it."),
    "infinite": ({"a": [math.inf, 0.2], "b": [0.1, 0.1]}, DataError, "losses: the loss of 'a' is inf in row 0 (1 such value in all). Leave the row out for every model, or mend it."),
    "none": ({"a": [None, 0.2], "b": [0.1, 0.1]}, DataError, "losses: the loss of 'a' is nan in row 0 (1 such value in all). Leave the row out for every model, or mend it."),
    "strings": ({"a": ["low", 0.2], "b": [0.1, 0.1]}, DataError, "losses of 'a': hold something that is no number: could not convert string to float: 'low'."),
    "one number each": ({"a": 1.0, "b": 2.0}, DataError, "losses: those of 'a' have shape (), need one number a row."),
    "unpaired": ({"a": X, "b": X[1:]}, DataError, "losses: 'b' has 59 rows and 'a' 60: they are not of the same rows. Join them by the key of the row first; error counts of rows of their own go into Counts."),
    "unpaired index": ({"a": pd.Series(X), "b": pd.Series(X, index=np.arange(60)[::-1])}, DataError, "losses: row 0 is 0 of 'a' and 59 of 'b': they are not of the same rows. Join them by the index first."),
    "no row": ({"a": [], "b": []}, DataError, "losses: there is no row."),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_pair_of_losses_is_refused_in_one_sentence(case):
    given, error, said = REFUSED[case]
    with pytest.raises(error) as raised:
        wild.compare(given)
    assert str(raised.value) == said


def test_series_of_the_same_index_in_the_same_order_are_pairs():
    days = pd.date_range("2025-01-01", periods=60)
    made = {"a": pd.Series(X, index=days), "b": pd.Series(X[::-1], index=days), "c": list(X)}
    assert wild.compare(made).n == 60


def test_a_score_that_is_text_is_named_with_its_row():
    table = pd.DataFrame({"agent": list("aabb"), "task": ["go"] * 4, "score": ["1", "2", "fast", "3"]})
    with pytest.raises(DataError, match=r"column 'score' holds 'fast' in row 2; leave plain numbers in it\."):
        Runs.from_table(table)


def _sheet(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def _rows(score, seeds=10, models="ab"):
    head = [["model", "seed", "accuracy"]]
    return head + [[m, s, score(k, s)] for k, m in enumerate(models) for s in range(seeds)]


NOISE = np.random.default_rng(3).random((3, 30)).round(3)

#: Rows of a sheet, and a sentence of what is printed about it; `mlwild compare` ends with 0.
SHEETS_ANSWERED = {
    "identical over shared seeds": (_rows(lambda _, s: NOISE[0, s]), "'a' and 'b' lose the same on every seed: these may be identical models."),
    "identical over few seeds": (_rows(lambda _, s: NOISE[0, s], seeds=4), "'a' and 'b' have the same scores in every run: these may be one and the same."),
    "constant metric": (_rows(lambda *_: 0.9), "Every run has the same 'accuracy', 0.9: nothing can be told by it."),
    "each run once": ([["model", "accuracy"], ["a", 0.8], ["b", 0.9]], "each was run once, and luck cannot be told from skill."),
    "folds that are not shared": ([["model", "fold", "accuracy"], *(["a", k, NOISE[0, k]] for k in range(5)), *(["b", k + 3, NOISE[1, k]] for k in range(5))], "Configurations do not share all folds ('fold'), so nothing is paired."),
    "two folds": ([["model", "fold", "accuracy"], *([m, k, NOISE["ab".index(m), k]] for m in "ab" for k in range(2))], "No difference can be told between"),
}  # fmt: skip


@pytest.mark.parametrize("case", SHEETS_ANSWERED)
def test_a_sheet_by_which_nothing_can_be_told_gets_the_sentence(case, tmp_path):
    rows, said = SHEETS_ANSWERED[case]
    done = CliRunner().invoke(cli, ["compare", str(_sheet(tmp_path / "runs.csv", rows))])
    assert done.exit_code == 0, done.output
    assert said in " ".join(done.output.split())


#: Rows of a sheet, and the whole of what is printed; nothing is written.
SHEETS_REFUSED = {
    "one model": (_rows(lambda _, s: NOISE[0, s], models="a"), "mlwild: --by: there is one configuration only, 'a', by 'model': nothing to compare. Name other columns."),
    "nan": (_rows(lambda k, s: "nan" if (k, s) == (1, 0) else NOISE[k, s]), "mlwild: experiments: column 'accuracy' of runs.csv holds 'nan' in row 12 (1 such cell). Leave plain numbers in it; give a run that failed a score, or leave it out."),
    "strings": (_rows(lambda k, s: f"{NOISE[k, s]} %"), f"mlwild: experiments: column 'accuracy' of runs.csv holds '{NOISE[0, 0]} %' in row 2 (20 such cells). Leave plain numbers in it; give a run that failed a score, or leave it out."),
    "two headers": ([["model", "seed", "accuracy"], ["name", "nr", "mean"], ["a", 0, 0.8], ["b", 0, 0.9]], "mlwild: experiments: row 2 of runs.csv (name, nr, mean) looks like a second header: it holds no number, and rows below do. Leave one header row."),
    "unpaired tasks": ([["model", "task", "accuracy"], ["a", "x", 0.9], ["a", "y", 0.9], ["b", "x", 0.7]], "mlwild: experiments: 'b' has no run on task 'y'. Give every configuration the same ones, or leave it out for all."),
}  # fmt: skip


@pytest.mark.parametrize("case", SHEETS_REFUSED)
def test_a_bad_sheet_is_refused_in_one_sentence_and_nothing_is_written(case, tmp_path):
    rows, said = SHEETS_REFUSED[case]
    path, outs = _sheet(tmp_path / "runs.csv", rows), [tmp_path / "out.json", tmp_path / "out.html"]
    done = CliRunner().invoke(cli, ["compare", str(path), "--json", str(outs[0]), "--card", str(outs[1])])
    assert done.exit_code in (2, 4)
    assert done.output == f"{said}\n"
    assert not any(out.exists() for out in outs)


def test_two_header_rows_of_a_workbook_are_refused_too(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in SHEETS_REFUSED["two headers"][0]:
        book.active.append(row)
    book.save(tmp_path / "runs.xlsx")
    with pytest.raises(DataError, match=r"row 2 of runs\.xlsx \(name, nr, mean\) looks like a second header"):
        wild.compare(tmp_path / "runs.xlsx")


@pytest.mark.parametrize(
    ("models", "code", "said"),
    [
        ('"line": Line()', 2, "models: 'two' has one model, 'line': nothing to compare it with."),
        ('"line": Line(), "same": Line()', 0, "'line' and 'same' lose the same on every row: these may be identical models."),
    ],
)  # fmt: skip
def test_an_app_with_one_model_or_twice_the_same_gets_the_sentence(models, code, said, tmp_path):
    path = tmp_path / "app.py"
    path.write_text(APP.replace("MODELS", models))
    done = CliRunner().invoke(cli, ["compare", str(path), "--store", str(tmp_path / "store"), "--jobs", "1"])
    assert done.exit_code == code
    assert said in " ".join(done.output.split())
