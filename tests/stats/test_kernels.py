"""Compiled loops: the same numbers as NumPy gives, and a clear error for what is no such array."""

import shutil
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwild.guards.fences import Fences
from mlwild.guards.runs import Runs
from mlwild.stats import kernels
from mlwild.stats.difficulty import Difficulty
from mlwild.stats.even_grids import EvenGrids
from mlwild.stats.grids import Grids
from mlwild.stats.p_detector import PDetector
from mlwild.stats.rank_curves import normal_score_curve
from mlwild.stats.support import learn_support

needed = pytest.mark.skipif(kernels.compiled is None, reason="no C compiler was at hand when ML-wild was installed")
#: A block is 64 rows.
SIZES = (1, 2, 63, 64, 65, 700, 1300)


def both(call):
    """Return what a call gives with compiled loops, and by NumPy."""
    with pytest.MonkeyPatch.context() as patch:
        first = call()
        patch.setattr(kernels, "compiled", None)
        return first, call()


def test_where_there_is_a_compiler_loops_are_compiled():
    headers = Path(sysconfig.get_paths()["include"], "Python.h")
    if shutil.which("cc") is None or not headers.exists():
        pytest.skip("no C compiler, or no headers of Python")
    assert kernels.compiled is not None, "not compiled since this checkout was made: make setup does it"


@needed
@given(st.integers(0, 2**32 - 1), st.sampled_from(SIZES), st.integers(1, 7))
@settings(max_examples=40, deadline=None)
def test_straight_lines_are_the_same_to_the_last_bit(seed, n, columns):
    rng = np.random.default_rng(seed)
    grids = Grids.of([normal_score_curve(rng.normal(size=300) * 10.0 ** rng.integers(-9, 9)) for _ in range(columns)])
    x = rng.normal(size=(columns, n)) * 10.0 ** rng.integers(-150, 150, size=(columns, n))
    x[rng.random(x.shape) < 0.1] = 0.0
    x[rng.random(x.shape) < 0.1] = -1e150
    compiled, plain = both(lambda: grids.near(x))
    assert compiled.tobytes() == plain.tobytes()
    for strange in (np.nan, np.inf, -np.inf, 1.1e150):
        odd = x.copy()
        odd[rng.integers(columns), rng.integers(n)] = strange
        assert both(lambda odd=odd: grids.near(odd)) == (None, None)


@needed
@given(st.integers(0, 2**32 - 1), st.sampled_from(SIZES), st.integers(1, 7))
@settings(max_examples=40, deadline=None)
def test_difficulty_is_the_same_to_the_last_bit_one_by_one_and_together(seed, n, columns):
    rng = np.random.default_rng(seed)
    centre, far, side = rng.normal(size=(3, columns))
    hard = Difficulty(centre, far, side, 1.0, 0.1)
    rows = np.asfortranarray(rng.normal(size=(n, columns)))
    rows[rng.random(rows.shape) < 0.05 * (seed % 2)] = np.nan
    more = rng.normal(size=(n, 3))[:, :1]  # one that is not on end
    wide = Difficulty(*(np.append(one, one[:1]) for one in (centre, far, side)), 1.0, 0.1)
    for one, parts in ((hard, (rows,)), (wide, (rows, more))):
        compiled, plain = both(lambda one=one, parts=parts: one.of(*parts))
        assert compiled.tobytes() == plain.tobytes()
        assert compiled[-1] == one.of_one(*(part[-1:] for part in parts))


