"""Solar power, a quarter of an hour ahead: the average hides that a model loses to persistence under some skies."""

from __future__ import annotations

import re

import pandas as pd
import pytest

import mlwild as wild
from mlwild.show import show_stress
from mlwild.stressors import Missing
from mlwild.worstcase.skill import ALL, VERDICTS
from tests.real import SEES_POWER, SEES_SKY, solar, solar_data, solar_rows

PERSISTENCE = "the last labels known"
SKIES = ("sky = clear", "sky = cloudy", "sky = overcast")


def summer() -> pd.DataFrame:
    """Return 104 days of an inverter in Golden, Colorado, from July 2016 on."""
    read = pd.read_csv(solar_data() / "serf_east_15min_ac_power.csv")
    return solar_rows(read["ac_power"].clip(lower=0).div(1000).set_axis(pd.to_datetime(read["measured_on"])))


def year() -> pd.DataFrame:
    """Return 13 months of another inverter there; its clock keeps summer time, which the last ten days follow."""
    read = pd.read_parquet(solar_data() / "system_50_ac_power_2_full_DST.parquet").set_index("measured_on")
    power = read["ac_power_2"].astype(float).loc["2012-09-01":"2013-10-01"].asfreq("15min")
    return solar_rows(power.clip(lower=0).div(1000))


def judged(report, capsys) -> str:
    """Return what is printed, once the order of its skill is that of the promise."""
    against = [one for one in report.skill if one.baseline == PERSISTENCE]
    assert {one.group for one in against} == {*SKIES, ALL}
    assert against[-1].group == ALL
    assert all(one.n > 400 and one.verdict in VERDICTS for one in against)
    negative = [one.negative for one in report.skill if one.group != ALL]
    assert negative == sorted(negative, reverse=True)
    show_stress(report)
    said = " ".join(capsys.readouterr().out.split())
    before, table = said[: said.index("Expected:")], said[said.index("Skill: one less") :]
    for one in report.skill:
        where = f"over {ALL}" if one.group == ALL else f"in {one.group}"
        assert (f"orse than {one.baseline} {where}: skill {one.skill.estimate:+.1%}" in before) == one.negative
        assert f"{one.group} {one.n:,} {one.periods} " in table
    assert max(SKIES, key=table.index) in table[: table.index(ALL)]
    return said


@pytest.mark.parametrize("features", [SEES_SKY, SEES_POWER], ids=["sees the sky", "and is told the last power"])
def test_what_the_average_hides_stands_first(features, tmp_path, capsys):
    report = wild.stress(solar(summer(), features), stressors=[Missing()], store=tmp_path, jobs=1)
    said = judged(report, capsys)
    skill = {one.group: one for one in report.skill if one.baseline == PERSISTENCE}
    assert skill["sky = clear"].skill.estimate < 0 < skill[ALL].skill.estimate < skill["sky = cloudy"].skill.estimate
    assert report.skill[0] == skill["sky = clear"]
    # Five weeks cannot tell that it is worse, and the page does not say so.
    assert report.skill[0].verdict == "undecided"
    assert re.search(
        r"Perhaps worse than .*; of root mean squares -[\d.]+% \(.*undecided: chance explains it\)\.", said
    )


def test_rows_know_no_later_power():
    rows = summer()
    early = rows[rows["asked_at"] < "2016-09-01"]
    cut = pd.read_csv(solar_data() / "serf_east_15min_ac_power.csv")
    cut = cut[pd.to_datetime(cut["measured_on"]) <= early["known_at"].max()]
    again = solar_rows(cut["ac_power"].clip(lower=0).div(1000).set_axis(pd.to_datetime(cut["measured_on"])))
    pd.testing.assert_frame_equal(again.iloc[: len(early)], early)


@pytest.mark.slow
def test_a_year_can_tell_that_persistence_is_better_under_clouds(tmp_path, capsys):
    report = wild.stress(solar(year(), SEES_SKY, every="14D"), stressors=[Missing()], store=tmp_path, jobs=1)
    said = judged(report, capsys)
    first = report.skill[0]
    assert (first.group, first.baseline, first.verdict) == ("sky = overcast", PERSISTENCE, "worse")
    assert first.skill.high < 0
    assert said.index("Worse than") < said.index("Expected:")
