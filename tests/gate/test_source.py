"""Faults that can be read in the source of a test, and honest tests that must not be accused."""

from __future__ import annotations

import ast
import importlib.util
import textwrap
import warnings
from pathlib import Path

import pytest

from mlwild.gate.faults import chance, vain
from mlwild.gate.source import faults_of


def read(tmp_path, body, arguments="model, events"):
    """Return the faults of a test with a body, as it would stand in a file."""
    file = tmp_path / "some_tests.py"
    file.write_text(f"def test_it({arguments}):\n" + textwrap.indent(textwrap.dedent(body).strip("\n"), "    ") + "\n")
    spec = importlib.util.spec_from_file_location("some_tests", file)
    module = importlib.util.module_from_spec(spec)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # Python itself warns of some
        spec.loader.exec_module(module)
    return faults_of(module.test_it)


FAULTY = {
    "asserts nothing": ("print(model.name)", "asserts nothing and returns nothing"),
    "is swallowed": ("try:\n    assert model.size < 1\nexcept Exception:\n    print('well')", "is caught, so that it cannot fail"),
    "exact floats": ("assert model.mean_loss(events) == 0.25", "exactly equal"),
    "one tail by name": ("assert ttest_rel(a, b, alternative='less').pvalue < 0.05", "one tail only"),
    "half a p-value": ("t, p = ttest_rel(a, b)\nassert p / 2 < 0.05", "makes one tail of two after the fact"),
    "half a p-value, by attribute": ("assert wilcoxon(a, b).pvalue * 0.5 < 0.05", "makes one tail of two"),
    "a large p-value": ("stat, p = ks_2samp(a, b)\nassert p > 0.05", "passes the more easily the fewer rows there are"),
    "a large p-value, turned": ("assert 0.05 < result.pvalue", "passes the more easily"),
    "hidden NaN": ("assert np.nanmean(model.losses(events)) < 0.3", "turns NaN into a number"),
    "hidden by fillna": ("assert losses.fillna(0).mean() < 0.3", "turns NaN into a number"),
    "a missing measure": ("assert report.get('gap', 0.0) < 0.1", "takes a measure that is missing for 0.0"),
    "a tuple": ("assert (model.size < 1, 'too large')", "always true"),
    "a constant": ("assert True", "looks at nothing"),
    "a constant, with or": ("assert model.size < 1 or True", "looks at nothing"),
    "a method that is not called": ("assert (model.losses(events) < 1).all", "is not called"),
    "compared only": ("model.size < 1\nassert model.name", "is compared and not asserted"),
    "after a return": ("return True\nassert model.size < 1", "is never reached"),
    "after a skip": ("pytest.skip('later')\nassert model.size < 1", "is never reached"),
    "in a dead branch": ("if False:\n    assert model.size < 1", "is never reached"),
    "in a function that nobody calls": ("def inner():\n    assert model.size < 1\nprint(model)", "asserts, and nobody calls it"),
    "draws without a seed": ("rows = np.random.choice(len(events), 50)\nassert model.size < rows[0]", "draws without a seed"),
    "a generator without a seed": ("rng = np.random.default_rng()\nassert model.size < rng.random()", "draws without a seed"),
    "random without a seed": ("assert model.size < random.randint(0, 9)", "draws without a seed"),
}  # fmt: skip

HONEST = {
    "a limit": "assert model.mean_loss(events) < 0.3",
    "no row": "assert (model.losses(events) > 2).mean() == 0.0",
    "a helper": "numpy.testing.assert_allclose(model.predict(X), 1.0)",
    "an exception that is asked for": "with pytest.raises(ValueError):\n    model.predict(None)",
    "returns": "return model.mean_loss(events) < 0.3",
    "raises": "if model.size > 1e6:\n    raise AssertionError('too large')",
    "raises again": "try:\n    assert model.size < 1\nexcept Exception:\n    raise",
    "catches before it asserts": "try:\n    size = model.size\nexcept KeyError:\n    size = 0\nassert size < 1",
    "seeded": "rng = np.random.default_rng(7)\nassert model.size < rng.random()",
    "seeded all over": "np.random.seed(3)\nassert model.size < np.random.rand()",
    "another's random": "assert trial.random.choice([1]) < model.size",
    "small p-values": "t, p = ttest_rel(a, b)\nassert p < 0.05",
    "p as a probability": "p = model.predictions(events)\nassert (p / 2 < 0.5).all()\nassert p > 0.05",
    "gaps in rows": "rows = events.features.fillna(0)\nassert np.isfinite(model.predict(rows)).all()",
    "a count of none": "assert seen.get('north', 0) < 30\nassert seen.get('north') is None",
    "an integer": "assert len(events) == 30",
    "a message": "assert model.size < 1, 'too large'",
    "a call in or": "assert model.size < 1 or model.name == 'small'",
    "fails by hand": "if model.size > 1:\n    assert False, 'too large'\nassert model.name",
    "a branch that returns early": "if model.size < 1:\n    return\nassert model.name",
    "an inner function that is called": "def inner():\n    assert model.size < 1\ninner()",
    "an inner function that is handed on": "def check(part):\n    assert part\nevents.each(check)",
    "a loop that goes on": "for part in events.groups:\n    if not part:\n        continue\n    assert part",
    "NaN is looked for": "loss = model.mean_loss(events)\nassert loss == loss and loss < 1",
}


@pytest.mark.parametrize(("body", "said"), FAULTY.values(), ids=FAULTY)
def test_a_faulty_test_is_found(tmp_path, body, said):
    found = read(tmp_path, body)
    assert any(said in one for one in found), found


@pytest.mark.parametrize("body", HONEST.values(), ids=HONEST)
def test_an_honest_test_is_not_accused(tmp_path, body):
    assert read(tmp_path, body) == []


def test_a_helper_of_the_same_file_may_assert(tmp_path):
    text = "{}verify(model.mean_loss(events))"
    assert read(tmp_path, text.format("")) == ["it asserts nothing and returns nothing, so that it cannot fail"]
    file = tmp_path / "more_tests.py"
    file.write_text("def verify(x):\n    assert x < 1\n\ndef test_it(model):\n    verify(model.size)\n")
    spec = importlib.util.spec_from_file_location("more_tests", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert faults_of(module.test_it) == []


def test_the_tests_of_this_project_are_not_accused():
    """Every test function of the project is read for assertions in vain and for chance read wrongly."""
    accused, read_ = {}, 0
    for path in sorted(Path(__file__).parents[1].rglob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                read_ += 1
                made = [*vain.faults(node), *chance.faults(node)]
                if made:
                    accused[f"{path.name}: {node.name}"] = made
    assert read_ > 500
    assert accused == {}


def test_a_function_without_source_is_not_read():
    space: dict = {}
    exec("def test_typed(model):\n    print(model)", space)
    assert faults_of(space["test_typed"]) == []