@needed
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("gaps", [0.0, 0.02])
def test_p_values_are_the_same(n, gaps):
    rng = np.random.default_rng(n)
    a = rng.normal(size=(3000, 3))
    rows = np.column_stack([a, a + 0.1 * rng.normal(size=a.shape)])
    support = learn_support(rows[:1000], rows[1000:])
    new = np.asfortranarray(rows[:n] * np.where(rng.random((n, 1)) < 0.1, -3.0, 1.0))
    new[rng.random(new.shape) < gaps] = np.nan
    compiled, plain = both(lambda: support.tail(new))
    np.testing.assert_allclose(compiled, plain, rtol=1e-12)  # sums of products are made in another order
    alone = [both(lambda row=row: support.alone(row)) for row in np.split(new[:50], min(n, 50))]
    np.testing.assert_allclose(alone, np.repeat(support.p_values(new)[:50, None], 2, axis=1), rtol=1e-12)
    assert n < 200 or len(set(compiled.tolist())) > 50


@needed
def test_one_row_of_many_columns_is_the_same_alone_and_among_others():
    """Beyond 64 columns no loop is compiled."""
    rng = np.random.default_rng(3)
    for columns in (1, 3, 63, 64, 65):
        rows = np.asfortranarray(rng.normal(size=(900, columns)) @ rng.normal(size=(columns, columns)))
        support = learn_support(rows[:400], rows[400:800])
        compiled, plain = both(lambda support=support, rows=rows: support.tail(rows[800:]))
        np.testing.assert_allclose(compiled, plain, rtol=1e-12)
        alone = [support.alone(rows[[at]]) for at in range(800, 900)]
        assert np.abs(alone - np.maximum(compiled, 1 / 401)).max() <= (0.0 if columns <= 64 else 1e-12)


@needed
@pytest.mark.parametrize("calibration", [None, 500])
def test_a_detector_is_the_same_one_by_one_and_together(calibration):
    rng = np.random.default_rng(1)
    alarms = 0
    for power in (1.0, 1.0, 2.0, 5.0):
        least = 1e-12 if calibration is None else 1 / (calibration + 1)
        p = np.maximum(rng.random(700) ** power, least)
        single, one = PDetector(1000.0, calibration), None
        for value in p.tolist():
            single, one = single.feed(value)
            if one is not None:
                break
        (made, alarm), (plain, raised) = both(lambda p=p: PDetector(1000.0, calibration).feed_all(p))
        assert alarm == raised == one
        assert (made.rows, made.began) == (plain.rows, plain.began) == (single.rows, single.began)
        np.testing.assert_allclose([made.value, made.best], [single.value, single.best], rtol=1e-9)
        np.testing.assert_allclose([plain.value, plain.best], [single.value, single.best], rtol=1e-9)
        part = 100 if alarm is None else alarm.row  # none is raised before
        first, early = PDetector(1000.0, calibration).feed_all(p[:part])
        assert (early, first.feed_all(p[part:])[1]) == (None, alarm)
        alarms += alarm is not None
    assert 1 <= alarms <= 3


