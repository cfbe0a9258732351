"""Counters and histograms, printed as the real server's Prometheus page prints them.

Its names start with a colon (/tensorflow/serving/request_count becomes :tensorflow:serving:request_count) and its
counters have no `_total`, which is why no client library writes this page.
"""

import bisect
import threading
import time
from collections.abc import Iterable

# The real server's buckets for latencies: 33 limits, 10 us times powers of 1.8, up to some twenty minutes.
LATENCY_LIMITS = tuple(10 * 1.8**power for power in range(33))
# A failed request is counted under the model name that the client sent, so number and length are limited.
MAX_SERIES = 10_000
MAX_LABEL = 256


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


class _Metric:
    def __init__(self, name: str, labels: tuple[str, ...]) -> None:
        self.name = name
        self._labels = labels
        self._lock = threading.Lock()

    def _label_text(self, values: Iterable[str]) -> str:
        return ",".join(f'{label}="{_escape(value)}"' for label, value in zip(self._labels, values, strict=True))


class PrometheusCounter(_Metric):
    """A number per combination of label values that only grows."""

    def __init__(self, name: str, labels: tuple[str, ...]) -> None:
        super().__init__(name, labels)
        self._cells: dict[tuple[str, ...], int] = {}

    def increment(self, *values: str) -> None:
        """Add one to the cell of these label values."""
        with self._lock:
            if values not in self._cells:
                values = tuple(value[:MAX_LABEL] for value in values)
            if values in self._cells or len(self._cells) < MAX_SERIES:
                self._cells[values] = self._cells.get(values, 0) + 1

    def lines(self) -> list[str]:
        """Return this metric's part of the page."""
        with self._lock:
            cells = sorted(self._cells.items())
        body = [f"{self.name}{{{self._label_text(values)}}} {count}" for values, count in cells]
        return [f"# TYPE {self.name} counter", *body]


class PrometheusHistogram(_Metric):
    """A distribution per combination of label values, in fixed buckets."""

    def __init__(self, name: str, labels: tuple[str, ...], limits: tuple[float, ...] = LATENCY_LIMITS) -> None:
        super().__init__(name, labels)
        self._limits = limits
        self._cells: dict[tuple[str, ...], tuple[list[int], list[float]]] = {}

    def observe(self, value: float, *values: str) -> None:
        """Add one observation to the cell of these label values."""
        bucket = bisect.bisect_left(self._limits, value)
        with self._lock:
            if values not in self._cells:
                if len(self._cells) >= MAX_SERIES:
                    return
                self._cells[values] = ([0] * (len(self._limits) + 1), [0.0])
            counts, total = self._cells[values]
            counts[bucket] += 1
            total[0] += value

    def lines(self) -> list[str]:
        """Return this metric's part of the page: cumulative buckets, sum and count."""
        with self._lock:
            cells = sorted((values, list(counts), total[0]) for values, (counts, total) in self._cells.items())
        out = [f"# TYPE {self.name} histogram"]
        for values, counts, total in cells:
            text = self._label_text(values)
            comma = "," if text else ""
            below = 0
            for limit, count in zip((*(f"{x:g}" for x in self._limits), "+Inf"), counts, strict=True):
                below += count
                out.append(f'{self.name}_bucket{{{text}{comma}le="{limit}"}} {below}')
            out += [f"{self.name}_sum{{{text}}} {total}", f"{self.name}_count{{{text}}} {below}"]
        return out


class Metrics:
    """Everything this server counts."""

    def __init__(self) -> None:
        serving = ":tensorflow:serving:"
        self.requests = PrometheusCounter(f"{serving}request_count", ("model_name", "status"))
        self.request_latency = PrometheusHistogram(f"{serving}request_latency", ("model_name", "API", "entrypoint"))
        self.runtime_latency = PrometheusHistogram(f"{serving}runtime_latency", ("model_name", "API", "runtime"))
        self.warmup_latency = PrometheusHistogram(f"{serving}model_warmup_latency", ("model_path", "status"))
        self.queuing_latency = PrometheusHistogram(
            f"{serving}batching_session:queuing_latency",
            ("thread_pool_name",),
            tuple(100 * 1.2**power for power in range(52)),
        )
        self.batch_runs = PrometheusCounter(f"{serving}batching_session:wrapped_run_count", ())

    def page(self) -> str:
        """Return the page in Prometheus' text format; latencies are in microseconds."""
        return "\n".join(line for metric in vars(self).values() for line in metric.lines()) + "\n"


def micros_since(start: float) -> float:
    """Return the microseconds since a reading of time.perf_counter()."""
    return (time.perf_counter() - start) * 1e6
