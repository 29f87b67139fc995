"""Skill by group on a page: where it is negative first, the average last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlwild.card.facts import known
from mlwild.card.words import count, number, percent
from mlwild.worstcase.skill import ALL

Row = dict[str, Any]


def skill(found: Sequence[Mapping[str, Any]]) -> Row | None:
    """
    Return the table of skill and what is to be said of it first; None where there is none.

    Parameters
    ----------
    found : sequence of mapping
        Records of `mlwild.worstcase.skill.Skill` as plain data, in their order.
    """
    if not found:
        return None
    baselines = list(dict.fromkeys(one["baseline"] for one in found))
    groups = list(dict.fromkeys(one["group"] for one in found))
    by_place = {(one["group"], one["baseline"]): one for one in found}
    rows = []
    for group in groups:
        cells = [by_place[group, baseline] for baseline in baselines]
        rows.append(
            {
                "group": group,
                "n": number(cells[0]["n"], 0),
                "periods": number(cells[0]["periods"], 0),
                "cells": [_cell(one) for one in cells],
            }
        )
    return {
        "baselines": baselines,
        "rows": rows,
        "negative": [_said(one) for one in found if one["loss"] > one["baseline_loss"]],
        "level": percent(found[0]["level"]),
        "grouped": len(groups) > 1,
    }


def _cell(one: Mapping[str, Any]) -> Row:
    share = one["skill"]
    return {
        "skill": _signed(share["estimate"]) if known(share["estimate"]) else "no ratio",
        "bounds": _bounds(share),
        "verdict": one["verdict"],
        "why": one["why"],
    }


def _said(one: Mapping[str, Any]) -> Row:
    share, rmse = one["skill"], one["rmse"]
    return {
        "sure": one["verdict"] == "worse",
        "baseline": one["baseline"],
        "where": f"over {ALL}" if one["group"] == ALL else f"in {one['group']}",
        "skill": _signed(share["estimate"]) if known(share["estimate"]) else "no ratio",
        "bounds": _bounds(share) or one["why"],
        "rmse": None if rmse is None else _signed(rmse["estimate"]),
        "n": number(one["n"], 0),
        "periods": count(one["periods"], "period"),
    }


def _bounds(share: Mapping[str, Any]) -> str:
    return f"{_signed(share['low'])} to {_signed(share['high'])}" if known(share["low"]) else ""


def _signed(value: float) -> str:
    return number(100 * value, 1, signed=True) + "%"
