"""Fingerprints: what a function, a class or an object does, and nothing else."""

from __future__ import annotations

import functools
import importlib.util
import logging
import math
import os
import re
import subprocess
import sys
import textwrap
import threading
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from mlwild import digest as digests
from mlwild.digest import fingerprint, version

# -- fingerprints of functions -------------------------------------------------------------------


def _load(tmp_path, source, name, monkeypatch, folder="a"):
    """Import source as a module of the user's from a file of its own."""
    path = tmp_path / folder / f"{name}.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(textwrap.dedent(source))
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


BASE = """
    import numpy as np
    import math

    SCALE = 3.0
    TABLE = {"a": 1, "b": [1, 2]}

    def clean(x):
        return x * SCALE

    def make(power):
        def raised(x):
            return x ** power
        return raised

    third = make(3)

    class Model:
        rounds = 7

        def __init__(self, depth=2):
            self.depth = depth

        @property
        def leaves(self):
            return 2 ** self.depth

        @staticmethod
        def link(x):
            return 1 / (1 + math.exp(-x))

        def fit(self, X, y):
            self.mean = np.mean(y)
            return self

    def features(events, tables=None, *, lag=1):
        def inner(x):
            return [value for value in x if value in {1, 2, 3} or value in {"one", "two", "six", "ten", "few", "all"}]
        try:
            rows = clean(events) + TABLE["a"]
        except KeyError:
            rows = 0
        return third(rows), inner, (lambda x: x + 1), Model, lag
"""

SAME = {
    "docstrings": [
        ("def clean(x):\n", 'def clean(x):\n        """Clean."""\n'),
        ("def inner(x):\n", 'def inner(x):\n            """Inside."""\n'),
        (
            "def features(events, tables=None, *, lag=1):\n",
            'def features(events, tables=None, *, lag=1):\n        """All."""\n',
        ),
        ("class Model:\n", 'class Model:\n        """A model."""\n'),
        ("def fit(self, X, y):\n", 'def fit(self, X, y):\n            """Fit."""\n'),
    ],
    "comments": [("return x * SCALE", "return x * SCALE  # to metres"), ("SCALE = 3.0", "# a scale\n    SCALE = 3.0")],
    "lines": [
        ("def clean(x):\n", "\n\n\n    def clean(x):\n\n\n"),
        ("rows = 0", "rows = (\n                0\n            )"),
    ],
    "annotations": [("def clean(x):", "def clean(x: float) -> float:")],
    "unused": [("SCALE = 3.0", "SCALE = 3.0\n    UNUSED = 5\n\n    def nobody():\n        return 1")],
}

OTHER = {
    "operator": ("x * SCALE", "x + SCALE"),
    "constant": ('TABLE["a"]', 'TABLE["b"]'),
    "small constant": ("x + 1)", "x + 2)"),
    "global value": ("SCALE = 3.0", "SCALE = 4.0"),
    "inside of a global": ("[1, 2]}", "[1, 3]}"),
    "default": ("tables=None", "tables=()"),
    "keyword default": ("lag=1", "lag=2"),
    "closure": ("make(3)", "make(4)"),
    "function in a closure": ("x ** power", "x ** -power"),
    "helper's helper": ("x * SCALE", "x * SCALE * math.pi"),
    "set constant": ("{1, 2, 3}", "{1, 2, 4}"),
    "attribute name": ("np.mean(y)", "np.sum(y)"),
    "exception": ("except KeyError", "except ValueError"),
    "argument names": ("def clean(x):\n        return x *", "def clean(z):\n        return z *"),
    "class attribute": ("rounds = 7", "rounds = 8"),
    "property": ("2 ** self.depth", "3 ** self.depth"),
    "static method": ("1 + math.exp", "2 + math.exp"),
    "default of a method": ("depth=2", "depth=3"),
    "local name": ("def raised(x):", "def raised(x, y=0):"),
}


