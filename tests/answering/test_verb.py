"""The verb: what is printed, and exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import mlwild as wild

PREDICT = [sys.executable, "-m", "mlwild.cli", "predict"]


def run(file, *words, code=0):
    """Run the verb in a process of its own, elsewhere than the app."""
    done = subprocess.run(
        [*PREDICT, str(file), *map(str, words)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done


def test_the_summary_says_rows_statuses_and_causes(operated, rows, tmp_path):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    rows.assign(extra=1).to_csv(source, index=False)
    words = ("--input", source, "--output", out, "--json", tmp_path / "sheet.json")
    said = run(operated, *words).stdout
    assert "out.csv: 4,321 rows answered by vintage 6 in" in said
    assert "normal" in said
    assert "fallback" in said
    assert "z has stood still for more than 20 rows" in said
    assert "#" not in said
    assert "Not read: extra." in said
    sheet = json.loads((tmp_path / "sheet.json").read_text())
    assert sheet["rows"] == 4_321 == sum(sheet["status"].values())
    again = run(operated, *words, code=2).stderr
    assert again.endswith("is there already. Replace it with --force, or name another.\n")
    assert again.count("\n") == 1


def test_refused_rows_are_exit_code_1_and_there_all_the_same(app_file, rows, tmp_path):
    import shutil

    from mlwild.rules import Every

    shutil.rmtree(app_file.parent / ".mlwild")
    app_file.write_text(
        app_file.read_text().replace('    fallback=["flat"],\n', "    guard=wild.Guard(refuse=1e-9),\n")
    )
    wild.operate(wild.load_app(app_file), rule=Every(1), at="2026-01-17", begin="2026-01-15", jobs=1)
    rows.iloc[:20].to_csv(tmp_path / "in.csv", index=False)
    done = run(app_file, "-i", tmp_path / "in.csv", "-o", tmp_path / "out.jsonl", code=1)
    assert "refused" in done.stdout
    said = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [one["id"] for one in said] == list(range(20))
    assert {(one["value"], one["status"]) for one in said} == {(None, "refused")}


def test_an_app_that_is_not_in_operation_is_one_sentence(app_file, rows, tmp_path):
    import shutil

    shutil.rmtree(app_file.parent / ".mlwild")
    rows.iloc[:20].to_csv(tmp_path / "in.csv", index=False)
    done = run(app_file, "-i", tmp_path / "in.csv", "-o", tmp_path / "out.csv", code=2)
    assert "is not in operation" in done.stderr
    assert sorted(one.name for one in tmp_path.iterdir()) == ["app", "in.csv"]


def test_interrupted_it_says_so_and_goes_on(operated, tmp_path):
    source, out = tmp_path / "in.parquet", tmp_path / "out.csv"
    frame = wild.load_app(operated).data.__globals__["rows"](seed=2, n=200_000).drop(columns="y")
    frame.to_parquet(source)
    words = [*PREDICT, str(operated), "--input", str(source), "--output", str(out)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    journal = tmp_path / ".out.csv.predict" / "journal.json"
    while process.poll() is None and not (journal.exists() and json.loads(journal.read_text())["rows"]):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "run the same command to go on" in errors
    assert not out.exists()
    said = run(operated, "--input", source, "--output", out).stdout
    assert "of them before the stop" in said
    assert out.read_bytes().count(b"\n") == 200_001


def test_a_reader_who_leaves_changes_neither_the_answers_nor_the_exit_code(operated, rows, tmp_path):
    """As in `mlwild predict ... | head -1`: it ended with a traceback of the library, as if the app had left."""
    rows.head(50).to_csv(tmp_path / "in.csv", index=False)
    words = ("--input", tmp_path / "in.csv", "--output", tmp_path / "out.csv")
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [*PREDICT, str(operated), *map(str, words)], stdout=write, stderr=subprocess.PIPE, text=True, check=False
        )
    finally:
        os.close(write)
    said = done.stderr
    assert done.returncode == 0, said
    assert "raised" not in said
    assert "Traceback" not in said
    assert (tmp_path / "out.csv").exists()
