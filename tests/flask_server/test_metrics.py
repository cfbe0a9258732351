import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from flask_server.counters import Counters
from flask_server.metrics import LIMITS, OVERLOAD, REASONS, Metrics
from loadtest.launch.local import LocalServer, start_local
from loadtest.machine.placement import UNPINNED
from loadtest.servers.artifact import Artifact
from loadtest.servers.server_folder import Server
from loadtest.wire.single_request import request

PREDICT = "/v1/models/digits:predict"
GIVE_UP_S = 60.0
GRANIAN = pytest.mark.parametrize("server", ["flask_server"], indirect=True)

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(page: str) -> Samples:
    """Every sample of a page by its name and labels, as Prometheus' own client reads them."""
    return {
        (one.name.removeprefix("flask_server_"), tuple(sorted(one.labels.items()))): one.value
        for family in text_string_to_metric_families(page)
        for one in family.samples
    }


def told(server: LocalServer) -> Samples:
    """What a worker tells for all of them."""
    answer = request(server.host, server.ports["rest"], "/metrics")
    assert answer.status == 200, answer
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return samples(answer.body.decode())


def answered(page: Samples, endpoint: str, status: int) -> float:
    """Requests that were counted so."""
    labels = (("endpoint", endpoint), ("status", str(status)))
    return page.get(("request_duration_seconds_count", labels), 0.0)


def refused(page: Samples, reason: str) -> float:
    """Requests that were refused for a reason."""
    return page["requests_refused_total", (("reason", reason),)]


@pytest.fixture(scope="module", params=["flask_server", "flask_server:gunicorn"])
def server(request: pytest.FixtureRequest, artifact: Artifact, servers: Mapping[str, Server]) -> Iterator[LocalServer]:
    """The running server with two workers, behind either WSGI server."""
    one = servers[request.param]
    launch = one.launches[0]
    two = type(launch)((*launch.command, "--workers", "2"), launch.env)
    running = start_local(type(one)(**{**vars(one), "launches": (two,)}), artifact, UNPINNED, any_port=True)
    yield running
    running.stop()


def test_what_both_workers_did_is_told_together(server: LocalServer, artifact: Artifact) -> None:
    """Predictions, refusals and times rise by what was asked, whichever workers were asked; and nobody is in flight."""
    wait_until(lambda: in_flight(server) == 1)  # what the launcher gave up on while the model loaded is over
    before = told(server)
    began = time.perf_counter()
    for body in artifact.bodies()[:30]:
        assert server.predict(body).status == 200
    lasted = time.perf_counter() - began
    assert server.predict(b"{}").status == 400
    assert request(server.host, server.ports["rest"], "/nothing").status == 404
    answer = request(server.host, server.ports["rest"], PREDICT, b"x", headers={"Content-Type": "text/html"})
    assert answer.status == 415
    after = told(server)
    assert answered(after, "predict", 200) - answered(before, "predict", 200) == 30
    for reason, endpoint, status in (
        ("invalid", "predict", 400),
        ("unsupported_type", "predict", 415),
        ("not_found", "other", 404),
    ):
        assert refused(after, reason) - refused(before, reason) == 1
        assert answered(after, endpoint, status) - answered(before, endpoint, status) == 1
    inference = [page["inference_duration_seconds_count", ()] for page in (before, after)]
    assert inference[1] - inference[0] == 30
    labels = (("endpoint", "predict"), ("status", "200"))
    spent = [page["request_duration_seconds_sum", labels] for page in (before, after)]
    computed = [page["inference_duration_seconds_sum", ()] for page in (before, after)]
    assert 0 < computed[1] - computed[0] < spent[1] - spent[0] < lasted
    assert after["requests_in_flight", ()] == 1  # the one that asks


@GRANIAN
def test_buckets_are_cumulative(server: LocalServer) -> None:
    """Each limit has all that took no longer, and the last one has all."""
    page = told(server)
    labels = (("endpoint", "predict"), ("status", "200"))
    limits = [str(limit) for limit in LIMITS] + ["+Inf"]
    counts = [page["request_duration_seconds_bucket", tuple(sorted((*labels, ("le", limit))))] for limit in limits]
    assert counts == sorted(counts)
    assert counts[-1] == answered(page, "predict", 200) > 0