@pytest.mark.parametrize("change", SAME)
def test_fingerprint_does_not_change_with(change, tmp_path, monkeypatch):
    source = BASE
    for old, new in SAME[change]:
        assert old in source
        source = source.replace(old, new)
    before = _load(tmp_path, BASE, "users_app", monkeypatch)
    first = fingerprint(before.features), fingerprint(before.Model(5))
    after = _load(tmp_path, source, "users_app", monkeypatch, folder="b")
    assert (fingerprint(after.features), fingerprint(after.Model(5))) == first


@pytest.mark.parametrize("change", OTHER)
def test_fingerprint_changes_with(change, tmp_path, monkeypatch):
    old, new = OTHER[change]
    assert BASE.count(old) == 1
    before = fingerprint(_load(tmp_path, BASE, "users_app", monkeypatch).features)
    after = fingerprint(_load(tmp_path, BASE.replace(old, new), "users_app", monkeypatch, folder="b").features)
    assert after != before


def test_function_called_through_the_users_own_module_counts(tmp_path, monkeypatch):
    app = "import users_helpers\ndef features(events):\n    return users_helpers.clean(events)\n"
    found = []
    for factor in (2, 3, 2):
        helper = f"FACTOR = {factor}\ndef clean(x):\n    return FACTOR * x\ndef unused():\n    return {len(found)}\n"
        _load(tmp_path, helper, "users_helpers", monkeypatch, folder=str(len(found)))
        found.append(fingerprint(_load(tmp_path, app, "users_app", monkeypatch).features))
    assert found[0] != found[1]
    assert found[0] == found[2]


def test_functions_that_call_each_other_end(tmp_path, monkeypatch):
    source = "def even(n):\n    return n == 0 or odd(n - 1)\ndef odd(n):\n    return n != 0 and even(n - {})\n"
    one = _load(tmp_path, source.format(1), "users_app", monkeypatch)
    first = fingerprint(one.even)
    assert first != fingerprint(one.odd)
    assert first != fingerprint(_load(tmp_path, source.format(2), "users_app", monkeypatch, folder="b").even)


def test_code_that_all_names_each_other_is_told_once(tmp_path, monkeypatch):
    """There are more ways through four modules of a function and a class than could be gone in a year."""
    parts = [f"users_part{k}" for k in range(4)]
    every = ", ".join(f"{one}.f, {one}.C" for one in parts)
    source = f"import {', '.join(parts)}\ndef f(x):\n    return {every}\nclass C:\n    def g(self):\n        return {every}\n"
    made = [_load(tmp_path, "", one, monkeypatch) for one in parts]
    for module in made:
        exec(source, vars(module))
    told = []
    monkeypatch.setattr(digests, "_describe_code", lambda code: told.append(code) or [code.co_name])
    fingerprint(made[0].f)
    assert len(told) == len(set(map(id, told))) == 2 * len(parts)


def test_what_a_module_is_asked_for_on_the_way_back_counts(tmp_path, monkeypatch):
    """`features` asks `one`, which asks `two`, which asks `one` for something else."""
    found = []
    for place, factor in enumerate((2, 3, 2)):
        folder = str(place)
        _load(tmp_path, "", "users_one", monkeypatch, folder=folder)
        _load(
            tmp_path,
            "import users_one\ndef g(x):\n    return users_one.h(x)\n",
            "users_two",
            monkeypatch,
            folder=folder,
        )
        source = f"import users_two\ndef f(x):\n    return users_two.g(x)\ndef h(x):\n    return {factor} * x\n"
        exec(compile(source, "users_one", "exec"), vars(sys.modules["users_one"]))
        app = "import users_one\ndef features(events):\n    return users_one.f(events)\n"
        found.append(fingerprint(_load(tmp_path, app, "users_app", monkeypatch, folder=folder).features))
    assert found[0] != found[1]
    assert found[0] == found[2]


def test_functions_in_a_set_are_told_in_no_order(tmp_path, monkeypatch):
    source = "def a(x):\n    return b(x)\ndef b(x):\n    return x\nEACH = {a, b, len}\ndef features(x):\n    return EACH, b\n"
    found = {fingerprint(_load(tmp_path, source, "users_app", monkeypatch, folder=str(k)).features) for k in range(9)}
    assert len(found) == 1


