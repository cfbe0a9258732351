"""The load engine against its peers: wrk, hey and locust's FastHttpUser, all against the same nginx.

nginx answers a 30-byte body on one core, the client has the other, the sides run in turn. This client checks every
answer against the expected bytes; its peers look at the status at most. Written to benchmarks/RESULTS.md.

    scripts/bench engine --rounds 5 --duration 5

Needs nginx and wrk; hey and locust (``pip install locust``) take part where they are installed.
"""

import argparse
import contextlib
import datetime
import json
import os
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.figures import spread, write_figures
from loadtest.machine.host import describe_host

HERE = Path(__file__).resolve().parent
BODY = '{"predictions":[[0.25,0.75]]}\n'
CONNECTIONS = 16
SERVER_CORE, CLIENT_CORE = 0, 1
STEAL_FIELD = psutil.cpu_times()._fields.index("steal")

NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 3600s;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port}; location / {{ default_type application/json; return 200 '{body}'; }} }}
}}
"""

LOCUST = """
from locust import FastHttpUser, constant, task
class User(FastHttpUser):
    wait_time = constant(0)
    @task
    def get(self): self.client.get("/")
"""


PROFILE = """
What the gap to wrk is made of, by `perf record -g -e cpu-clock -C 1 sleep 2.5` during a closed loop on 2026-11-23:
three quarters of this client's time is spent in the kernel (56 % in `tcp_sendmsg`, which delivers to nginx on the way,
7 % in `epoll_pwait`), one quarter in Python and uvloop. wrk spends 90 % in the kernel (58 % in `tcp_sendmsg`, 10 % in
`epoll_wait`, 9 % in `epoll_ctl`, which this client never calls) and 10 % in its own code, most of it the HTTP parser.
One read and one write a request are what both need: `strace -c` counts 5,848 writes, 5,847 reads and 551 waits for
5,848 requests. So what is left to save here is Python itself.
"""


@dataclass(frozen=True)
class Sample:
    """One side's turn: requests per second, and client CPU seconds per 100,000 requests."""

    rps: float
    cpu: float


@contextlib.contextmanager
def nginx() -> Iterator[str]:
    """Run nginx on the server's core."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        config = Path(folder) / "nginx.conf"
        config.write_text(NGINX.format(folder=folder, port=port, body=BODY.replace("\n", "\\n")))
        command = ["taskset", "-c", str(SERVER_CORE), shutil.which("nginx") or "/usr/sbin/nginx", "-c", str(config)]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            _await_port(port)
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()
            process.wait()


def _await_port(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise SystemExit("nginx did not come up within 10 s")


def client(command: list[str], count: Callable[[str], tuple[int, float]]) -> Sample:
    """Run a client on the client's core and read its own count; its CPU seconds are the kernel's."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    output = subprocess.run(
        ["taskset", "-c", str(CLIENT_CORE), *command], capture_output=True, text=True, check=False, timeout=300
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        requests, seconds = count(output.stdout)
    except (AttributeError, ValueError, KeyError) as error:
        raise SystemExit(
            f"{command[0]} gave no result: {error}\n{output.stdout[-500:]}{output.stderr[-500:]}"
        ) from error
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Sample(requests / seconds, cpu / requests * 1e5)


def _find(pattern: str, text: str) -> float:
    match = re.search(pattern, text)
    if match is None:
        raise ValueError(f"no {pattern!r}")
    return float(match[1])


def ours(url: str, duration: float, expected: Path) -> Sample:
    """This client, checking every answer; its CPU seconds are those that it reports for the measured interval."""
    cpu = []

    def count(output: str) -> tuple[int, float]:
        document = json.loads(output)
        if document["requests"]["ok"] != document["requests"]["scheduled"]:
            raise ValueError(f"not every answer was right: {document['requests']}")
        cpu.append(document["client"]["cpu_s"] / document["requests"]["ok"] * 1e5)
        return document["requests"]["ok"], document["elapsed_s"]

    sample = client([*_loadtest(url, duration, expected), "--schedule", "closed"], count)
    return Sample(sample.rps, cpu[0])


def _loadtest(url: str, duration: float, expected: Path) -> list[str]:
    options = ["--connections", str(CONNECTIONS), "--duration", str(duration), "--warmup", "0", "--no-pin"]
    return [sys.executable, "-m", "loadtest", "run", url, *options, "--expect", str(expected), "--json", "-"]


def wrk(url: str, duration: float) -> Sample:
    """Wrk with one thread, which is what one core can use."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{duration:g}s", url]
    return client(command, lambda out: (int(_find(r"(\d+) requests in", out)), _find(r"requests in ([\d.]+)s", out)))


def hey(url: str, duration: float) -> Sample:
    """Hey, held to one core."""
    command = ["hey", "-z", f"{duration:g}s", "-c", str(CONNECTIONS), "-cpus", "1", url]
    return client(
        command, lambda out: (int(_find(r"\[200\]\s+(\d+) responses", out)), _find(r"Total:\s+([\d.]+)", out))
    )


def locust(url: str, duration: float, folder: Path) -> Sample:
    """Locust's FastHttpUser, headless."""
    script = folder / "locustfile.py"
    script.write_text(LOCUST)
    options = ["--headless", "-u", str(CONNECTIONS), "-r", str(CONNECTIONS), "-t", f"{duration:g}s", "--json"]
    command = [sys.executable, "-m", "locust", "-f", str(script), "-H", url.rstrip("/"), *options]

    def count(output: str) -> tuple[int, float]:
        entry = json.loads(output[output.index("[") :])[0]
        return entry["num_requests"], entry["last_request_timestamp"] - entry["start_time"]

    return client(command, count)


