"""The times of a request as the server itself tells them, beside those of the client.

A server's metrics page is read before the measured phase of a run and after it; what its sums and counts grew by is of
the requests in between. Nobody reads it while requests are under way.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from loadtest.judge.findings import NO_SERVER_TIMES, Finding
from loadtest.records import Count, Number
from loadtest.servers.times_table import TimesTable
from loadtest.wire.single_request import Answer

SETTLED_S, AGAIN_S = 1.0, 0.05
"""A server may count a request a moment after its answer: the page is read until it is the same twice, for so long."""


@dataclass(frozen=True)
class TimesRead:
    """What a metrics page told at one moment.

    Attributes:
        totals: Time in seconds and number of requests since the server's start, by the name of the time.
        fault: Why the page tells nothing.
    """

    totals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    fault: str = ""


@dataclass(frozen=True)
class ServerTimes:
    """What the server tells of the measured phase.

    Attributes:
        requests: Requests that it counted.
        request_ms: Mean time of a request in the server, in milliseconds; NaN where it does not tell, as below.
        queue_ms: Mean wait for its turn, within that.
        inference_ms: Mean time in which the model computed, within that.
        faults: Why nothing is told.
    """

    requests: Count = 0
    request_ms: Number = math.nan
    queue_ms: Number = math.nan
    inference_ms: Number = math.nan
    faults: list[Finding] = field(default_factory=list)

    @property
    def rest_ms(self) -> float:
        """What is neither, of what the server tells: with a part that it does not tell apart."""
        return self.request_ms - sum(part for part in (self.queue_ms, self.inference_ms) if not math.isnan(part))


def read_times(page: Answer, table: TimesTable) -> TimesRead:
    """Read what a metrics page tells of the times."""
    if page.status != 200:
        return TimesRead(fault=f"{table.path} of its port {table.port}: {page.fault or f'HTTP {page.status}'}")
    try:
        samples = [
            sample
            for family in text_string_to_metric_families(page.body.decode(errors="replace"))
            for sample in family.samples
        ]
    except ValueError as error:
        return TimesRead(fault=f"{table.path} of its port {table.port} is not in Prometheus' text format: {error}")
    return TimesRead(
        {
            name: (_total(samples, one.sum, one.labels) * one.unit_s, _total(samples, one.count, one.labels))
            for name, one in table.series.items()
        }
    )


def _total(samples: Iterable[Sample], name: str, labels: Mapping[str, str]) -> float:
    """The sum of the samples of a name that have these labels. The parser adds the ``_total`` that a counter lacks."""
    names = name, f"{name}_total"
    return sum(one.value for one in samples if one.name in names and labels.items() <= one.labels.items())


def settled(read: Callable[[], TimesRead]) -> TimesRead:
    """Read until the page tells the same twice."""
    deadline = time.monotonic() + SETTLED_S
    told = read()
    while not told.fault and time.monotonic() < deadline:
        time.sleep(AGAIN_S)
        before, told = told, read()
        if told == before:
            break
    return told


def times_between(before: TimesRead, after: TimesRead, table: TimesTable) -> ServerTimes:
    """What a server tells of the requests between two readings."""
    if before.fault or after.fault:
        return _untold(before.fault or after.fault)
    means_ms, counted = dict.fromkeys(("request", "queue", "inference"), math.nan), 0
    for name, (seconds, count) in after.totals.items():
        seconds_before, count_before = before.totals[name]
        requests = round(count - count_before)
        if requests < 0:
            return _untold("it counts from zero again, as after a restart")
        if name == "request":
            counted = requests
        if requests:
            means_ms[name] = (seconds - seconds_before) / requests * 1e3
    if table.series.get("inference") and table.series["inference"].with_queue and not math.isnan(means_ms["queue"]):
        means_ms["inference"] -= means_ms["queue"]
    return ServerTimes(counted, means_ms["request"], means_ms["queue"], means_ms["inference"])


def _untold(why: str) -> ServerTimes:
    return ServerTimes(faults=[Finding(NO_SERVER_TIMES, {"why": why})])
