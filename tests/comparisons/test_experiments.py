"""Spreadsheets of past experiments: what the columns are taken for, what is refused, what is said."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

import mlwild as wild
from mlwild.cli import cli
from mlwild.comparisons import Folds, Losses, Runs, read_experiments
from mlwild.comparisons.schema import direction, infer
from mlwild.errors import AppError, DataError, MissingPackageError


@pytest.fixture
def sheet(tmp_path):
    """Write rows as CSV and return the path."""

    def write(rows, name="runs.csv"):
        path = tmp_path / name
        with path.open("w", newline="") as file:
            csv.writer(file).writerows(rows)
        return path

    return write


def _grid(models, seeds, gain=0.1, spread=0.01, seed=0):
    rng = np.random.default_rng(seed)
    rows = [["model", "lr", "seed", "data_version", "split", "test_accuracy", "val_loss", "run_id"]]
    for place, model in enumerate(models):
        for number in range(seeds):
            score = 0.5 + gain * place + spread * rng.normal()
            rows.append([model, 0.1, number, "v1", "test", round(score, 4), 0.3, f"r{len(rows)}"])
    return rows


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("val_AUC", "greater"),
        ("testAccuracy", "greater"),
        ("mean return", "greater"),
        ("log-loss", "lower"),
        ("RMSE", "lower"),
        ("error_rate", "lower"),
        ("quality", None),
        ("max_depth", None),
        ("learning_rate", None),
    ],
)
def test_direction_is_read_off_the_name(name, better):
    assert direction(name) == better


def test_columns_are_taken_for_what_they_are(sheet):
    found = read_experiments(sheet(_grid("ab", 4)))
    schema = found.schema
    assert (schema.metric, schema.better, schema.configuration) == ("test_accuracy", "greater", ("model", "lr"))
    assert (schema.seed, schema.data, schema.split, schema.task) == ("seed", "data_version", "split", None)
    assert found.findings == ()
    assert wild.compare(found).best == "b"


def test_what_the_user_says_goes_first():
    columns = {"arm": ["x", "y"], "kind": ["p", "q"], "nr": [1, 2], "quality": [0.1, 0.2], "acc": [0.3, 0.4]}
    schema = infer(columns, metric="quality", better="lower", by=["kind"], seed="nr")
    assert (schema.metric, schema.better, schema.configuration, schema.seed) == ("quality", "lower", ("kind",), "nr")
    with pytest.raises(AppError, match="--metric: there is no column 'auc'; there is 'arm'"):
        infer(columns, metric="auc")
    with pytest.raises(AppError, match="'quality' does not say whether greater or lower is better"):
        infer(columns, metric="quality")


def test_the_procedure_follows_what_is_shared(sheet):
    rng = np.random.default_rng(1)
    few = read_experiments(sheet(_grid("ab", 4)))
    assert isinstance(few.given, Runs)
    assert wild.compare(few).method == "Welch's t over seeds"
    paired = read_experiments(sheet(_grid("ab", 12)))
    assert isinstance(paired.given, Losses)
    assert wild.compare(paired).method == "paired t"
    folds = [["algo", "fold", "error"]] + [[m, k, 0.2 + 0.1 * rng.random()] for m in "abc" for k in range(10)]
    found = read_experiments(sheet(folds))
    assert isinstance(found.given, Folds)
    assert found.given.test_share == pytest.approx(0.1)
    tasks = [["agent", "game", "seed", "return"]]
    tasks += [[m, g, s, rng.random()] for m in "abc" for g in ("go", "pong") for s in range(5)]
    found = read_experiments(sheet(tasks))
    assert found.given.tasks == ["go", "pong"]
    assert wild.compare(found).situation == "runs"
    once = [["agent", "dataset", "accuracy"]] + [[m, f"d{k}", rng.random()] for m in "ab" for k in range(15)]
    found = read_experiments(sheet(once))
    assert found.given.unit == "task"
    assert wild.compare(found).situation == "two independent"


def test_training_rows_and_earlier_epochs_are_left_out_and_it_is_said(sheet):
    rows = [["model", "seed", "split", "epoch", "acc"]]
    for model, base in (("a", 0.6), ("b", 0.8)):
        for seed in range(3):
            for epoch in range(5):
                rows.append([model, seed, "train", epoch, 0.99])
                rows.append([model, seed, "test", epoch, base + 0.001 * seed - 0.01 * epoch])
    found = read_experiments(sheet(rows))
    assert found.rows == 6
    assert found.given.scores["a"][:, 0].max() < 0.57
    assert any("on the split 'test' alone" in said for said in found.findings)
    assert any("the last one of each is compared, not the best" in said for said in found.findings)


def test_what_is_missing_is_named(sheet):
    found = read_experiments(sheet([["model", "acc"], ["a", 0.8], ["b", 0.9]]))
    text = " ".join(found.findings)
    for word in ("names the seed", "version of the data", "names the split"):
        assert word in text
    answer = wild.compare(found)
    assert answer.best is None
    assert "each was run once" in answer.said[0]


def test_best_of_many_data_versions_and_uneven_runs_are_named(sheet):
    rows = _grid("abcdef", 3)
    found = read_experiments(sheet(rows))
    assert any(said.startswith("Best of many: if all 6 configurations were equal") for said in found.findings)
    for row in rows[1:]:
        row[3] = f"v-{row[0]}"
    found = read_experiments(sheet(rows[:-1]))
    assert any("on a version of the data of its own" in said for said in found.findings)
    assert any("not run equally often: 'a' 3 times, 'f' 2" in said for said in found.findings)


def test_runs_that_did_not_end_well_are_left_out_and_it_is_said(sheet):
    rows = [[*row, "status" if row[0] == "model" else "FINISHED"] for row in _grid("ab", 4)]
    assert read_experiments(sheet(rows)).findings == ()
    rows[-1][-1], rows[-1][5] = "Failed", 0.99
    rows[2][-1], rows[2][5] = "killed", ""  # without a score: it is not asked for one
    found = read_experiments(sheet(rows))
    assert found.rows == 6
    assert found.schema.status == "status"
    assert found.findings[0].startswith(
        "2 runs did not end well ('status': 'killed' and 'Failed') and are left out: the latest run is not the latest good"
    )
    for row in rows[1:]:
        row[-1] = "crashed"
    with pytest.raises(DataError, match="no run ended well by column 'status' \\('crashed'\\)"):
        read_experiments(sheet(rows))


def test_a_state_of_a_country_is_no_status(sheet):
    rows = [
        ["model", "state", "seed", "acc"],
        *([m, c, s, 0.5 + 0.01 * s] for m in "ab" for c in ("NY", "CA") for s in (0, 1)),
    ]
    assert read_experiments(sheet(rows)).schema.configuration == ("model", "state")


def test_a_choice_by_test_rows_is_named(sheet):
    def said(columns, n=2, split="test"):
        head = ["model", "seed", "data_version", "split", *columns]
        rows = [
            [f"m{k}", s, "v1", split, *(0.5 + 0.01 * s + 0.1 * k for _ in columns)] for k in range(n) for s in range(3)
        ]
        return " ".join(read_experiments(sheet([head, *rows])).findings)

    assert "Compared on test rows ('test_acc'), though there are others to choose by ('val_acc')" in said(
        ["val_acc", "test_acc"]
    )
    assert "test rows" not in said(["val_loss", "test_acc"])  # another measure
    assert "test rows" not in said(["val_acc"], split="valid")
    assert "test rows" not in said(["acc"])  # two: a last comparison
    assert "6 configurations were scored on test rows ('acc')" in said(["acc"], n=6)
    assert "test rows" not in said(["acc"], n=6, split="valid")
    both = [
        ["model", "seed", "split", "acc"],
        *([m, s, p, 0.5 + s / 9] for m in "ab" for s in (0, 1) for p in ("test", "valid")),
    ]
    assert "others to choose by ('valid')" in " ".join(read_experiments(sheet(both)).findings)


def test_strict_makes_findings_an_error(sheet):
    clean, bad = sheet(_grid("ab", 3)), sheet([row[:3] + row[4:] for row in _grid("ab", 3)], "bad.csv")
    for path, strict, code in ((clean, True, 0), (bad, False, 0), (bad, True, 1)):
        done = CliRunner().invoke(cli, ["compare", str(path), *(["--strict"] if strict else [])])
        assert done.exit_code == code, done.output
        assert ("No column names the version of the data" in " ".join(done.output.split())) == (path == bad)


def test_repeated_rows_count_once_and_constant_metrics_are_named(sheet):
    rows = _grid("ab", 3)
    found = read_experiments(sheet([*rows, rows[2]]))
    assert found.rows == 6
    assert "row 8 repeats row 3" in found.findings[0]
    same = [["model", "seed", "acc"], *([m, s, 0.9] for m in "ab" for s in range(3))]
    found = read_experiments(sheet(same))
    assert any("Every run has the same 'acc'" in said for said in found.findings)
    assert wild.compare(found).best is None


BAD = {
    "one configuration": ([["model", "acc"], ["a", 0.1], ["a", 0.2]], AppError, "one configuration only, 'a'"),
    "strings": (
        [["model", "acc"], ["a", "0.9"], ["b", "0.91 (best)"]],
        DataError,
        "column 'acc' of runs.csv holds '0.91 \\(best\\)' in row 3",
    ),
    "two headers": ([["m", "acc"], ["name", "mean"], ["a", 0.1]], DataError, "row 2 of .* looks like a second header"),
    "two headers, merged": (
        [["m", "score", "score"], ["", "acc", "f1"], ["a", 0.1, 0.2]],
        DataError,
        "row 2 of .* looks like a second header",
    ),
    "two columns": ([["m", "acc", "acc"], ["a", 0.1, 0.2]], DataError, "two columns 'acc'"),
    "empty": ([], DataError, "runs.csv is empty"),
    "header only": ([["model", "acc"]], DataError, "holds a header \\(model, acc\\) and no row"),
    "no header": ([[1, 0.9], [2, 0.8]], DataError, "has no header"),
    "doubles": (
        [["model", "seed", "acc"], ["a", 0, 0.9], ["b", 0, 0.8], ["a", 0, 0.7]],
        DataError,
        "'a' with seed 0 is there twice, with acc 0.9 and 0.7 \\(rows 2 and 4\\)",
    ),
    "gap": ([["model", "acc"], ["a", 0.9], ["b", ""]], DataError, "holds nothing in row 3"),
    "short row": ([["model", "seed", "acc"], ["a", 0, 0.9], ["b", 0]], DataError, "row 3 of runs.csv has 2 cells"),
    "long row": ([["model", "acc"], ["a", 0.9, 5], ["b", 0.8]], DataError, "row 2 of runs.csv has 3 cells"),
    "no metric": ([["model", "kind"], ["a", "x"], ["b", "y"]], AppError, "no column is named like a metric"),
    "tasks missing": (
        [["model", "task", "acc"], ["a", "x", 0.9], ["a", "y", 0.9], ["b", "x", 0.7]],
        DataError,
        "'b' has no run on task 'y'",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_sheets_are_refused_in_one_sentence_and_nothing_is_written(case, sheet, tmp_path):
    rows, error, said = BAD[case]
    path = sheet(rows)
    with pytest.raises(error, match=said):
        read_experiments(path)
    out = tmp_path / "out.json"
    done = CliRunner().invoke(cli, ["compare", str(path), "--json", str(out)])
    assert done.exit_code == (2 if error is AppError else 4)
    assert done.output.startswith("mlwild: ")
    assert done.output.count("\n") == 1
    assert not out.exists()


def test_files_that_are_none_are_refused(tmp_path):
    with pytest.raises(AppError, match="there is no file"):
        read_experiments(tmp_path / "no.csv")
    odd = tmp_path / "x.docx"
    odd.write_text("x")
    with pytest.raises(AppError, match=r"neither .csv"):
        read_experiments(odd)
    broken = tmp_path / "x.parquet"
    broken.write_text("x")
    with pytest.raises(DataError, match="cannot be read"):
        read_experiments(broken)
    latin = tmp_path / "x.csv"
    latin.write_bytes("modell,genauigkeit\nä,0.5\n".encode("latin-1"))
    with pytest.raises(DataError, match="no text in UTF-8"):
        read_experiments(latin)


def test_semicolons_frames_parquet_and_workbooks_are_read(sheet, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet

    rows = _grid("ab", 3)
    csv_read = read_experiments(sheet(rows)).given.scores
    (tmp_path / "s.csv").write_text("\n".join(";".join(map(str, row)) for row in rows), encoding="utf-8-sig")
    table = pa.table({name: [row[k] for row in rows[1:]] for k, name in enumerate(rows[0])})
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    for given in (tmp_path / "s.csv", table, tmp_path / "t.parquet"):
        scores = read_experiments(given).given.scores
        assert {name: one.tolist() for name, one in scores.items()} == {k: v.tolist() for k, v in csv_read.items()}


def test_a_workbook_without_its_reader_is_said(tmp_path):
    path = tmp_path / "x.xlsx"
    path.write_bytes(b"PK")
    try:
        import openpyxl  # noqa: F401
    except ImportError:
        with pytest.raises(MissingPackageError, match="needs openpyxl, which is not installed. Hint: pip install"):
            read_experiments(path)
    else:
        with pytest.raises(DataError, match="is no workbook"):
            read_experiments(path)


def test_a_workbook_is_read(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in _grid("ab", 3):
        book.active.append(row)
    book.save(tmp_path / "x.xlsx")
    assert wild.compare(tmp_path / "x.xlsx").best == "b"


def test_the_command_prints_the_verdict_first_and_writes_json(sheet, tmp_path):
    out = tmp_path / "out.json"
    done = CliRunner().invoke(
        cli, ["compare", str(sheet(_grid("abc", 5))), "--metric", "test_accuracy", "--by", "model", "--json", str(out)]
    )
    assert done.exit_code == 0, done.output
    assert done.output.strip().startswith("runs.csv: 'c' is the best of 3 (95%).")
    assert "Why this procedure: Welch's t over seeds." in done.output
    made = json.loads(out.read_text())
    assert made["best"] == "c"
    assert made["schema"]["configuration"] == ["model"]
    assert [record["name"] for record in made["models"]] == ["c", "b", "a"]


def test_lower_is_better_where_it_is_said(sheet):
    rows = [["model", "seed", "quality"], *([m, s, v + 0.01 * s] for m, v in (("a", 1), ("b", 2)) for s in range(4))]
    done = CliRunner().invoke(cli, ["compare", str(sheet(rows)), "--metric", "quality", "--better", "lower"])
    assert "'a' is better than 'b'" in done.output


def test_luck_is_not_called_the_best_of_many_configurations(sheet):
    # 40 sheets of 30 equal configurations with 3 seeds each
    best = [
        wild.compare(read_experiments(sheet(_grid([f"m{k}" for k in range(30)], 3, gain=0.0, seed=draw)))).best
        for draw in range(40)
    ]
    assert sum(name is not None for name in best) <= 2