def send_lag(url: str, rate: float, duration: float, expected: Path) -> dict[str, float]:
    """Send lag in milliseconds of an open loop at this rate."""
    command = ["taskset", "-c", str(CLIENT_CORE), *_loadtest(url, duration, expected), "--rate", f"{rate:.0f}"]
    output = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300).stdout
    document = json.loads(output)
    return {**document["send_lag_ms"], "achieved": document["throughput_rps"], "cpu": document["client"]["cpu_share"]}


def bare_lag(rate: float, duration: float) -> float:
    """How late, at the 99th percentile in milliseconds, a process of the client's core that only sleeps wakes up."""
    program = f"""
import time, numpy as np
due = time.monotonic() + np.cumsum(np.random.default_rng(0).exponential(1 / {rate}, int({rate * duration})))
late = []
for when in due.tolist():
    if (wait := when - time.monotonic()) > 0:
        time.sleep(wait)
        late.append(time.monotonic() - when)
print(np.percentile(late, 99) * 1000)
"""
    command = ["taskset", "-c", str(CLIENT_CORE), sys.executable, "-c", program]
    return float(subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout)


def stolen_share(before: Sequence[float], after: Sequence[float]) -> float:
    """Share of the time between two `psutil.cpu_times` that the hypervisor gave to other machines."""
    spent = [b - a for a, b in zip(before, after, strict=True)]
    return spent[STEAL_FIELD] / sum(spent)


def main() -> None:
    """Run the benchmark and write its part of benchmarks/RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--duration", type=float, default=5.0)
    arguments = parser.parse_args()
    if len(os.sched_getaffinity(0)) < 2 or not shutil.which("wrk"):
        raise SystemExit("two cores, nginx and wrk are needed: apt install nginx wrk hey")
    samples: dict[str, list[Sample]] = {}
    lags: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as scratch, nginx() as url:
        expected = Path(scratch) / "expected"
        expected.write_text(BODY)
        sides: dict[str, Callable[[], Sample]] = {
            "loadtest (checks every answer)": lambda: ours(url, arguments.duration, expected),
            "wrk": lambda: wrk(url, arguments.duration),
        }
        if shutil.which("hey"):
            sides["hey"] = lambda: hey(url, arguments.duration)
        if subprocess.run([sys.executable, "-c", "import locust"], capture_output=True, check=False).returncode == 0:
            sides["locust FastHttpUser"] = lambda: locust(url, arguments.duration, Path(scratch))
        for number in range(arguments.rounds):
            names = list(sides)
            for name in names[number % len(names) :] + names[: number % len(names)]:
                samples.setdefault(name, []).append(sides[name]())
                print(f"round {number + 1}: {name}: {samples[name][-1].rps:,.0f}/s", file=sys.stderr)  # noqa: T201
            half = statistics.median(one.rps for one in samples[next(iter(sides))]) / 2
            before = psutil.cpu_times()
            lag = send_lag(url, half, arguments.duration, expected)
            lag["stolen"] = stolen_share(before, psutil.cpu_times())
            lag["bare"] = bare_lag(half, min(arguments.duration, 5))
            lags.append(lag)
    text = render(samples, lags, arguments)
    write_figures(HERE / "RESULTS.md", text, "engine")
    print(text)  # noqa: T201  (a script's own output)


def render(samples: dict[str, list[Sample]], lags: list[dict[str, float]], arguments: argparse.Namespace) -> str:
    """Its part of RESULTS.md."""
    host = describe_host()
    first = next(iter(samples))
    lines = [
        f"Measured on {datetime.date.today()} by `scripts/bench engine --rounds {arguments.rounds} "
        f"--duration {arguments.duration:g}`: {host.cores} cores of {host.cpu}, {host.system}, "
        f"Python {host.python}. nginx answers {len(BODY)} bytes on one core, the client has the other, "
        f"{CONNECTIONS} connections, the sides in turn. Medians over the rounds; the ratio is ours over theirs, "
        "the median of the rounds' ratios with the smallest and the largest.",
        "",
        "| client | requests/s | ours ÷ theirs | client CPU s per 100,000 |",
        "| :--- | ---: | ---: | ---: |",
    ]
    for name, turns in samples.items():
        ratios = [a.rps / b.rps for a, b in zip(samples[first], turns, strict=True)]
        ratio = spread(ratios, 2) if name != first else ""
        rps, cpu = (statistics.median(getattr(one, field) for one in turns) for field in ("rps", "cpu"))
        lines.append(f"| {name} | {rps:,.0f} | {ratio} | {cpu:.2f} |")
    p50, p99, top = (statistics.median(lag[name] for lag in lags) * 1000 for name in ("p50", "p99", "max"))
    achieved, cpu, bare = (statistics.median(lag[name] for lag in lags) for name in ("achieved", "cpu", "bare"))
    rounds = ", ".join(f"{lag['p99'] * 1000:.0f} ({lag['bare'] * 1000:.0f}; {lag['stolen']:.0%})" for lag in lags)
    lines += [
        "",
        f"Open loop (Poisson) at half of that ceiling, {achieved:,.0f} requests/s: send lag p50 {p50:.0f} µs, "
        f"p99 {p99:.0f} µs, max {top:,.0f} µs (medians over the rounds), the client at {cpu:.0%} of its core. "
        f"A process that only sleeps until the same times is {bare * 1000:.0f} µs late at its p99 here.",
        "",
        "Round by round, send lag p99 in µs (of the process that only sleeps; share of the cores' time that the "
        f"hypervisor gave to other machines): {rounds}.",
        PROFILE,
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
