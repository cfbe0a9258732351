"""A system under test for MLPerf LoadGen that sends over kept HTTP connections; `cross_check.py` runs it.

LoadGen decides when a sample is due (scenario Server: Poisson) and takes the time of its answer; this passes the one on
to a socket and the other back. The thread that LoadGen calls writes to an idle connection itself, another thread reads
all of them: no event loop and no queue stand between the schedule and the wire. Only LoadGen is needed beside Python.
Prints LoadGen's own percentiles, from its summary, as JSON in milliseconds.
"""

import argparse
import gc
import json
import re
import selectors
import socket
import sys
import tempfile
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

import mlperf_loadgen as lg

SUMMARY = "mlperf_log_summary.txt"


class Connections:
    """Kept connections, one request at a time on each; what finds none idle waits for the next."""

    def __init__(self, host: str, port: int, path: str, count: int) -> None:
        self._head = f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
        self._lock = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._idle: list[socket.socket] = []
        self._waiting: deque[tuple[bytes, int]] = deque()
        self._current: dict[socket.socket, int] = {}
        self._received: dict[socket.socket, bytes] = {}
        self.failed = 0
        for _ in range(count):
            one = socket.create_connection((host, port))
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(one, selectors.EVENT_READ)
            self._idle.append(one)

    def request(self, body: bytes) -> bytes:
        """Encode a request."""
        return f"{self._head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    def send(self, request: bytes, sample: int) -> None:
        """Send on an idle connection, or on the next one that is."""
        with self._lock:
            if not self._idle:
                self._waiting.append((request, sample))
                return
            one = self._idle.pop()
            self._current[one] = sample
        one.sendall(request)

    def read_forever(self, done: Any) -> None:
        """Read answers, tell of each, and send what waits."""
        while True:
            for key, _ in self._selector.select():
                self._read(key.fileobj, done)

    def _read(self, one: Any, done: Any) -> None:
        data = self._received.pop(one, b"") + one.recv(65_536)
        head, end, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        if not end or not length or len(body) < int(length[1]):
            self._received[one] = data
            return
        self.failed += not data.startswith(b"HTTP/1.1 200 ")
        done(self._current.pop(one))
        with self._lock:
            if not self._waiting:
                self._idle.append(one)
                return
            request, self._current[one] = self._waiting.popleft()
        one.sendall(request)


def main() -> None:
    """Run one test."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, kind in {"host": str, "port": int, "path": str, "bodies": Path}.items():
        parser.add_argument(f"--{name}", type=kind, required=True)
    for name, default in {"rate": 200.0, "duration": 5.0, "warmup": 1.0}.items():
        parser.add_argument(f"--{name}", type=float, default=default)
    for name, number in {"connections": 8, "seed": 1}.items():
        parser.add_argument(f"--{name}", type=int, default=number)
    given = parser.parse_args()

    connections = Connections(given.host, given.port, given.path, given.connections)
    requests = [connections.request(body) for body in given.bodies.read_bytes().splitlines()]
    warm = threading.Event()

    def done(sample: int) -> None:
        if sample < 0:  # of the warm-up, of which LoadGen knows nothing
            warm.set()
        else:
            lg.QuerySamplesComplete([lg.QuerySampleResponse(sample, 0, 0)])

    def issue(samples: list[Any]) -> None:
        for sample in samples:
            connections.send(requests[sample.index], sample.id)

    threading.Thread(target=connections.read_forever, args=(done,), daemon=True).start()
    sys.setswitchinterval(1e-4)
    gc.disable()
    ended = time.monotonic() + given.warmup
    while time.monotonic() < ended:
        warm.clear()
        connections.send(requests[0], -1)
        warm.wait(10)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps({**_test(given, len(requests), issue, Path(folder)), "failed": connections.failed}))  # noqa: T201


def _test(given: argparse.Namespace, count: int, issue: Any, folder: Path) -> dict[str, float]:
    settings = lg.TestSettings()
    settings.scenario = lg.TestScenario.Server
    settings.mode = lg.TestMode.PerformanceOnly
    settings.server_target_qps = given.rate
    settings.server_target_latency_ns = 10_000_000_000
    settings.min_duration_ms = round(given.duration * 1e3)
    settings.min_query_count = round(given.duration * given.rate)
    settings.schedule_rng_seed = settings.qsl_rng_seed = settings.sample_index_rng_seed = given.seed
    log = lg.LogSettings()
    log.log_output.outdir = str(folder)
    log.log_output.copy_summary_to_stdout = False
    sut = lg.ConstructSUT(issue, lambda: None)
    samples = lg.ConstructQSL(count, count, lambda loaded: None, lambda unloaded: None)
    lg.StartTestWithLogSettings(sut, samples, settings, log)
    lg.DestroyQSL(samples)
    lg.DestroySUT(sut)
    summary = (folder / SUMMARY).read_text()
    percentiles = dict(re.findall(r"^(\d+)\.00 percentile latency \(ns\) *: (\d+)", summary, re.MULTILINE))
    if "99" not in percentiles:
        raise SystemExit(summary)
    return {f"p{percent}": int(latency) / 1e6 for percent, latency in percentiles.items()}


if __name__ == "__main__":
    main()
