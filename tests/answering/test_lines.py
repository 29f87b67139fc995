"""JSON lines as an input: each row names its fields, and the file as a whole is held against what the app reads."""

import json

import pytest

import mlwild as wild
from mlwild.answering.batch import Predicted
from mlwild.errors import DataError
from mlwild.show.prediction import headline, show_predicted


def _written(folder, rows):
    (folder / "in.jsonl").write_text("".join(json.dumps(one, default=str) + "\n" for one in rows.to_dict("records")))
    return folder / "in.jsonl"


def test_a_column_that_no_line_names_is_refused_and_answered_on_request(operated, rows, tmp_path):
    read = _written(tmp_path, rows.iloc[:1500].drop(columns="z").assign(extra=1))
    with pytest.raises(DataError, match=r"no column 'z'; it has id, when.* --absent"):
        wild.predict(operated, read, tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()
    found = wild.predict(operated, read, tmp_path / "out.csv", absent=True)
    assert (found.status["normal"], found.unread) == (0, ("extra",))


def test_a_misspelt_column_is_refused(operated, rows, tmp_path):
    with pytest.raises(DataError, match="no column 'z'; it has .*Z"):
        wild.predict(operated, _written(tmp_path, rows.iloc[:30].rename(columns={"z": "Z"})), tmp_path / "out.csv")


def test_a_field_that_some_lines_lack_is_told_of_those(operated, rows, tmp_path):
    made = [{name: value for name, value in one.items() if name != "z" or place % 3} for place, one in enumerate(
        rows.iloc[:30].to_dict("records")
    )]  # fmt: skip
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(one, default=str) + "\n" for one in made))
    found = wild.predict(operated, tmp_path / "in.jsonl", tmp_path / "out.csv")
    assert sum(n for cause, n in found.causes.items() if "absent: z" in cause) == 10


def test_lines_that_cannot_be_read_at_all_are_rows_that_say_so(operated, tmp_path):
    (tmp_path / "in.jsonl").write_text("nothing\n[1]\n")
    found = wild.predict(operated, tmp_path / "in.jsonl", tmp_path / "out.csv")
    assert (found.rows, found.status["normal"]) == (2, 0)


@pytest.mark.parametrize(
    ("refused", "said"), [(0, "8 rows answered by"), (3, "8 rows, 5 of them answered by"), (8, "8 rows, none of them")]
)
def test_who_was_refused_is_not_told_as_answered(tmp_path, refused, said):
    status = {"normal": 8 - refused, "degraded": 0, "fallback": 0, "refused": refused}
    assert said in headline(Predicted(tmp_path / "out.csv", 8, status, {}, "3", 0, (), 1.0))


@pytest.mark.parametrize(
    ("unread", "said"),
    [
        (("",), "Not read: a column without a name."),
        (("a", ""), "Not read: a, a column without a name."),
        (tuple("abcdefghijklmn"), "Not read: a, b, c, d, e, f, g, h, i, j, k, l and 2 more."),
    ],
)
def test_columns_that_nothing_reads_are_named_or_counted(tmp_path, capsys, unread, said):
    status = {"normal": 1, "degraded": 0, "fallback": 0, "refused": 0}
    show_predicted(Predicted(tmp_path / "out.csv", 1, status, {}, "8", 0, unread, 0.1))
    assert said in capsys.readouterr().out
