"""
What each monitor saw coming, stream by stream, and how often each earned its place.

Streams: flights, carbon monoxide, gases, hotel bookings, electricity prices, invoices (all real), the wording
experiment of a survey where its folder lies beside the checkout, and two without drift: there nobody should earn
anything. The comments of youtube_spam are left out: half of their months have under 50 rows, some none.

AUC and rank correlation (90 % intervals, blocks of periods resampled) are for a rise of the loss above that of the
vintage's reference, for its difficulty and for its staleness. Lead is the median number of periods by which an
alarm came before the rise, at a threshold with one false alarm a year (a look in twenty where times are integers),
over the share of rises that it caught. A monitor earns its place by beating chance and the control, with the lower
ends of both intervals; the control knows nothing of the period.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent))

from histories import CHECKOUT, DATA, available
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import mlwild as wild
from mlwild.rules import Never
from mlwild.wording import number

TARGETS = ("rise", "difficulty", "staleness")
#: Of the contest's histories; the last two do not drift.
REAL = ("air_quality", "gas_sensors", "hotel_bookings", "electricity", "retail")
CALM = ("stationary", "shuffled_flights")
PSI = "worst feature (PSI)"


def survey() -> wild.App:
    """Does the country spend too much on welfare, or on the poor? Waves from 1986 to 2010, two years a period."""
    path = DATA / "survey_experiment" / "respondents.parquet"
    return wild.App(
        name="survey",
        data=lambda: pd.read_parquet(path).sort_values("year", kind="stable").reset_index(drop=True),
        time="year",
        label="said_too_much",
        delay=0,
        features=lambda rows: rows.drop(columns=["year", "said_too_much"]).astype(float),
        models={"logistic": make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(max_iter=300))},
        loss="log_loss",
        every=2,
        start=1988,
    )


def streams() -> Iterator[tuple[str, wild.App]]:
    """Yield the apps whose data are here."""
    yield "flights", wild.load_app(CHECKOUT / "examples" / "flights.py")
    for history in available():
        if history.name in (*REAL, *CALM):
            yield history.name, history.app()
    if (DATA / "survey_experiment").is_dir():
        yield "survey", survey()


def figure(values: dict[str, Any], name: str) -> str:
    """Return a figure with its interval."""
    if values[name] is None:
        return "-"
    if values[f"{name}_low"] is None:
        return f"{values[name]:.2f}"
    return f"{values[name]:.2f} ({values[f'{name}_low']:.2f} {values[f'{name}_high']:.2f})"


def shown(name: str, sheet: dict[str, Any]) -> None:
    """Print one stream's table."""
    audition, records = sheet["monitor_audition"], sheet["monitors"]
    print(f"\n{name}: {audition['n']} periods, {audition['cells']} cells; {audition.get('event', audition.get('why'))}")
    heads = "".join(f"{f'{target}: AUC':>19}{'rank':>20}" for target in TARGETS)
    print(f"{'monitor':31}{heads}{'lead':>6}{'caught':>8}{'false':>7}  earned")
    for record in records:
        against, lead = record["against"], record["lead"]
        cells = "".join(
            f"{figure(against[target], 'auc'):>19}{figure(against[target], 'rank'):>20}" for target in TARGETS
        )
        false = lead["false_alarms_per_year"] if audition["looks_per_year"] else lead["false_alarms_per_look"]
        numbers = ((lead["periods"], 6), (lead["caught"], 8), (false, 7))
        texts = "".join(f"{'-' if value is None else number(value, 2):>{w}}" for value, w in numbers)
        earned = [target for target in TARGETS if against[target]["earned"]]
        print(f"{record['name']:31}{cells}{texts}  {', '.join(earned) or '-'}{' (grey)' if record['grey'] else ''}")
    if not records:
        return
    found = {record["name"]: record["against"] for record in records if record["kind"] != "control"}
    for target in TARGETS:
        areas = {one: against[target]["auc"] for one, against in found.items() if against[target]["auc"] is not None}
        if areas and PSI in found:
            best = max(areas, key=lambda one: areas[one])
            print(f"  {target}: best {best} {areas[best]:.2f}; PSI {figure(found[PSI][target], 'auc')}")
    print(f"  default: {', '.join(audition['default'])}; combination: {audition['combination']['why']}")


def tally(judged: dict[str, list[dict[str, Any]]]) -> None:
    """Print how often each monitor earned its place, over the streams and over those that do not drift."""
    print("\nearned its place in so many of so many streams: " + ", ".join(judged))
    print(f"{'monitor':31}" + "".join(f"{target:>12}" for target in TARGETS) + "   without drift")
    count: dict[str, dict[str, list[int]]] = {}
    for name, records in judged.items():
        for record in (one for one in records if one["kind"] != "control"):
            of = count.setdefault(record["name"], {key: [0, 0] for key in (*TARGETS, "calm")})
            for target in TARGETS:
                cell = of["calm" if name in CALM else target]
                cell[0] += record["against"][target]["earned"]
                cell[1] += record["against"][target]["auc"] is not None
    order = sorted(count, key=lambda one: -sum(count[one][target][0] for target in TARGETS))
    for one in order:
        texts = [f"{earned}/{n}" for earned, n in (count[one][target] for target in TARGETS)]
        earned, n = count[one]["calm"]
        print(f"{one:31}" + "".join(f"{text:>12}" for text in texts) + f"{f'{earned}/{n}':>16}")
    earned, n = (sum(count[one]["calm"][place] for one in count) for place in (0, 1))
    print(f"without drift {earned} of {n} tests called something informative (at most 5 % asked for)")


def main() -> None:
    """Rehearse each stream and print what its monitors saw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", help="streams by name")
    parser.add_argument("--store", help="folder that keeps what was fitted; default one that is thrown away")
    given = parser.parse_args()
    judged: dict[str, list[dict[str, Any]]] = {}
    for name, app in streams():
        if given.only and name not in given.only:
            continue
        with tempfile.TemporaryDirectory() as thrown, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            store = Path(given.store or thrown).resolve() / name
            store.mkdir(parents=True, exist_ok=True)
            sheet = wild.rehearse(app, rules=[Never()], store=store).sheet
        shown(name, sheet)
        judged[name] = sheet["monitors"]
    tally(judged)


if __name__ == "__main__":
    main()
