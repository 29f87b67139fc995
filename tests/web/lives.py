"""Ledgers of long lives, written without a model: for pages that must stay small, quick and legible."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np

from mlwild.ledger import Fact, Ledger
from mlwild.operating.status import keep_status


def long_life(
    store: Path, name: str, ticks: int, *, seed: int = 0, retrain=12, alarmed=0, broken="", loss=0.42, every=7
):
    """Leave a life of so many ticks; its last ones have an alarm, or its last tick failed."""
    rng = np.random.default_rng(seed)
    start = date(2026, 11, 24) - timedelta(days=every * ticks)
    at = [(start + timedelta(days=every * k)).isoformat() for k in range(ticks + 1)]
    facts, live, kept, of = [_opened(name, at[0])], 3, 0, 0
    came = loss * (1 + 0.1 * np.sin(np.arange(ticks) / 9) + 0.07 * rng.normal(size=ticks))
    for k in range(ticks):
        cutoff = k + 3
        action = "start" if k == 0 else "refused" if k % 37 == 36 else "retrain" if k % retrain == 0 else "keep"
        live = cutoff if action in ("start", "retrain") else live
        alarm = "no row came in the last period: is the feed down?" if k >= ticks - alarmed else ""
        told = []
        if k >= 2:
            low, high = came[k - 3] - 0.13 * loss, came[k - 3] + 0.13 * loss
            inside = bool(low <= came[k - 2] <= high)
            of, kept = of + 1, kept + inside
            told = [_outcome(cutoff - 2, at[k - 2], float(came[k - 2]), (float(low), float(high)), inside)]
        vintage = {"fitted": live, "window": "all", "updates": []}
        why = {"refused": "the gate blocks it: beats baselines red", "retrain": "the loss saved pays for the retrain"}
        decided = {"at": k, "action": action, "live": str(live), "reason": why.get(action, ""), "vintage": vintage}
        facts += [
            Fact("observed", cutoff, {"at": at[k], "rows": 6543, "late": 3, "all_rows": 6543 * (k + 3), "labels": 6401, "data": "72de", "tables": {}, "alarm": alarm}),
            Fact("decided", cutoff, decided | {"price": 150.0 * (action == "retrain")}),
            Fact("fitted", cutoff, {"live": str(live), "key": "16d8", "digest": "e747", "rows": 217}),
            Fact("scored", cutoff, {"periods": told, "kept": kept, "of": of, "worst": [], "worst_kept": 0, "worst_of": 0, "alarm": ""}),
            Fact("promised", cutoff, {"split": "adaptive window", "estimate": float(came[k - 1]), "low": float(came[k - 1] - 0.13 * loss), "high": float(came[k - 1] + 0.13 * loss), "level": 0.9, "worst": {"horizon": 4, "level": 0.95, "n": k, "seen": None, "when": None, "high": float(loss * 1.3)}}),
        ]  # fmt: skip
        if broken and k == ticks - 1:
            facts.append(Fact("failed", cutoff, {"part": "published", "why": broken}))
        else:
            facts.append(Fact("ticked", cutoff, {"at": at[k], "next": at[k + 1]}))
    folder = store / "operate" / name
    ledger = Ledger(folder / "ledger.jsonl")
    ledger.append(*facts)
    keep_status(ledger, folder)
    return ledger


def _opened(name, at):
    past = {"first": 0, "path": [], "keys": {}}
    body = {"app": name, "at": at, "edge": 0, "rule": {"name": "break-even", "key": "e886"}, "made_of": "9185"}
    return Fact(
        "opened", 3, body | {"loss": "log_loss", "unit": "EUR", "delay": 0, "settles": 1, "since": [0, 0], "past": past}
    )


def _outcome(period, at, loss, bounds, kept):
    return {"period": period, "from": at, "loss": loss, "n": 6401.0, "low": bounds[0], "high": bounds[1], "kept": kept}
