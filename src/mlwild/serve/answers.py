"""What is written of an answer: the response, and the line of the log."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlwild.answering.service import FIELDS
from mlwild.clock import now_seconds
from mlwild.serve.requests import Asked
from mlwild.serve.tickets import Reply

written = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode


@dataclass(frozen=True)
class Writer:
    """
    Writes answers of one app.

    Parameters
    ----------
    names : tuple of str
        Columns of a request, in order.
    time : str
    key : str or None
    ask : str
    classes : list or None
    """

    names: tuple[str, ...]
    time: str
    key: str | None
    ask: str
    classes: list[Any] | None

    def body(self, name: str, asked: Asked, reply: Reply, arms: Sequence[str]) -> str:
        """Return the response of `/predict`."""
        lists = reply.lists
        rows = [
            {
                "value": self.value(value),
                "low": low,
                "high": high,
                "likely": self.named(likely),
                "status": status,
                "cause": cause,
                "stage": stage,
                "vintage": vintage,
                "arm": arm,
                "expected_loss": expected,
                "chance": chance,
                "age_seconds": age,
            }
            for value, low, high, likely, status, cause, stage, vintage, expected, chance, age, arm in zip(
                *(lists[name] for name in FIELDS[:-1]), arms, strict=True
            )
        ]
        classes = {} if self.ask != "probabilities" else {"classes": self.classes}
        ignored = {"ignored": list(asked.ignored)} if asked.ignored else {}
        return written({"id": name, **classes, **ignored, "predictions": rows})

    def value(self, value: Any) -> Any:
        """Return a value as clients read it: a class by its name, one that was refused as null."""
        if self.ask == "class" and self.classes is not None and value is not None:
            return self.classes[int(value)]
        return value

    def named(self, likely: list[int] | None) -> list[Any] | None:
        """Return the classes that an outcome is among, by their names."""
        if likely is None or self.classes is None:
            return None
        return [self.classes[place] for place in likely]

    def line(self, name: str, asked: Asked, reply: Reply, arms: Sequence[str], told: Mapping[str, str]) -> str:
        """
        Return the line of the log.

        Parameters
        ----------
        name : str
            Id of the request.
        asked : Asked
        reply : Reply
        arms : sequence of str
        told : mapping of str to str
            ``asked``, the digest of the request; ``answer``, the response.
        """
        time, key = self.names.index(self.time), None if self.key is None else self.names.index(self.key)
        rows = []
        for row in range(asked.n):
            event = {one: column[row] for one, column in zip(self.names, asked.columns, strict=True)}
            ids = written([None if key is None else asked.columns[key][row], asked.columns[time][row]])[1:-1]
            key_, _, time_ = ids.rpartition(",")
            rows.append(
                f'{{"key":{key_},"time":{time_},"arm":"{arms[row]}","event":{written(event)},'
                f'"features":{reply["features"][row]}}}'
            )
        return (
            f'{{"id":{written(name)},"at":{now_seconds():.6f},"asked":"{told["asked"]}","vintage":'
            f'{written(told["vintage"])},"rows":[{",".join(rows)}],"answer":{told["answer"]}}}'
        )


def noted(asked: Asked, reply: Reply, doubt: str = "") -> Reply:
    """Return answers that say which fields a row did not give, or that its time is in doubt: they are not normal."""
    dated = asked.dated if doubt else ()
    if not any(asked.absent) and not dated:
        return reply
    status, cause = list(reply["status"]), list(reply["cause"])
    found = [(row, f"absent: {', '.join(names)}") for row, names in enumerate(asked.absent) if names]
    for row, why in [*found, *((row, doubt) for row in dated)]:
        status[row] = "degraded" if status[row] == "normal" else status[row]
        cause[row] = "; ".join(filter(None, [cause[row], why]))
    return Reply(reply.lists | {"status": status, "cause": cause}, reply.seconds)


def flat(body: str) -> str:
    """
    Return the response of `/invocations` of that of `/predict`: the values, and beside them how each was made.

    Examples
    --------
    >>> flat('{"predictions":[{"value":0.5,"status":"normal","cause":"","stage":"champion"}]}')
    '{"predictions":[0.5],"statuses":[{"status":"normal","cause":""}]}'
    """
    said = json.loads(body)
    rows = said["predictions"]
    how = [{"status": one["status"], "cause": one["cause"]} for one in rows]
    beside = {name: said[name] for name in ("classes", "ignored") if name in said}
    return written({"predictions": [one["value"] for one in rows], "statuses": how, **beside})
