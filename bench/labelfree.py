"""
Performance without labels: CBPE over 100 chunks against NannyML, and errors on ACS employment.

Equal: the rows (generated: 500,000 with labels, then 50,000, and 500,000 without, scores that are calibrated the
same wrong way on both, covariates that move; or the survey's), read before the clock starts; accuracy and area
under the ROC curve of each chunk of 5,000 rows, each with an interval; one thread; processor seconds, the median of
three runs on either side.

Not equal: NannyML also reads the reference's chunks again to set its alarm thresholds; ours makes intervals
(Poisson-binomial, and the noise of the calibration curve), NannyML a standard error from the reference. Ours also
calibrates each half of the reference and judges the chunks of the other half, which widens the intervals by the
drift that shows there ("without dispersion": left out); that is in its seconds. Both calibrate by isotonic
regression; ours then draws each block to the mean by one row, which takes out the hope of the ends. "Same curve"
leaves that out on our side and counts each row as a pair with itself in the area, as NannyML does: then the values
are the same statistic.

ACS employment (Massachusetts 2015 to 2018) comes with NannyML: predictions of a model and the labels that came.
PAPE's weights are once of a boosted classifier (60 trees of 15 leaves) that tells a chunk from 20,000 rows of the
reference, once those that the monitors of a rehearsal make (a logistic regression on binned features). The
reference is the year 2015; "labels so far" adds to it, for each chunk, the chunks before it, as a service would whose
labels come.
"""

from __future__ import annotations

import os

for threads in ("OMP", "OPENBLAS", "MKL"):
    os.environ[f"{threads}_NUM_THREADS"] = "1"
os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"  # the peer reports its use unless told not to

import argparse
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import peers
import pyarrow as pa
import pyarrow.parquet as pq
from drift_peer_versions import PINS
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from mlwild.frames import matrix
from mlwild.monitors.sketches import sketch
from mlwild.monitors.weights import density_ratio
from mlwild.stats.calibration import Isotonic, calibrated, isotonic
from mlwild.stats.cbpe import cbpe_metrics, pape
from mlwild.stats.cbpe_dispersion import cbpe_dispersions
from mlwild.stats.dispersion import Dispersion
from mlwild.stats.labelfree import LabelFree

peers.PINS.update(PINS)

ROWS, QUICK_ROWS, CHUNK, REPEATS = 500_000, 50_000, 5_000, 3
TARGET = 10.0
#: Mean error of accuracy asked on ACS employment.
ASKED = {"CBPE": 0.0052, "PAPE": 0.0047}
LEARNED = 20_000
SURVEY = "lib/python3*/site-packages/nannyml/datasets/data"


@dataclass(frozen=True)
class Rows:
    """Scores in [0, 1], predicted classes and outcomes, 0 or 1, of rows in order."""

    score: np.ndarray
    predicted: np.ndarray
    outcome: np.ndarray

    def chunks(self) -> Iterator[slice]:
        """Yield the full chunks."""
        for start in range(0, len(self.score) - CHUNK + 1, CHUNK):
            yield slice(start, start + CHUNK)

    def write(self, path: Path) -> str:
        """Write them as Parquet; outcomes too, which NannyML reads of the reference only."""
        pq.write_table(pa.table({"score": self.score, "predicted": self.predicted, "outcome": self.outcome}), path)
        return str(path)


def drawn(rows: int, side: int) -> Rows:
    """Draw rows whose scores are too sure of themselves; on the second side the covariate moves on."""
    rng = np.random.default_rng([4, side])
    x = rng.normal(size=rows) + side * np.linspace(-0.5, 1.0, rows)
    score = expit(2 * x)
    return Rows(score, (score >= 0.5).astype(int), (rng.random(rows) < expit(1.2 * x - 0.3)).astype(int))


@dataclass(frozen=True)
class Learned:
    """What ours takes from the rows with labels: the curve, and how far estimates were off over blocks of them."""

    curve: Isotonic
    dispersions: dict[str, Dispersion]


