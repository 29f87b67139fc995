"""Columns that an app once had: what is noted of them, and what is not written over."""

from __future__ import annotations

import pytest

from mlwild.answering.formerly import FILE, with_past
from mlwild.columns import Column, Columns
from mlwild.errors import StoreError

AT, X = Column("at", "time"), Column("x", "number")


def test_what_was_hidden_once_is_past_too(tmp_path):
    with_past(Columns((AT, X), ("y",), "at", None), tmp_path)
    assert with_past(Columns((AT,), (), "at", None), tmp_path).past == ("x", "y")
    assert with_past(Columns((AT, X), ("y",), "at", None), tmp_path).past == ()


def test_a_note_that_cannot_be_read_is_told_and_not_written_over(tmp_path):
    (tmp_path / FILE).mkdir()
    with pytest.raises(StoreError, match=r"columns\.json cannot be read: Is a directory"):
        with_past(Columns((AT,), ("y",), "at", None), tmp_path)
    assert (tmp_path / FILE).is_dir()


@pytest.mark.parametrize("text", ["", "[", "{}", '[{"asked": 1}]', "[[1]]", "\xff"])
def test_a_damaged_note_begins_anew(text, tmp_path):
    (tmp_path / FILE).write_text(text, encoding="latin-1")
    assert with_past(Columns((AT, X), ("y",), "at", None), tmp_path).past == ()
    assert with_past(Columns((AT,), ("y",), "at", None), tmp_path).past == ("x",)
