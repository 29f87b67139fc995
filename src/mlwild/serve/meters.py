"""Figures of a running server, as Prometheus reads them."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from mlwild.clock import now_seconds
from mlwild.serve.arms import Arms, Standing
from mlwild.serve.log import Log
from mlwild.serve.tickets import Reply

#: Seconds of the histograms.
SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


class Meters:
    """What is counted."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        here = self.registry
        self._requests = Counter("mlwild_requests", "Requests by path and code.", ["path", "code"], registry=here)
        self._rows = Counter("mlwild_rows", "Rows answered.", ["status", "arm"], registry=here)
        self._whole = Histogram("mlwild_request_seconds", "From request to response.", buckets=SECONDS, registry=here)
        self._answers = Histogram("mlwild_answer_seconds", "That rows waited.", buckets=SECONDS, registry=here)
        self.sync = Histogram("mlwild_log_sync_seconds", "Of a sync of the log.", buckets=SECONDS, registry=here)
        self.unlogged = Counter("mlwild_unlogged_rows", "Rows answered without being logged.", registry=here)
        self.unshadowed = Counter("mlwild_unshadowed_rows", "Rows that the shadow did not score.", registry=here)
        said = "Rows by field that the app reads no longer."  # of names that were its columns: a caller makes up none
        self._ignored = Counter("mlwild_ignored_rows", said, ["field"], registry=here)
        self._live = Gauge("mlwild_live_info", "What is live.", ["arm", "vintage"], registry=here)
        self._cached: dict[tuple[str, ...], Any] = {}

    def request(self, path: str, code: int, seconds: float) -> None:
        """Count a request."""
        key = path, str(code)
        found = self._cached.get(key)
        if found is None:
            found = self._cached[key] = self._requests.labels(*key)
        found.inc()
        self._whole.observe(seconds)

    def answered(self, reply: Reply, arms: Sequence[str], seconds: float) -> None:
        """Count answered rows."""
        self._answers.observe(seconds)
        for key, n in Tally(zip(reply["status"], arms, strict=True)).items():
            self._rows.labels(*key).inc(n)

    def ignored(self, fields: Mapping[str, int]) -> None:
        """Count rows that gave fields which are read no longer."""
        for name, n in fields.items():
            self._ignored.labels(name).inc(n)

    def follow(self, standing: Standing) -> None:
        """Say what is live."""
        self._live.clear()
        for arm, pair in standing.pairs.items():
            self._live.labels(arm, pair.told["vintage"]).set(1)

    def watch(self, arms: Arms, log: Log) -> None:
        """Read at each look what workers and log count themselves."""
        self.registry.register(_Watched(arms, log))

    def text(self) -> bytes:
        """Return all figures."""
        return bytes(generate_latest(self.registry))


class _Watched(Collector):
    """Figures that are kept elsewhere."""

    def __init__(self, arms: Arms, log: Log) -> None:
        self._arms, self._log = arms, log

    def collect(self) -> Iterator[Any]:
        """Yield the figures."""
        standing = self._arms.now
        if standing is None:
            return
        waiting = GaugeMetricFamily("mlwild_waiting_rows", "Rows that wait for an answer.", labels=["arm"])
        workers = GaugeMetricFamily("mlwild_workers", "Workers that can answer.", labels=["arm"])
        for arm, pair in standing.pairs.items():
            waiting.add_metric([arm], pair.open_rows)
            workers.add_metric([arm], len(pair.workers))
        yield waiting
        yield workers
        counts = self._arms.counts()
        for name, said in {
            "restarts": "Workers that died and were started anew.",
            "hung": "Workers that were killed since they hung.",
            "hedged": "Requests that the second worker answered too.",
            "late": "Requests that were answered at the deadline.",
        }.items():
            yield CounterMetricFamily(f"mlwild_worker_{name}", said, value=counts[name])
        yield CounterMetricFamily("mlwild_swaps", "Changes of what is live.", value=self._arms.swaps)
        troubled = float(bool(self._arms.trouble))
        yield GaugeMetricFamily("mlwild_troubled", "Whether something could not be loaded.", value=troubled)
        newest = standing.champion.told["newest"]
        # Not below 0 where the clock has gone back: as in answers.
        age = float("nan") if newest is None else max(now_seconds() - newest, 0.0)
        yield GaugeMetricFamily("mlwild_data_age_seconds", "Since the newest label was known.", value=age)
        yield CounterMetricFamily("mlwild_log_lines", "Lines of the log.", value=self._log.lines)
        yield CounterMetricFamily("mlwild_log_failures", "Writes that failed.", value=self._log.failures)

    def describe(self) -> list[Any]:
        """Return nothing: what there is depends on who answers."""
        return []