def learned(reference: Rows) -> Learned:
    """Calibrate, and hold blocks of a chunk's length against their labels."""
    known = cbpe_dispersions(reference.score, reference.outcome, reference.predicted, window_rows=CHUNK)
    return Learned(isotonic(reference.score, reference.outcome), known)


def ours(known: Learned, window: Rows, *, wider: bool = True) -> dict[str, list[LabelFree]]:
    """Estimate every chunk."""
    dispersions = known.dispersions if wider else None
    chunks = [(window.score[chunk], window.predicted[chunk]) for chunk in window.chunks()]
    found = [cbpe_metrics(*chunk, curve=known.curve, dispersions=dispersions) for chunk in chunks]
    return {"accuracy": [one["accuracy"] for one in found], "roc_auc": [one["auc"] for one in found]}


def same_curve(curve: Isotonic, window: Rows) -> dict[str, np.ndarray]:
    """Return accuracy and area of each chunk by the curve as it is, each row a pair with itself."""
    made: dict[str, list[float]] = {"accuracy": [], "roc_auc": []}
    for chunk in window.chunks():
        chance = calibrated(curve, window.score[chunk])
        made["accuracy"].append(float(np.where(window.predicted[chunk] == 1, chance, 1 - chance).mean()))
        # Every row stands in both classes, with its chance of either.
        twice = np.concatenate([chance, 1 - chance])
        sides = np.repeat([1, 0], len(chance))
        made["roc_auc"].append(float(roc_auc_score(sides, np.tile(window.score[chunk], 2), sample_weight=twice)))
    return {metric: np.array(values) for metric, values in made.items()}