@needed
@pytest.mark.parametrize("n", SIZES)
def test_limits_and_values_that_stand_still_are_the_same(n):
    rng = np.random.default_rng(n)
    columns = 4
    low, high = np.full(columns, -1.0), np.full(columns, 1.0)
    low[1], high[2] = -np.inf, np.inf
    no, long = np.zeros(columns, dtype=bool), np.full(columns, 2.0)
    fences = Fences(tuple("abcd"), low, high, no, no, long, np.zeros(columns))
    whole = np.asfortranarray(rng.uniform(-1, 1, size=(n, columns)))
    for row, column, value, keeps in (
        (0, 0, 1.0, True),
        (n - 1, 1, -np.inf, True),
        (n // 2, 2, np.inf, True),
        (0, 3, 1.1, False),
        (n - 1, 0, -1.1, False),
        (n // 2, 1, np.nan, False),
        (n - 1, 2, -np.inf, False),
    ):
        rows = whole.copy(order="F")
        rows[row, column] = value
        compiled, plain = both(lambda rows=rows: fences.keep(rows))
        assert compiled == keeps
        assert plain == (keeps and n > 1)  # of one row NumPy does not say

    for place in (None, 0, n // 2, n - 1):

        def fed(place=place):
            runs, rows = Runs.of(columns), whole.copy(order="F")
            runs.feed(-whole[-1:], long)
            if place is not None:  # as the row before: the first, as the last one that was fed
                rows[place, 3] = rows[place - 1, 3] if place else -whole[-1, 3]
            found = runs.feed(rows, np.ones(columns), whole=True)
            return runs.length.tolist(), runs.last.tolist(), None if found is None else found.tolist()

        compiled, plain = both(fed)
        assert compiled == plain
        assert (compiled[2] is None) == (place is None)


def wrong():
    """Calls with arrays that are not what they should be; the last is written to."""
    x, out = np.zeros((2, 3)), np.full((2, 3), 7.0)
    two, steps = np.zeros(2), np.zeros(10)
    first = np.full(2, 2.0**52)
    bits = np.array([2.0**52]).view(np.int64).item()
    loops, none = kernels.compiled, out.copy()
    grid = two, two, first, bits, steps, steps
    many = np.zeros(65), np.zeros(65), np.full(65, 2.0**52), bits, steps, steps
    scores = np.zeros(3), np.zeros(3), np.full(3, 2.0**52), bits, steps
    return [
        (lambda: loops.lines(x, two, two, first, bits, steps, steps, out[:1]), out),
        (lambda: loops.lines(x, two, two, two, bits, steps, steps, out), out),  # places before the first
        (lambda: loops.lines(x, two, two, first + len(steps), bits, steps, steps, out), out),  # and after the last
        (lambda: loops.lines(x[:, ::2], two, two, first, bits, steps, steps, out), out),
        (lambda: loops.lines(x.astype(np.float32), two, two, first, bits, steps, steps, out), out),
        (lambda: loops.lines(np.zeros(5), two, two, first, bits, steps, steps, np.zeros(5)), out),
        (lambda: loops.lines(x, two, two, first, bits, steps, steps[:3], out), out),
        (lambda: loops.lines(x, two, two, first, bits, steps, steps), out),
        (lambda: loops.lines("x", two, two, first, bits, steps, steps, out), out),
        (lambda: loops.tails(x, *grid, np.zeros(3), two, *scores, out[0]), out),
        (lambda: loops.tails(x, *grid, np.zeros(4), two, two, *scores[1:], out[0]), out),
        (lambda: loops.tails(x, *grid, np.zeros(4), two, *scores[:2], two, *scores[3:], out[0]), out),
        (lambda: loops.tails(x, *grid, np.zeros(4), two, *scores[:2], np.full(3, 2.0**53), *scores[3:], out[0]), none),
        (lambda: loops.tails(np.zeros((65, 3)), *many, np.zeros(65 * 65), np.zeros(65), *scores, out[0]), out),
        (lambda: loops.added(x, two, two, np.zeros(3), out[0]), out),
        (lambda: loops.added(x, two, two, two, out[0, :2]), out),
        (lambda: loops.recursed(x, 1.0, out[0], out[1], two), out),
        (lambda: loops.within(x, two, np.zeros(3)), out),
        (lambda: loops.repeats(x, [0.0, 0.0]), out),
    ]


@needed
@pytest.mark.parametrize("place", range(19))
def test_what_is_no_such_array_is_refused(place):
    call, out = wrong()[place]
    with pytest.raises((ValueError, TypeError, BufferError)):
        call()
    assert place in (1, 2) or (out == 7.0).all()


@needed
def test_what_is_written_to_can_be_written():
    grids = EvenGrids(np.ones((2, 1)), np.zeros((2, 1)), 4)
    lines, x, out = np.arange(18.0), np.zeros((2, 3)), np.zeros((2, 3))
    asked = x, grids.scale, grids.shift, grids.first, grids.bits, lines, lines
    assert kernels.compiled.lines(*asked, out) is True
    assert out.tolist() == [[4.0] * 3, [13.0] * 3]
    out.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        kernels.compiled.lines(*asked, out)
