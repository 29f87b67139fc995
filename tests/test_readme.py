"""What the README says can be run, runs."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

from mlwild.loading import load_app

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_python_example_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    block = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)[0]
    (tmp_path / "returns.py").write_text(block)
    monkeypatch.chdir(tmp_path)
    runpy.run_path("returns.py", run_name="__main__")
    assert "break-even" in capsys.readouterr().out
    assert (tmp_path / "returns.html").stat().st_size > 50_000


def test_a_command_on_the_python_example_takes_the_app_alone(tmp_path, monkeypatch, capsys):
    block = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)[0]
    (tmp_path / "returns.py").write_text(block)
    monkeypatch.chdir(tmp_path)
    assert load_app("returns.py").name == "returns"
    assert capsys.readouterr().out == ""
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".py"] in ([], ["__pycache__"])


def test_names_of_the_package_in_the_text_are_there_after_one_import():
    names = sorted(set(re.findall(r"\bmlwild\.(\w+\.\w+)\(", TEXT)))
    assert "serve.read_log" in names
    script = "import mlwild; " + "; ".join(f"mlwild.{name}" for name in names)
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_comparison_runs_as_it_stands(tmp_path, capsys):
    (block,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)[1:]
    (tmp_path / "compared.py").write_text(block)
    runpy.run_path(str(tmp_path / "compared.py"), run_name="__main__")
    assert capsys.readouterr().out.startswith("'new' is better than 'old'")


def test_every_make_target_and_verb_that_is_named_exists():
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"(?:`|^)make ([a-z-]+)", TEXT, re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    from mlwild.cli import cli

    verbs = {command.name or command.callback.__name__ for command in cli.registered_commands}
    verbs |= {group.name for group in cli.registered_groups}
    assert set(re.findall(r"^mlwild ([a-z]+)", TEXT, re.MULTILINE)) <= verbs


def test_every_field_of_the_app_is_explained():
    from dataclasses import fields

    from mlwild import App

    table = TEXT[TEXT.index("| field |") : TEXT.index("## How it works")]
    for field in fields(App):
        if field.name not in ("name", "min_rows", "frame", "root", "file"):
            assert f"`{field.name}`" in table, field.name


def test_every_link_leads_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (ROOT / target).exists(), target