def timed(reference: Rows, window: Rows) -> tuple[dict[str, float], dict[str, list[LabelFree]]]:
    """Return the seconds of the run in the middle, and its estimates."""
    runs = []
    for _ in range(REPEATS):
        wall, cpu = time.perf_counter(), time.process_time()
        known = learned(reference)
        fitted = time.process_time()
        made = ours(known, window)
        spent = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "fit": fitted - cpu}
        runs.append((spent, made))
    return sorted(runs, key=lambda run: run[0]["cpu"])[REPEATS // 2]


def realised(window: Rows) -> dict[str, np.ndarray]:
    """Return what the labels of each chunk show."""
    right = [(window.predicted[chunk] == window.outcome[chunk]).mean() for chunk in window.chunks()]
    area = [roc_auc_score(window.outcome[chunk], window.score[chunk]) for chunk in window.chunks()]
    return {"accuracy": np.array(right), "roc_auc": np.array(area)}


def error_row(name: str, metric: str, value: np.ndarray, half: np.ndarray, truth: np.ndarray, asked: str = "") -> None:
    """Print mean error and coverage; `half` holds lower and upper ends, shape (2, n_chunks)."""
    covered = ((half[0] <= truth) & (truth <= half[1])).mean()
    error = np.abs(value - truth).mean()
    width = (half[1] - half[0]).mean()
    print(f"{name:30}{metric:10}{error:12.5f}{covered:12.3f}{width:12.4f}  {asked}")


def our_rows(name: str, metric: str, found: list[LabelFree], truth: np.ndarray, asked: str = "") -> None:
    """Print errors of our estimates."""
    value, low, high = (np.array([getattr(one, field) for one in found]) for field in ("estimate", "low", "high"))
    error_row(name, metric, value, np.stack([low, high]), truth, asked)


def seconds_row(name: str, run: dict[str, float]) -> None:
    """Print seconds, in all and by part."""
    print(f"{name:30}{run['cpu']:10.2f}{run['wall']:10.2f}{run['fit']:12.3f}{run['cpu'] - run['fit']:15.3f}")


def compared(reference: Rows, window: Rows, folder: Path, repeats: int) -> tuple[Any, dict[str, list[LabelFree]]]:
    """Run both sides; print seconds, greatest differences, errors and coverage."""
    known = learned(reference)  # imports too
    spent, made = timed(reference, window)
    question = {
        "reference": reference.write(folder / "reference.parquet"),
        "window": window.write(folder / "window.parquet"),
        "chunk_size": CHUNK,
        "repeats": repeats,
    }
    answer = peers.run("nannyml", "labelfree_peer_nannyml.py", question)
    truth, n = realised(window), len(list(window.chunks()))
    print(
        f"{len(reference.score):,} labelled rows, {n} chunks of {CHUNK:,} rows, accuracy and area under the ROC curve"
    )
    print(f"{'':30}{'cpu s':>10}{'wall s':>10}{'fit, cpu s':>12}{'chunks, cpu s':>15}")
    seconds_row("ML-wild", spent)
    if answer is not None:
        run = answer["run"]
        seconds_row(f"NannyML {answer['version']}", run)
        chunks = (run["cpu"] - run["fit"]) / (spent["cpu"] - spent["fit"])
        print(
            f"{'ratio':30}{run['cpu'] / spent['cpu']:10.1f}{run['wall'] / spent['wall']:10.1f}"
            f"{run['fit'] / spent['fit']:12.1f}{chunks:15.1f}  (asked {TARGET:.0f} of the first)"
        )
        if not answer["calibrated"]:
            print("NannyML found that these scores need no calibration and used them as they are.")
        same = same_curve(known.curve, window) if answer["calibrated"] else {}
        for metric in made:
            theirs = np.array(answer["values"][metric]["value"])[:n]
            mine = np.array([one.estimate for one in made[metric]])
            print(f"greatest difference of {metric:10} as delivered {np.abs(mine - theirs).max():.1e}", end="")
            print(f", same curve {np.abs(same[metric] - theirs).max():.1e}" if same else "")
    print(f"{'':30}{'':10}{'mean error':>12}{'coverage':>12}{'width':>12}")
    for metric in made:
        our_rows("ML-wild CBPE", metric, made[metric], truth[metric])
        our_rows("  without dispersion", metric, ours(known, window, wider=False)[metric], truth[metric])
        if answer is not None:
            value, error = (np.array(answer["values"][metric][field])[:n] for field in ("value", "error"))
            ends = np.stack([value - 1.96 * error, value + 1.96 * error])
            error_row("NannyML CBPE, 1.96 errors", metric, value, ends, truth[metric])
    return answer, made


def survey(folder: Path) -> tuple[Rows, Rows, pa.Table, int]:
    """Return rows of both sides of ACS employment, and their features, one side under the other."""
    sides, tables = [], []
    for name in ("reference", "analysis"):
        table = pq.read_table(folder / f"employment_MA_{name}.pq")
        if name == "analysis":
            target = pq.read_table(folder / "employment_MA_analysis_target.pq")
            assert table["id"].equals(target["id"])
            table = table.append_column("employed", target["employed"])
        columns = [table[column].to_numpy() for column in ("predicted_probability", "prediction", "employed")]
        sides.append(Rows(*columns))
        tables.append(table.drop_columns(["id", "employed", "year", "prediction", "predicted_probability"]))
    return sides[0], sides[1], pa.concat_tables(tables).unify_dictionaries(), tables[0].num_rows


def by_trees(both: pa.Table, n: int) -> Callable[[slice], np.ndarray]:
    """Return the density of a chunk over the reference, at each reference row, from boosted trees."""
    codes = matrix(both)  # one code for one word on both sides
    few = np.random.default_rng(0).choice(n, LEARNED, replace=False)

    def weights(chunk: slice) -> np.ndarray:
        new = codes[n:][chunk]
        model = HistGradientBoostingClassifier(
            max_iter=60,
            max_leaf_nodes=15,
            early_stopping=False,
            categorical_features=list(range(1, codes.shape[1])),
            random_state=0,
        )
        model.fit(np.concatenate([codes[few], new]), np.repeat([0, 1], [LEARNED, len(new)]))
        return np.exp(model.decision_function(codes[:n])) * LEARNED / len(new)

    return weights


def by_monitors(both: pa.Table, n: int) -> Callable[[slice], np.ndarray]:
    """Return the same as the monitors of a rehearsal make it: a logistic regression on binned features."""
    # The reference comes twice: its rows give the bins, then are binned as the chunks are.
    table = pa.concat_tables([both.slice(0, n), both])
    starts = np.append(np.arange(2 * n, table.num_rows, CHUNK), table.num_rows)
    bins = sketch(table, np.append(n, starts), np.arange(n, table.num_rows)).bins

    def weights(chunk: slice) -> np.ndarray:
        scene = SimpleNamespace(
            known=SimpleNamespace(bins=bins[:n]),
            window=SimpleNamespace(bins=bins[n:][chunk]),
            moved=(),
            remember=lambda _name, make, **_: make(),
        )
        return density_ratio(scene)  # type: ignore[arg-type]

    return weights


def adapted(reference: Rows, window: Rows, weights: Callable[[slice], np.ndarray]) -> dict[str, list[LabelFree]]:
    """Return PAPE of every chunk."""
    made: dict[str, list[LabelFree]] = {"accuracy": [], "roc_auc": []}
    spread = learned(reference).dispersions
    for chunk in window.chunks():
        known = {
            "reference_scores": reference.score,
            "reference_outcomes": reference.outcome,
            "weights": weights(chunk),
        }
        score, predicted = window.score[chunk], window.predicted[chunk]
        made["accuracy"].append(pape(score, predicted, dispersion=spread["accuracy"], **known))
        made["roc_auc"].append(pape(score, predicted, metric="auc", dispersion=spread["auc"], **known))
    return made


def as_labels_come(reference: Rows, window: Rows) -> dict[str, list[LabelFree]]:
    """Return CBPE of every chunk with the labels of all chunks before it."""
    made: dict[str, list[LabelFree]] = {"accuracy": [], "roc_auc": []}
    both = [np.concatenate([getattr(side, name) for side in (reference, window)]) for name in Rows.__annotations__]
    for chunk in window.chunks():
        known = learned(Rows(*(column[: len(reference.score) + chunk.start] for column in both)))
        found = ours(known, Rows(window.score[chunk], window.predicted[chunk], window.outcome[chunk]))
        for metric, values in found.items():
            made[metric] += values
    return made


def acs(folder: Path, scratch: Path) -> None:
    """Print errors and coverage on the survey."""
    reference, window, features, n = survey(folder)
    print("ACS employment, Massachusetts")
    compared(reference, window, scratch, 1)
    truth = realised(window)
    for metric, found in as_labels_come(reference, window).items():
        our_rows("ML-wild CBPE, labels so far", metric, found, truth[metric])
    for name, made in (("PAPE, boosted trees", by_trees), ("PAPE, as the monitors", by_monitors)):
        for metric, found in adapted(reference, window, made(features, n)).items():
            our_rows(f"ML-wild {name}", metric, found, truth[metric])
    known = reference.predicted == reference.outcome
    constant, area = np.full(len(truth["accuracy"]), known.mean()), roc_auc_score(reference.outcome, reference.score)
    error_row("reference's own value", "accuracy", constant, np.stack([constant] * 2), truth["accuracy"])
    fixed = np.full(len(constant), area)
    error_row("reference's own value", "roc_auc", fixed, np.stack([fixed] * 2), truth["roc_auc"])
    asked = ", ".join(f"{name} {value}" for name, value in ASKED.items())
    n = len(constant)
    print(f"asked of accuracy: mean error at most {asked}; coverage 0.95 ({math.ceil(0.95 * n)} of {n} chunks)")


def main() -> None:
    """Measure speed on generated rows, errors on the survey."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROWS:,} rows a side")
    rows = QUICK_ROWS if parser.parse_args().quick else ROWS
    with tempfile.TemporaryDirectory() as scratch:
        for labelled in (rows, rows // 10):
            compared(drawn(labelled, 0), drawn(rows, 1), Path(scratch), REPEATS)
            print()
        python = peers.python_of("nannyml")
        if python is None:
            print("ACS employment comes with NannyML and is left out.")
            return
        acs(next(python.parent.parent.glob(SURVEY)), Path(scratch))


if __name__ == "__main__":
    main()
