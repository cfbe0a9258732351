"""Flask's service for benchmarks/metrics.py, with another way to count in the place of its own.

granian … benchmarks.metrics_sides:silent    nothing is counted
granian … benchmarks.metrics_sides:library   the same is counted with prometheus_client
python benchmarks/metrics_sides.py Library   µs of CPU for the counting of a request, several times, as JSON
"""

import json
import os
import sys
import tempfile
import time
import timeit
from functools import partial
from pathlib import Path
from time import perf_counter
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from flask_server.metrics import LIMITS, Metrics, endpoint_of
from flask_server.rsgi import Service, create_service

PATH = "/v1/models/digits:predict"
CALLS, REPEATS = 20_000, 7


class Silent(Metrics):
    """Counts nothing."""

    def begin(self) -> float:
        """Do nothing."""
        return 0.0

    def end(self, began: float, path: str, status: int, reason: str = "") -> None:
        """Do nothing."""

    def waited(self, began: float, path: str) -> None:
        """Do nothing."""

    def inference(self, began: float) -> None:
        """Do nothing."""


class Library(Metrics):
    """Counts the same with prometheus_client."""

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(folder)
        # The library reads the variable when it is imported.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(dir=folder)
        from prometheus_client import CollectorRegistry, Gauge, Histogram

        registry = CollectorRegistry()
        labels = ("endpoint", "status")
        self._durations = Histogram("request_duration_seconds", "-", labels, buckets=LIMITS, registry=registry)
        self._queue = Histogram("queue_duration_seconds", "-", buckets=LIMITS, registry=registry)
        self._forward = Histogram("inference_duration_seconds", "-", buckets=LIMITS, registry=registry)
        self._begun = Gauge("requests_in_flight", "-", multiprocess_mode="livesum", registry=registry)

    def begin(self) -> float:
        """Count a request in."""
        self._begun.inc()
        return perf_counter()

    def end(self, began: float, path: str, status: int, reason: str = "") -> None:
        """Count it out again."""
        self._durations.labels(endpoint_of(path), str(status)).observe(perf_counter() - began)
        self._begun.dec()

    def waited(self, began: float, path: str) -> None:
        """Observe a wait."""
        self._queue.observe(perf_counter() - began)

    def inference(self, began: float) -> None:
        """Observe a forward pass."""
        self._forward.observe(perf_counter() - began)


def silent() -> Service:
    """The service that counts nothing."""
    return _counting_with(Silent)


def library() -> Service:
    """The service that counts with prometheus_client."""
    return _counting_with(Library)


def _counting_with(kind: type[Metrics]) -> Service:
    with patch("flask_server.app.Metrics", kind):
        return create_service()


def counting_us(kind: type[Metrics]) -> list[float]:
    """CPU time for the counting of one request in µs, several times."""

    def of_request(metrics: Metrics) -> None:
        began = metrics.begin()
        metrics.waited(began, PATH)
        metrics.inference(began)
        metrics.end(began, PATH, 200)

    with tempfile.TemporaryDirectory() as folder:
        call = partial(of_request, kind(Path(folder)))
        seconds = timeit.repeat(call, timer=time.process_time, number=CALLS, repeat=REPEATS)
    return [each / CALLS * 1e6 for each in seconds]


if __name__ == "__main__":
    print(json.dumps(counting_us({"Metrics": Metrics, "Library": Library}[sys.argv[1]])))  # noqa: T201  (its output)