@GRANIAN
def test_a_worker_that_is_killed_takes_no_count_with_it(server: LocalServer, artifact: Artifact) -> None:
    """What it had counted is told, once, also when another has taken its place; what it had in flight is gone."""
    held = [socket.create_connection((server.host, server.ports["rest"]), timeout=60) for _ in range(16)]
    for connection in held:
        connection.sendall(f"POST {PREDICT} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n".encode())
    wait_until(lambda: in_flight(server) == len(held) + 1)
    before = answered(told(server), "predict", 200)
    old = workers(server)
    for worker in old:
        os.kill(worker, signal.SIGKILL)
    wait_until(lambda: len(workers(server)) == 2 and not set(workers(server)) & set(old))
    wait_until(lambda: in_flight(server) == 1)
    assert answered(told(server), "predict", 200) == before
    assert server.predict(artifact.bodies()[0], timeout_s=60).status == 200
    assert answered(told(server), "predict", 200) == before + 1
    for connection in held:
        connection.close()


def in_flight(server: LocalServer) -> float:
    """Requests in flight, the one that asks included."""
    return told(server)["requests_in_flight", ()]


def workers(server: LocalServer) -> list[int]:
    """The processes that answer; granian has another one for Python's resource tracker."""
    children = psutil.Process(server.pid).children()
    return [one.pid for one in children if "resource_tracker" not in " ".join(one.cmdline())]


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for what has to come."""
    deadline = time.monotonic() + GIVE_UP_S
    while True:
        try:
            if holds():
                return
        except (AssertionError, psutil.NoSuchProcess):
            pass  # nobody answers at the moment
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)


def counted_and_ended(folder: Path) -> None:
    """A process that counts three, has one in flight and ends."""
    child = os.fork()
    if not child:
        counters = Counters(2, (1,), folder)
        counters.values[0] += 3
        counters.values[1] += 1
        os._exit(0)
    os.waitpid(child, 0)


def test_a_process_counts_on_where_one_has_ended(tmp_path: Path) -> None:
    """No count is lost or told twice, a gauge ends with its process, and no file is left over."""
    counted_and_ended(tmp_path)
    one = Counters(2, (1,), tmp_path)
    assert one.totals() == [3.0, 0.0]
    one.values[0] += 1
    one.values[1] += 1
    assert len(list(tmp_path.iterdir())) == 1
    counted_and_ended(tmp_path)  # beside a process that lives
    assert one.totals() == [7.0, 1.0]
    counted_and_ended(tmp_path)
    assert one.totals() == [10.0, 1.0]
    assert len(list(tmp_path.iterdir())) == 2


def test_processes_at_once_have_files_of_their_own(tmp_path: Path) -> None:
    """Each lives, so its gauge counts; a file of another length is left alone."""
    (tmp_path / "old.counts").write_bytes(bytes(8))
    one, two = Counters(2, (1,), tmp_path), Counters(2, (1,), tmp_path)
    for number, counters in enumerate((one, two), 1):
        counters.values[0] += number
        counters.values[1] += 1
    assert one.totals() == two.totals() == [3.0, 2.0]
    assert len(list(tmp_path.glob("*.counts"))) == 3


def test_every_reason_is_told_from_the_start() -> None:
    """A rate over a counter misses its first step where the series was not there before."""
    metrics = Metrics()
    page = samples(metrics.page())
    assert [refused(page, reason) for reason in (*REASONS.values(), OVERLOAD)] == [0.0] * (len(REASONS) + 1)
    metrics.end(metrics.begin(), PREDICT, 503, OVERLOAD)
    metrics.end(metrics.begin(), PREDICT, 503)
    metrics.end(metrics.begin(), "/v1/models/digits", 418)
    page = samples(metrics.page())
    assert (refused(page, OVERLOAD), refused(page, "not_ready")) == (1.0, 1.0)
    assert page["request_duration_seconds_count", (("endpoint", "model"), ("status", "other"))] == 1.0
    assert metrics.in_flight == 0
