"""A real Prometheus, with the project's configuration, over the three real servers after some load."""

import contextlib
import json
import shutil
import subprocess
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from loadtest.experiments.server_run import measure_server
from loadtest.judge.measured import MeasuredRun
from loadtest.launch.launcher import LocalLauncher, running
from loadtest.launch.running import RunningServer
from loadtest.load.plan import Load
from loadtest.load.schedule import Closed
from loadtest.machine.placement import UNPINNED
from loadtest.machine.ports import free_ports
from loadtest.servers.artifact import Artifact
from loadtest.servers.server_folder import Server
from loadtest.wire.single_request import request
from tests.observability.provisioned import DASHBOARD, PANELS, SCRAPES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("prometheus") is None, reason="prometheus is not installed: apt-get install prometheus"
    ),
]
KEYS = ("flask_server", "tf_serving:batching", "torchserve")
"""TensorFlow Serving has a queue, and tells of it, only with batching."""
QUERIES = [(panel["title"], target) for panel in PANELS for target in panel["targets"]]
GIVE_UP_S = 60.0


@dataclass(frozen=True)
class Watched:
    """Servers that were put under load, and the Prometheus that watched.

    Attributes:
        runs: The load on each, by the server's key.
        port: Where Prometheus listens.
    """

    runs: Mapping[str, MeasuredRun]
    port: int

    def ask(self, query: str) -> list[dict[str, Any]]:
        """The samples that a query finds now."""
        answer = request("127.0.0.1", self.port, f"/api/v1/query?{urllib.parse.urlencode({'query': query})}")
        told = answer.json
        assert answer.status == 200, told
        assert told["status"] == "success", told
        found: list[dict[str, Any]] = told["data"]["result"]
        return found


@pytest.fixture(scope="module")
def watched(
    artifact: Artifact, servers: Mapping[str, Server], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watched]:
    """The three servers, a good second of load on each, and a Prometheus that reads them every second."""
    folder = tmp_path_factory.mktemp("prometheus")
    with running(LocalLauncher(artifact, UNPINNED, any_port=True), [servers[key] for key in KEYS]) as started:
        (folder / "prometheus.yml").write_text(yaml.safe_dump(_scrapes_of(started)), encoding="utf-8")
        with _prometheus(folder) as port:
            _wait_until_read(port)
            runs = {}
            for one in started:
                load = Load(Closed(1.5), warmup_s=0.5, connections=2)
                runs[one.server.key] = measure_server(one, load, UNPINNED)[0]
                assert one.predict(b"{}").status == 400
            yield Watched(runs, port)


@contextlib.contextmanager
def _prometheus(folder: Path) -> Iterator[int]:
    """A Prometheus with the configuration in a folder; its port."""
    port = free_ports(["prometheus"], "127.0.0.1")["prometheus"]
    command = ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
    command.append(f"--web.listen-address=127.0.0.1:{port}")
    with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT) as process:
        try:
            yield port
        finally:
            process.terminate()


def _scrapes_of(started: list[RunningServer]) -> dict[str, Any]:
    """The project's configuration, with the addresses of these servers and less patience."""
    ports = {
        running.server.name: running.ports[running.server.times.port] for running in started if running.server.times
    }
    jobs = [
        {**job, "static_configs": [{"targets": [f"127.0.0.1:{ports[job['job_name']]}"]}]}
        for job in SCRAPES["scrape_configs"]
    ]
    return {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": jobs}


def _wait_until_read(port: int) -> None:
    """Wait until every server has been read."""
    deadline = time.monotonic() + GIVE_UP_S
    while True:
        answer = request("127.0.0.1", port, "/api/v1/query?query=sum(up)")
        if answer.status == 200 and [one["value"][1] for one in answer.json["data"]["result"]] == ["3"]:
            return
        targets = request("127.0.0.1", port, "/api/v1/targets").body.decode()
        assert time.monotonic() < deadline, f"{answer}\n{targets}"
        time.sleep(0.1)


def test_prometheus_reads_every_server(watched: Watched) -> None:
    """No scrape fails: each page is in the format."""
    assert {one["metric"]["job"]: one["value"][1] for one in watched.ask("up")} == {
        "flask_server": "1",
        "tf_serving": "1",
        "torchserve": "1",
    }


@pytest.mark.parametrize(
    ("title", "target"), QUERIES, ids=[f"{title}: {one['legendFormat']}" for title, one in QUERIES]
)
def test_every_query_of_the_dashboard_finds_something(title: str, target: dict[str, Any], watched: Watched) -> None:
    """A number, and no NaN, as Grafana would ask for it."""
    query = target["expr"].replace("$__rate_interval", "5m")
    assert "$" not in query
    deadline = time.monotonic() + GIVE_UP_S
    while not (found := [one for one in watched.ask(query) if one["value"][1] != "NaN"]):
        assert time.monotonic() < deadline, f"{title}: no data for {query}"
        time.sleep(0.5)
    assert all(float(one["value"][1]) >= 0 for one in found)


@pytest.mark.parametrize("key", KEYS)
def test_a_server_counts_what_the_client_sent(key: str, watched: Watched) -> None:
    """Its own count of the measured phase is the client's, and its times fit into those of the client."""
    run = watched.runs[key]
    told = run.server_times
    assert told is not None
    assert told.faults == []
    assert told.requests == run.tally.ok > 0
    service_ms = run.result().service_time_ms.mean
    assert 0 < told.queue_ms < told.request_ms < service_ms
    if key != "torchserve":  # which does not tell it
        assert 0 < told.inference_ms < told.request_ms
    assert 0 < told.rest_ms < told.request_ms


def test_refusals_are_told_by_every_server(watched: Watched) -> None:
    """The bad request after the load stands on each page."""
    (panel,) = [panel for panel in DASHBOARD["panels"] if panel["title"] == "Refused or failed per second"]
    for target in panel["targets"]:
        query = target["expr"].replace("rate(", "max_over_time(").replace("$__rate_interval", "5m")
        deadline = time.monotonic() + GIVE_UP_S
        while not any(float(one["value"][1]) >= 1 for one in watched.ask(query)):
            assert time.monotonic() < deadline, json.dumps(watched.ask(query))
            time.sleep(0.5)
