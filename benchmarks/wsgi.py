"""Which WSGI server for Flask: `python benchmarks/wsgi.py` measures the candidates on the same application.

Every candidate runs one worker on one core; wrk runs on another one, with 8 kept-alive connections that each send the
next request when the last one is answered. The candidates take turns within each round, so that whatever else the
machine does hits all of them; what counts are medians over the rounds, the ratio within each round, and the CPU time
per request, which a busy machine hardly changes.

With --waiting it measures something else: how long one request takes while 16 other clients have connected and sent
nothing yet, as browsers, probes and connection pools do, and while 16 clients have sent half of a body. It waits for a
minute at most.

Needs: wrk and taskset on PATH, the packages gunicorn, waitress, granian and psutil, and a built artifact.
"""

import argparse
import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

ROOT = Path(__file__).resolve().parent.parent
CONNECTIONS = 8
WAITING = 16
PATIENCE_S = 60
HALF = b"POST /v1/models/digits:predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
HALF += b'Content-Length: 600\r\n\r\n{"instances": [[['
APPLICATION = "flask_server.app:create_app"
GRANIAN_WSGI = ["granian", "--interface", "wsgi", "--http", "1", "--no-ws", "--blocking-threads", "4", "--factory"]
SIDES = {
    **{
        f"{wsgi}, {threads} thread{'s' * (threads > 1)}": ["flask_server", "--wsgi", wsgi, "--threads", str(threads)]
        for wsgi in ("gunicorn", "granian")
        for threads in (1, 2, 4)
    },
    "granian's own WSGI, 4 threads": [*GRANIAN_WSGI, APPLICATION],
    "waitress, 4 threads": ["waitress", "--host", "127.0.0.1", "--threads", "4", "--call", APPLICATION],
}
LUA = 'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\nwrk.body = [=[{body}]=]\n'


@dataclass
class Figures:
    """What one candidate reached, one entry per round."""

    rate: list[float] = field(default_factory=list)  # requests per second
    p50: list[float] = field(default_factory=list)  # ms
    p99: list[float] = field(default_factory=list)  # ms
    cpu: list[float] = field(default_factory=list)  # ms of CPU time per request, of all processes of the server


@contextlib.contextmanager
def serving(options: list[str], artifact: Path, core: int) -> Iterator[tuple[int, int]]:
    """Runs one candidate on one core and yields its process id and port once it is ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    environment = os.environ | {"FLASK_SERVER_ARTIFACT": str(artifact), "OMP_NUM_THREADS": "1"}
    module, *rest = options
    command = ["taskset", "-c", str(core), sys.executable, "-m", module, "--port", str(port), *rest]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        await_ready(process, port)
        yield process.pid, port
    finally:
        process.terminate()
        process.wait(30)


def await_ready(process: "subprocess.Popen[bytes]", port: int) -> None:
    """Waits for /healthz.

    Raises:
        SystemExit: The server ended, or was not ready within a minute.
    """
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return
        connection.close()
        time.sleep(0.1)
    sys.exit(f"did not become ready: {process.args!r}")


def load(pid: int, url: str, script: Path, core: int, seconds: int, figures: Figures) -> None:
    """One run of wrk against the server with this process id; its figures are added to `figures`.

    Raises:
        SystemExit: Some answers were errors: their speed says nothing.
    """
    command = [
        "taskset",
        "-c",
        str(core),
        "wrk",
        "-t1",
        f"-c{CONNECTIONS}",
        f"-d{seconds}s",
        "--timeout",
        "30s",
        "--latency",
    ]
    before = cpu_seconds(pid)
    report = subprocess.run([*command, "-s", str(script), url], check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in report or "Socket errors" in report:
        sys.exit(f"wrk saw errors:\n{report}")
    spent = cpu_seconds(pid) - before
    rate, requests = re.search(r"Requests/sec:\s+([\d.]+)", report), re.search(r"(\d+) requests in", report)
    assert rate is not None, report
    assert requests is not None, report
    figures.rate.append(float(rate[1]))
    figures.p50.append(percentile(report, 50))
    figures.p99.append(percentile(report, 99))
    figures.cpu.append(1e3 * spent / int(requests[1]))


def cpu_seconds(pid: int) -> float:
    """CPU time so far of a process and its children."""
    top = psutil.Process(pid)
    return sum(sum(process.cpu_times()[:2]) for process in (top, *top.children(recursive=True)))


def percentile(report: str, percent: int) -> float:
    """Reads a latency from wrk's report, in ms."""
    found = re.search(rf"\s{percent}%\s+([\d.]+)(us|ms|s)\b", report)
    assert found is not None, report
    return float(found[1]) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[found[2]]


