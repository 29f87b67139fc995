"""Chance read wrongly: draws without a seed, halved p-values, and a large p-value taken for a proof."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlwild.gate.faults.syntax import name_of

#: Draws of the modules `random` and `numpy.random`.
_DRAWS = (
    "random", "rand", "randn", "randint", "choice", "choices", "shuffle", "sample", "uniform", "gauss", "normal",
    "permutation", "integers", "random_sample", "standard_normal", "binomial", "poisson", "exponential", "lognormal",
)  # fmt: skip
_GENERATORS = ("default_rng", "RandomState", "Random")
_P_NAMES = ("p_value", "pvalue", "p_val", "pval")
#: Tests of SciPy and statsmodels that return a statistic and a p-value.
_TESTS = re.compile(
    r"^(ttest_\w+|binomtest|\w+_test|wilcoxon|mannwhitneyu|ks_\w+|kruskal|f_oneway|pearsonr|spearmanr|kendalltau)$"
)


def faults(body: ast.AST) -> Iterator[str]:
    """
    Yield what is read wrongly of chance.

    Examples
    --------
    >>> list(faults(ast.parse("assert model.size < np.random.rand()")))
    ['line 1: np.random.rand draws without a seed, so that the test is another one each time; use default_rng(0)']
    """
    yield from _unseeded(body)
    yield from _p_values(body)


def _unseeded(body: ast.AST) -> Iterator[str]:
    calls = [node for node in ast.walk(body) if isinstance(node, ast.Call)]
    seeded = any(name_of(node) == "seed" and node.args for node in calls)
    for node in calls:
        whole = ast.unparse(node.func)
        draws = whole.rpartition(".")[0] in ("np.random", "numpy.random", "random") and name_of(node) in _DRAWS
        fresh = name_of(node) in _GENERATORS and not node.args and not node.keywords
        if (draws and not seeded) or fresh:
            yield (
                f"line {node.lineno}: {whole} draws without a seed, so that the test is another one each time; "
                "use default_rng(0)"
            )


def _p_values(body: ast.AST) -> Iterator[str]:
    names = {*_P_NAMES, *_named_as_p(body)}

    def is_p(node: ast.expr) -> bool:
        return (isinstance(node, ast.Name) and node.id in names) or (
            isinstance(node, ast.Attribute) and node.attr in _P_NAMES
        )

    for node in ast.walk(body):
        if isinstance(node, ast.BinOp) and is_p(node.left):
            halved = (isinstance(node.op, ast.Div) and _is(node.right, 2)) or (
                isinstance(node.op, ast.Mult) and _is(node.right, 0.5)
            )
            if halved:
                yield (
                    f"line {node.lineno}: {ast.unparse(node)!r} makes one tail of two after the fact; state the "
                    "direction as a limit (mlwild.gate.at_most)"
                )
        if isinstance(node, ast.Assert):
            yield from _large_p(node, is_p)


def _large_p(node: ast.Assert, is_p: object) -> Iterator[str]:
    for test in ast.walk(node.test):
        if isinstance(test, ast.Compare) and len(test.ops) == 1 and callable(is_p):
            greater = is_p(test.left) and isinstance(test.ops[0], ast.Gt | ast.GtE)
            less = is_p(test.comparators[0]) and isinstance(test.ops[0], ast.Lt | ast.LtE)
            if greater or less:
                yield (
                    f"line {test.lineno}: {ast.unparse(test)!r} passes the more easily the fewer rows there are; state "
                    "a limit on the difference (mlwild.gate.at_most)"
                )


def _named_as_p(body: ast.AST) -> Iterator[str]:
    """Yield names that a p-value is given to: ``t, p = ttest_rel(a, b)``, ``p = result.pvalue``."""
    for node in ast.walk(body):
        if not isinstance(node, ast.Assign) or len(node.targets) != 1:
            continue
        target, value = node.targets[0], node.value
        if isinstance(target, ast.Name) and isinstance(value, ast.Attribute) and value.attr in _P_NAMES:
            yield target.id
        pair = isinstance(target, ast.Tuple) and len(target.elts) == 2 and isinstance(value, ast.Call)
        if pair and _TESTS.match(name_of(value)) and isinstance(target.elts[1], ast.Name):  # type: ignore[arg-type, attr-defined]
            yield target.elts[1].id  # type: ignore[attr-defined]


def _is(node: ast.expr, number: float) -> bool:
    return isinstance(node, ast.Constant) and node.value == number
