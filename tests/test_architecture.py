"""The shape of the code is kept: layers, sizes, and a test for whatever is public."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "src" / "mlwild").rglob("*.py"))

#: Budgets; raising one is a line that somebody reviews.
LINES_A_MODULE = 400
LINES_A_FUNCTION = 75
POSITIONAL = 7


def _functions(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            yield node


def _body_lines(node):
    body = node.body
    if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:]
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def test_layers_are_kept():
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_modules_and_functions_stay_small(path):
    assert len(path.read_text().splitlines()) <= LINES_A_MODULE
    for node in _functions(path):
        assert _body_lines(node) <= LINES_A_FUNCTION, f"{path.name}: {node.name}"
        assert len(node.args.args) <= POSITIONAL, f"{path.name}: {node.name}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_nothing_swallows_an_error(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ExceptHandler):
            assert not all(isinstance(item, ast.Pass) for item in node.body), f"{path.name}, line {node.lineno}"
            assert node.type is not None, f"{path.name}, line {node.lineno}"


def test_only_the_clock_could_ask_the_time():
    for path in SOURCES:
        text = path.read_text()
        assert "datetime.now" not in text or path.name == "clock.py", path
        assert "time.time(" not in text, path


def test_public_names_exist_and_are_listed():
    import mlwild

    for name in mlwild.__all__:
        assert getattr(mlwild, name) is not None
    assert set(mlwild.__all__) == set(dir(mlwild))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = mlwild.nonsense


def test_no_merge_left_its_marks():
    texts = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *SOURCES, *(ROOT / "tests").rglob("*.py")]
    assert len(texts) > 500
    marks = tuple(one * 7 + " " for one in "<>|")
    assert [path for path in texts if any(line.startswith(marks) for line in path.read_text().splitlines())] == []
