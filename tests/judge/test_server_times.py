"""A server's own times: what is read of its page, and what it says of a run."""

import math
from collections.abc import Mapping

import pytest

from loadtest.judge.server_times import ServerTimes, TimesRead, read_times, settled, times_between
from loadtest.report.wording import all_words
from loadtest.servers.server_folder import Server
from loadtest.servers.times_table import TimesTable
from loadtest.wire.single_request import Answer

FLASK = """
# TYPE flask_server_request_duration_seconds histogram
flask_server_request_duration_seconds_bucket{{endpoint="predict",status="200",le="+Inf"}} {requests}
flask_server_request_duration_seconds_sum{{endpoint="predict",status="200"}} {spent}
flask_server_request_duration_seconds_count{{endpoint="predict",status="200"}} {requests}
flask_server_request_duration_seconds_sum{{endpoint="predict",status="400"}} 0.5
flask_server_request_duration_seconds_count{{endpoint="predict",status="400"}} 1
flask_server_request_duration_seconds_sum{{endpoint="metrics",status="200"}} 99.0
flask_server_request_duration_seconds_count{{endpoint="metrics",status="200"}} 99
# TYPE flask_server_queue_duration_seconds histogram
flask_server_queue_duration_seconds_sum {queue}
flask_server_queue_duration_seconds_count {requests}
# TYPE flask_server_inference_duration_seconds histogram
flask_server_inference_duration_seconds_sum {inference}
flask_server_inference_duration_seconds_count {requests}
"""
TORCHSERVE = """
# TYPE ts_inference_latency_microseconds counter
ts_inference_latency_microseconds{{model_name="digits",model_version="default",hostname="vm",}} {spent}
# TYPE ts_inference_requests_total counter
ts_inference_requests_total{{model_name="digits",model_version="default",hostname="vm",}} {requests}
# TYPE ts_queue_latency_microseconds counter
ts_queue_latency_microseconds{{model_name="digits",model_version="default",hostname="vm",}} {queue}
"""
TF_SERVING = """
# TYPE :tensorflow:serving:request_latency histogram
:tensorflow:serving:request_latency_sum{{model_name="digits",API="predict",entrypoint="REST"}} {spent}
:tensorflow:serving:request_latency_count{{model_name="digits",API="predict",entrypoint="REST"}} {requests}
# TYPE :tensorflow:serving:runtime_latency histogram
:tensorflow:serving:runtime_latency_sum{{model_name="digits",API="Predict",runtime="TF1"}} {inference}
:tensorflow:serving:runtime_latency_count{{model_name="digits",API="Predict",runtime="TF1"}} {requests}
# TYPE :tensorflow:serving:batching_session:queuing_latency histogram
"""
QUEUE = """
:tensorflow:serving:batching_session:queuing_latency_sum{{thread_pool_name="a"}} {queue}
:tensorflow:serving:batching_session:queuing_latency_count{{thread_pool_name="a"}} {requests}
"""


def table_of(servers: Mapping[str, Server], key: str) -> TimesTable:
    """Where a server of the project tells its times."""
    table = servers[key].times
    assert table is not None
    return table


def told(table: TimesTable, page: str, unit: float = 1.0, **values: float) -> TimesRead:
    """What is read of a page; times in the page's unit."""
    numbers = {name: value if name == "requests" else value * unit for name, value in values.items()}
    return read_times(Answer(200, page.format(**numbers).encode()), table)


@pytest.mark.parametrize(
    ("key", "page", "unit", "expected"),
    [
        ("flask_server", FLASK, 1.0, (50, 10.0, 1.0, 4.0, 5.0)),
        ("torchserve", TORCHSERVE, 1e6, (50, 10.0, 1.0, math.nan, 9.0)),
        ("tf_serving", TF_SERVING, 1e6, (50, 10.0, math.nan, 4.0, 6.0)),
        ("tf_serving:batching", TF_SERVING + QUEUE, 1e6, (50, 10.0, 1.0, 3.0, 6.0)),  # the session waits, too
    ],
)
def test_what_grew_is_of_the_run(
    key: str, page: str, unit: float, expected: tuple[float, ...], servers: Mapping[str, Server]
) -> None:
    """Means are over the requests between two readings; a time that a server does not tell is not known."""
    table = table_of(servers, key)
    before = told(table, page, unit, requests=10, spent=7.0, queue=0.2, inference=1.0)
    after = told(table, page, unit, requests=60, spent=7.5, queue=0.25, inference=1.2)
    found = times_between(before, after, table)
    assert found.faults == []
    values = (found.requests, found.request_ms, found.queue_ms, found.inference_ms, found.rest_ms)
    assert values == pytest.approx(expected, nan_ok=True)


def test_a_run_without_requests_has_no_means(servers: Mapping[str, Server]) -> None:
    """Nothing is divided by none."""
    table = table_of(servers, "flask_server")
    same = told(table, FLASK, requests=10, spent=7.0, queue=0.2, inference=1.0)
    found = times_between(same, same, table)
    assert found.requests == 0
    assert math.isnan(found.request_ms)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(0, b"", "ConnectionRefusedError: no"), "/metrics of its port rest: ConnectionRefusedError: no"),
        (Answer(404, b"gone"), "/metrics of its port rest: HTTP 404"),
        (Answer(200, b"<html>hello</html> {"), "/metrics of its port rest is not in Prometheus' text format"),
    ],
)
def test_a_page_that_cannot_be_read_is_told(answer: Answer, why: str, servers: Mapping[str, Server]) -> None:
    """The run keeps its numbers; the reason stands in the place of the server's."""
    table = table_of(servers, "flask_server")
    found = times_between(read_times(answer, table), TimesRead(), table)
    assert all_words(found.faults).startswith(f"the server's own times could not be read: {why}")


def test_a_server_that_was_restarted_tells_nothing(servers: Mapping[str, Server]) -> None:
    """It counts from zero again."""
    table = table_of(servers, "flask_server")
    before, after = (told(table, FLASK, requests=count, spent=7.0, queue=0.2, inference=1.0) for count in (100, 10))
    assert "restart" in all_words(times_between(before, after, table).faults)
    assert times_between(before, after, table).requests == 0


def test_a_page_is_read_until_it_stays_the_same() -> None:
    """A server may count a request a moment after its answer."""
    pages = [TimesRead({"request": (0.1 * count, float(count))}) for count in (8, 9, 10, 10, 11)]
    assert settled(lambda: pages.pop(0)).totals == {"request": (1.0, 10.0)}
    broken = [TimesRead(fault="gone"), TimesRead()]
    assert settled(lambda: broken.pop(0)).fault == "gone"
    assert len(broken) == 1


def test_the_rest_of_nothing_is_not_known() -> None:
    """A server that does not tell the whole has no rest."""
    assert math.isnan(ServerTimes(5, queue_ms=1.0).rest_ms)
