"""What the service tells of itself: requests, their times, and those that it refused, in Prometheus' text format.

They are those of all worker processes together (`counters`), whichever of them is asked. `prometheus_client` can do
that too, and takes several times as long for each request (`scripts/bench metrics`).

Format: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

import itertools
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

from flask_server.counters import Counters

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

LIMITS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Upper limits of the buckets of every histogram, in seconds; a last one takes what is longer."""
LENGTH = len(LIMITS) + 2
"""Numbers of a histogram: each bucket by itself, and the sum."""

PREDICT, OTHER = "predict", "other"
ENDPOINTS = (PREDICT, "model", "healthz", "metrics", OTHER)

REASONS = {
    400: "invalid",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method",
    408: "too_slow",
    413: "too_large",
    415: "unsupported_type",
    503: "not_ready",
}
"""Why a request is refused, by the status of its answer."""
OVERLOAD = "overload"
"""Why it is refused with a 503 before it reaches Flask."""

GONE = 499
"""Stands for the status of a request whose client went away before it was answered; nginx has that number for it."""
STATUSES = (200, *REASONS, GONE, 500)


class Metrics:
    """Counts the requests of this process, in the memory that all processes of the service can read.

    Args:
        folder: Where they keep it; None where there is only this process.

    Raises:
        OSError: See `Counters`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        free = itertools.count(0, LENGTH)
        self._requests = {(endpoint, status): next(free) for endpoint in ENDPOINTS for status in (*STATUSES, OTHER)}
        self._waits, self._inference = next(free), next(free)
        singles = itertools.count(next(free))
        self._in_flight = next(singles)
        self._refused = {reason: next(singles) for reason in (*REASONS.values(), OVERLOAD)}
        self._counters = Counters(next(singles), (self._in_flight,), folder)
        self._values = self._counters.values
        self._lock = threading.Lock()

    @property
    def in_flight(self) -> int:
        """Requests that this process has begun and not ended."""
        return int(self._values[self._in_flight])

    def begin(self) -> float:
        """Count a request in; returns when that was, for `end`."""
        with self._lock:
            self._values[self._in_flight] += 1
        return perf_counter()

    def end(self, began: float, path: str, status: int, reason: str = "") -> None:
        """Count it out again, with its time and, where it was refused, with the reason.

        Args:
            began: What `begin` returned.
            path: Of its URL.
            status: Of its answer.
            reason: Why it was refused, where the status does not tell.
        """
        series = self._requests[endpoint_of(path), status if status in STATUSES else OTHER]
        self._observe(series, perf_counter() - began, -1)
        if status in REASONS:
            self.refused(reason or REASONS[status])

    def waited(self, began: float, path: str) -> None:
        """Observe, as its work begins, how long a prediction waited for its body and for its turn."""
        if path.endswith(":predict"):
            self._observe(self._waits, perf_counter() - began)

    def inference(self, began: float) -> None:
        """Observe a forward pass that has just ended.

        Args:
            began: Reading of time.perf_counter() before it.
        """
        self._observe(self._inference, perf_counter() - began)

    def refused(self, reason: str) -> None:
        """Count a request that was refused, for a reason of `REASONS` or `OVERLOAD`."""
        with self._lock:
            self._values[self._refused[reason]] += 1

    def _observe(self, at: int, seconds: float, in_flight: int = 0) -> None:
        values = self._values
        with self._lock:
            values[at + bisect_left(LIMITS, seconds)] += 1
            values[at + LENGTH - 1] += seconds
            if in_flight:
                values[self._in_flight] += in_flight

    def page(self) -> str:
        """Return what all processes of the service have counted, in Prometheus' text format."""
        totals = self._counters.totals()
        requests = (
            (f'endpoint="{endpoint}",status="{status}"', totals[at : at + LENGTH])
            for (endpoint, status), at in self._requests.items()
        )
        waits, inference = (totals[at : at + LENGTH] for at in (self._waits, self._inference))
        refused = ((f'{{reason="{reason}"}}', totals[at]) for reason, at in self._refused.items())
        return "\n".join(
            [
                *_histogram("request_duration", "From the headers of a request to its answer.", requests),
                *_histogram("queue_duration", "A prediction's wait for its body and its turn.", [("", waits)]),
                *_histogram("inference_duration", "A forward pass.", [("", inference)]),
                *_single("requests_in_flight", "gauge", "Begun and not answered.", [("", totals[self._in_flight])]),
                *_single("requests_refused_total", "counter", "Refused, by the reason.", refused),
                "",
            ]
        )


def endpoint_of(path: str) -> str:
    """Return what a path is counted under; whatever a client asks for, there are few of them."""
    if path.endswith(":predict"):
        return PREDICT
    if path.startswith("/v1/models/"):
        return "model"
    return path[1:] if path in ("/healthz", "/metrics") else OTHER


def counted(app: Callable[..., Any], metrics: Metrics) -> Callable[..., Any]:
    """Return a WSGI application with its requests counted, for servers that have no `rsgi.py` in front of it."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        status = [500]

        def started(line: str, *rest: Any) -> Any:
            status[0] = int(line[:3])
            return start_response(line, *rest)

        began = metrics.begin()
        try:
            return app(environ, started)
        finally:
            metrics.end(began, environ["PATH_INFO"], status[0])

    return application


def _histogram(name: str, told: str, series: Iterable[tuple[str, list[float]]]) -> Iterator[str]:
    """The lines of a histogram of seconds; series without a label are there from the start, others once they count."""
    name = f"flask_server_{name}_seconds"
    yield from (f"# HELP {name} {told}", f"# TYPE {name} histogram")
    for labels, (*buckets, total) in series:
        if labels and not any(buckets):
            continue
        comma = "," if labels else ""
        below = itertools.accumulate(buckets)
        for limit, count in zip((*map(str, LIMITS), "+Inf"), below, strict=True):
            yield f'{name}_bucket{{{labels}{comma}le="{limit}"}} {count:.0f}'
        braced = f"{{{labels}}}" if labels else ""
        yield f"{name}_sum{braced} {total!r}"
        yield f"{name}_count{braced} {sum(buckets):.0f}"


def _single(name: str, kind: str, told: str, series: Iterable[tuple[str, float]]) -> Iterator[str]:
    name = f"flask_server_{name}"
    yield from (f"# HELP {name} {told}", f"# TYPE {name} {kind}")
    yield from (f"{name}{labels} {value:.0f}" for labels, value in series)