def test_function_whose_closure_is_not_filled_yet_has_a_fingerprint():
    def outer():
        def inner():
            return later

        found = fingerprint(inner)
        later = 1
        return found, fingerprint(inner)

    empty, filled = outer()
    assert empty != filled


def test_partials_and_methods_count_with_what_they_are_bound_to():
    def power(x, n):
        return x**n

    assert fingerprint(functools.partial(power, n=2)) == fingerprint(functools.partial(power, n=2))
    assert fingerprint(functools.partial(power, n=2)) != fingerprint(functools.partial(power, n=3))
    assert fingerprint(Ridge(1.0).fit) != fingerprint(Ridge(2.0).fit)
    assert fingerprint(Ridge(1.0).fit) != fingerprint(Ridge(1.0).predict)


def test_function_of_a_package_counts_with_its_name_and_version():
    assert fingerprint(np.mean) != fingerprint(np.median)
    assert fingerprint(math.sin) != fingerprint(math.cos)
    assert fingerprint(np.add) != fingerprint(np.subtract)
    assert version("sklearn")[0].isdigit()
    assert version("no_such_package") == ""


# -- fingerprints of objects ---------------------------------------------------------------------


def test_estimator_counts_with_its_parameters_and_not_with_what_it_learned():
    def squash(x):
        return x

    def steps(**changed):
        return make_pipeline(StandardScaler(), FunctionTransformer(squash), LogisticRegression(**changed))

    assert fingerprint(LogisticRegression(C=1.0)) == fingerprint(LogisticRegression())
    assert fingerprint(steps()) == fingerprint(steps())
    assert fingerprint(steps(C=2.0)) != fingerprint(steps())
    assert fingerprint(Ridge()) != fingerprint(LogisticRegression())
    fitted = Ridge().fit(np.eye(3), np.ones(3))
    assert fingerprint(fitted) == fingerprint(Ridge())


@dataclass(frozen=True)
class Recipe:
    name: str
    weights: tuple[float, ...] = (1.0, 2.0)


class Slotted:
    __slots__ = ("limit",)

    def __init__(self, limit):
        self.limit = limit


THINGS = [
    (Recipe("a"), Recipe("b")),
    (Recipe("a", (1.0, 2.0)), Recipe("a", (2.0, 1.0))),
    (Slotted(1), Slotted(2)),
    (pd.DataFrame({"x": [1, 2]}), pd.DataFrame({"x": [1, 3]})),
    (pd.DataFrame({"x": [1, 2]}), pd.DataFrame({"x": [1, 2]}, index=[5, 6])),
    (pd.Series(["a", "b"]), pd.Series(["a", "c"])),
    (pd.DataFrame({"x": [1, "a"]}), pd.DataFrame({"x": [1, "b"]})),
    (pl.DataFrame({"x": [1, 2]}), pl.DataFrame({"x": [2, 1]})),
    (pa.table({"x": [1, 2]}), pa.table({"y": [1, 2]})),
    (pd.Timestamp("2020-01-01"), pd.Timestamp("2020-01-02")),
    (re.compile("a"), re.compile("b")),
    (Decimal("1.0"), Decimal("1.1")),
    ({"a": {1, 2}}, {"a": {1, 3}}),
    ({"a": 1, "b": 2}, {"a": 2, "b": 1}),
    ([1, [2, 3]], [1, 2, 3]),
    ((1, "1"), (1, 1)),
    (np.arange(3.0), np.arange(3)),
    (np.float64(1), np.float32(1)),
    (np.array([{"a": 1}], dtype=object), np.array([{"a": 2}], dtype=object)),
    (np.random.default_rng(0), np.random.default_rng(1)),
    (logging.getLogger("one"), logging.getLogger("two")),
    (True, 1),
    (None, "None"),
]