def measure(artifact: Path, rounds: int, seconds: int) -> dict[str, Figures]:
    """Starts every candidate once and lets them take turns."""
    server_core, client_core = sorted(os.sched_getaffinity(0))[:2]
    manifest = json.loads((artifact / "manifest.json").read_text())
    body = json.dumps({"instances": np.load(artifact / "golden" / "inputs" / "image.npy")[:1].tolist()})
    figures = {side: Figures() for side in SIDES}
    with contextlib.ExitStack() as stack:
        script = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "post.lua"
        script.write_text(LUA.format(body=body))
        running = {}
        for side, options in SIDES.items():
            pid, port = stack.enter_context(serving(options, artifact, server_core))
            running[side] = (pid, f"http://127.0.0.1:{port}/v1/models/{manifest['workload']}:predict")
            load(*running[side], script, client_core, 1, Figures())  # warm-up
        for number in range(rounds):
            # Every other round backwards, so that no candidate always follows the same one.
            for side in list(SIDES)[:: -1 if number % 2 else 1]:
                load(*running[side], script, client_core, seconds, figures[side])
    return figures


def measure_waiting(options: list[str], artifact: Path, sent: bytes) -> str:
    """Seconds that a request takes at a candidate while others have sent the start of a request and no more."""
    with contextlib.ExitStack() as stack:
        _, port = stack.enter_context(serving(options, artifact, min(os.sched_getaffinity(0))))
        for _ in range(WAITING):
            stack.enter_context(socket.create_connection(("127.0.0.1", port))).sendall(sent)
        time.sleep(1)  # until the server has taken notice of them
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        stack.callback(connection.close)
        start = time.monotonic()
        try:
            connection.request("GET", "/healthz")
            connection.getresponse().read()
        except TimeoutError:
            return f"over {PATIENCE_S}"
        return f"{time.monotonic() - start:.2f}"


def main() -> None:
    """The command line; prints a Markdown table."""
    parser = argparse.ArgumentParser(description="Measures WSGI servers on the same Flask application.")
    parser.add_argument("--artifact", type=Path, default=ROOT / "artifacts" / "digits" / "1")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=4, help="length of one run of wrk")
    parser.add_argument("--waiting", action="store_true", help="measure one request behind clients that wait instead")
    arguments = parser.parse_args()
    for tool in ("wrk", "taskset"):
        if shutil.which(tool) is None:
            sys.exit(f"{tool} is not on PATH: install it to run this benchmark")
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("two cores are needed: one for the server, one for the client")
    if arguments.waiting:
        print("| server | s behind silent clients | s behind half bodies |")  # noqa: T201 - a command line's output
        print("|---|---|---|")  # noqa: T201 - as above
        for side, options in SIDES.items():
            silent, half = (measure_waiting(options, arguments.artifact.resolve(), sent) for sent in (b"", HALF))
            print(f"| {side} | {silent} | {half} |", flush=True)  # noqa: T201 - as above
        return
    figures = measure(arguments.artifact.resolve(), arguments.rounds, arguments.seconds)
    base = next(iter(figures.values())).rate
    print("| server | req/s | min - max | ratio | p50 ms | p99 ms | CPU ms/request |")  # noqa: T201 - as above
    print("|---|---|---|---|---|---|---|")  # noqa: T201 - as above
    for side, own in figures.items():
        ratio = statistics.median(rate / other for rate, other in zip(own.rate, base, strict=True))
        rate, p50, p99, cpu = (statistics.median(values) for values in (own.rate, own.p50, own.p99, own.cpu))
        span = f"{min(own.rate):,.0f} - {max(own.rate):,.0f}"
        line = f"| {side} | {rate:,.0f} | {span} | {ratio:.2f} | {p50:.2f} | {p99:.2f} | {cpu:.2f} |"
        print(line)  # noqa: T201 - as above


if __name__ == "__main__":
    main()