@pytest.mark.parametrize(("one", "other"), THINGS, ids=lambda thing: type(thing).__name__)
def test_objects_are_told_apart_by_what_they_hold(one, other):
    assert fingerprint(one) == fingerprint(one)
    assert fingerprint(one) != fingerprint(other)


def test_equal_objects_made_twice_are_the_same():
    assert fingerprint(Recipe("a")) == fingerprint(Recipe("a"))
    assert fingerprint(Slotted(1)) == fingerprint(Slotted(1))
    assert fingerprint({"b": 1, "a": 2}) == fingerprint({"a": 2, "b": 1})
    letters = pd.DataFrame({"x": ["a", "b"] * 3})
    assert fingerprint(letters) == fingerprint(pd.DataFrame({"x": ["ab"[i % 2] for i in range(6)]}))
    split = pa.concat_tables([pa.table({"x": [1]}), pa.table({"x": [2]})])
    assert fingerprint(split) == fingerprint(pa.table({"x": [1, 2]}))


def test_logger_does_not_change_with_the_other_loggers():
    log = logging.getLogger("users.app")
    before = fingerprint(log)
    logging.getLogger("users.app.later").addHandler(logging.NullHandler())
    assert fingerprint(log) == before


def test_what_cannot_be_looked_into_counts_by_its_kind():
    assert fingerprint(threading.Lock()) == fingerprint(threading.Lock())
    assert fingerprint(threading.Lock()) != fingerprint(i for i in ())

    def guarded(x, lock=threading.Lock()):  # noqa: B008
        with lock:
            return x

    def bare(x, lock=None):
        with lock:
            return x

    assert fingerprint(guarded) != fingerprint(bare)


def test_structure_that_holds_itself_ends():
    ring = [1]
    ring.append(ring)
    assert fingerprint(ring) == fingerprint(ring)
    assert fingerprint(ring) != fingerprint([1, [1]])


def test_fingerprints_are_the_same_in_another_process(tmp_path):
    # Sets and addresses come out otherwise in each process; what is said of them must not.
    script = tmp_path / "users_script.py"
    script.write_text(
        textwrap.dedent(BASE)
        + textwrap.dedent("""
        import logging, re, sys
        import pandas as pd
        from sklearn.base import BaseEstimator
        from mlwild.digest import fingerprint

        WORDS = {"alpha", "beta", "gamma", "delta"}
        FRAME = pd.DataFrame({"x": ["a", "b", None]})
        log = logging.getLogger(__name__)

        class Mine(BaseEstimator):
            known = frozenset({"one", "two", "three"})

            def __init__(self, base=None):
                self.base = base

            def fit(self, X, y):
                log.info("fitting %s", X in WORDS or FRAME)
                return self

        BY_FUNCTION = {features: 1, third: 2, (clean, "x"): 3, make(5): 4, len: 5}

        print(fingerprint([BY_FUNCTION, features, Model(3), Mine(Mine(5)), Mine, WORDS, re.compile("x")]))
        """)
    )
    runs = [
        subprocess.Popen(
            [sys.executable, str(script)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("0", "1")
    ]
    one, other = (run.communicate(timeout=60)[0] for run in runs)
    assert re.fullmatch(r"[0-9a-f]{32}\n", one)
    assert one == other


def test_a_cached_helper_and_a_bound_method_count_with_what_is_inside():
    import functools

    def make(slope, table):
        @functools.lru_cache
        def helper():
            return slope

        return lambda x: helper() * x + table(0, 0.0)

    made = [make(1.0, {0: 1.0}.get), make(2.0, {0: 1.0}.get), make(2.0, {0: 3.0}.get), make(1.0, {0: 1.0}.get)]
    one, two, three, again = (fingerprint(function) for function in made)
    assert len({one, two, three}) == 3
    assert one == again


def test_a_frozen_estimator_counts_with_what_it_was_fitted_to():
    from sklearn.frozen import FrozenEstimator
    from sklearn.linear_model import LinearRegression

    one = FrozenEstimator(LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0]))
    two = FrozenEstimator(LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0]))
    assert fingerprint(one) != fingerprint(two)
