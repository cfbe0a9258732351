"""The load tester's percentiles beside those of other people's programs: the same server, the same rate, in turn.

Poisson arrivals over eight connections: MLPerf LoadGen, scenario Server, which counts from the scheduled time too. A
constant rate over one connection: h2load (C++) and hey (Go), which count from the actual send, hence are held against
the service time. The ratio is ours over theirs, by Student's t on its logarithm, paired by round.

The same against a server that only answers, where nearly all that is measured is the client: what a program adds of its
own there, it adds everywhere, and that explains a difference. Written to benchmarks/cross_check.md.

    scripts/bench cross_check

takes about seven minutes. Needs two cores, and apt install nghttp2-client hey. LoadGen is installed from PyPI into a
folder that is removed afterwards; --loadgen names a Python that has it.
"""

import argparse
import contextlib
import csv
import datetime
import io
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from loadtest.judge.intervals import Estimate, geometric_estimate, is_tie
from loadtest.launch.local import start_local
from loadtest.machine.host import describe_host
from loadtest.machine.placement import Placement
from loadtest.servers.artifact import load_artifact
from loadtest.servers.server_toml import load_servers
from loadtest.wire.null_server import null_server

HERE = Path(__file__).resolve().parent
LOADGEN = "mlcommons-loadgen==6.0.17"
SERVER_CORE, CLIENT_CORE = 0, 1
CONNECTIONS = 8
WARMUP_S = 1.0
PERCENTS = ("p50", "p90", "p99")
CLIENT_ONLY_S = 4.5
FIRST_S = 1.0
QUIET_S = 5.0
OURS_POISSON, OURS_CONSTANT = "loadtest, Poisson, response time", "loadtest, constant, service time"
LOADGEN_SIDE, H2LOAD, HEY = "MLPerf LoadGen, Server", "h2load --rps", "hey -q"
AGAINST = {LOADGEN_SIDE: OURS_POISSON, H2LOAD: OURS_CONSTANT, HEY: OURS_CONSTANT}
"""Each peer, and which of our figures has the same definition."""

WHY = """
## What the programs do differently

- **LoadGen** counts from the scheduled time to `QuerySamplesComplete` (`loadgen.cc`), the load tester from the intended
  send to the answer; both draw a Poisson schedule beforehand. The sockets are held by a system under test in Python
  (`loadgen_client.py`): an answer's time is taken after a thread woke up, found the end of the answer and took Python's
  lock, while LoadGen's own threads share the core. It sees the status of an answer, the load tester compares every
  number. Both send thousands of different inputs.
- **h2load** takes the time from its write to the end of the answer in C++, with nothing in between: the floor of what a
  client can see. It holds a request back while its connection is busy, as hey does, and that wait is in no figure of
  theirs (coordinated omission); hence they stand beside the service time. The load tester's response time holds it.
  Some tens of microseconds more of the load tester at p50 may be Python in caches that the server has filled: not
  measured, and not there with a server that only answers.
- **hey** waits for a tick and lets ticks go by while it is busy: after a stall it has sent fewer requests than asked
  for, and slow answers weigh less. It prints four decimals of a second: 0.1 ms is its smallest step.
- At the constant rate all send the same body over and over; the load tester compares every answer with the right one.
"""


@dataclass(frozen=True)
class Turn:
    """One program's turn.

    Attributes:
        ms: Its percentiles, in milliseconds.
        requests: How many it sent.
        reasons: Codes of why it calls its own figures invalid; only the load tester can.
    """

    ms: Mapping[str, float]
    requests: int
    reasons: tuple[str, ...] = ()


Sides = dict[str, Callable[[int, float], Turn]]
"""By name: (number of the round, seconds) to a turn."""


def _run(command: list[str]) -> str:
    pinned = ["taskset", "-c", str(CLIENT_CORE), *command]
    done = subprocess.run(pinned, capture_output=True, text=True, check=False, timeout=300)
    if not done.stdout:
        raise SystemExit(f"{command[0]} gave no result: {done.stderr[-500:]}")
    return done.stdout


def ours(url: str, rate: float, duration: float, kind: str, connections: int, times: str, *expect: str) -> Turn:
    """The load tester; its verdict is told, and its figures are taken in any case, as those of the others are."""
    options = ["--schedule", kind, "--rate", f"{rate:g}", "--connections", str(connections), "--no-pin"]
    options += ["--duration", f"{duration:g}", "--warmup", f"{WARMUP_S:g}", "--method", "POST", "--json", "-"]
    document = json.loads(_run([sys.executable, "-m", "loadtest", "run", url, *options, *expect]))
    known = {name: math.nan if document[times][name] is None else document[times][name] for name in PERCENTS}
    return Turn(known, document["requests"]["sent"], tuple(why["code"] for why in document["verdict"]["reasons"]))


def loadgen(python: str, url: str, bodies: Path, rate: float, duration: float, seed: int) -> Turn:
    """MLPerf LoadGen's own percentiles."""
    at = urlsplit(url)
    options: dict[str, object] = {
        "host": at.hostname,
        "port": at.port,
        "path": at.path,
        "bodies": bodies,
        "connections": CONNECTIONS,
    }
    options |= {"rate": rate, "duration": duration, "warmup": WARMUP_S, "seed": seed}
    command = [python, str(HERE / "loadgen_client.py"), *(f"--{name}={value}" for name, value in options.items())]
    document = json.loads(_run(command))
    if document["failed"]:
        raise SystemExit(f"LoadGen's server answered {document['failed']} requests with an error")
    return Turn({name: document[name] for name in PERCENTS}, round(rate * duration))


def h2load(url: str, body: Path, rate: float, duration: float, log: Path) -> Turn:
    """The log of h2load over one connection, less the warm-up."""
    options = [
        "--h1",
        "-c",
        "1",
        "--rps",
        f"{rate:g}",
        "-D",
        f"{round(1e3 * (duration + WARMUP_S))}ms",
        "-d",
        str(body),
    ]
    log.unlink(missing_ok=True)  # it would be added to
    _run(["h2load", *options, "-H", "Content-Type: application/json", f"--log-file={log}", url])
    rows = [[int(cell) for cell in line.split()] for line in log.read_text().splitlines()]
    return _turn([row[2] / 1e3 for row in rows if row[0] >= rows[0][0] + WARMUP_S * 1e6])


def hey(url: str, body: Path, rate: float, duration: float) -> Turn:
    """The lines of hey over one connection, less the warm-up."""
    options = ["-z", f"{duration + WARMUP_S:g}s", "-c", "1", "-q", f"{rate:g}", "-cpus", "1", "-o", "csv"]
    text = _run(["hey", *options, "-m", "POST", "-D", str(body), "-T", "application/json", url])
    rows = list(csv.DictReader(io.StringIO(text)))
    return _turn([float(row["response-time"]) * 1e3 for row in rows if float(row["offset"]) >= WARMUP_S])


def _answer(url: str, body: bytes) -> bytes:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as response:
        content: bytes = response.read()
    return content


def _turn(milliseconds: list[float]) -> Turn:
    """Percentiles by the nearest rank, as the load tester and LoadGen take them."""
    ordered = sorted(milliseconds)
    rank = {name: max(-(-len(ordered) * int(name[1:]) // 100), 1) for name in PERCENTS}
    return Turn({name: ordered[rank[name] - 1] for name in PERCENTS}, len(ordered))


@contextlib.contextmanager
def loadgen_python(given: str) -> Iterator[str]:
    """A Python that has LoadGen; made for the time of the run where none is given."""
    if given:
        yield given
        return
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = f"{folder}/bin/python"
        subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", LOADGEN], check=True)
        yield python


def in_turn(sides: Sides, rounds: int, duration: float, what: str) -> dict[str, list[Turn]]:
    """Run all sides in each round, another one first each time; a short round before them is thrown away."""
    turns: dict[str, list[Turn]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        names = list(sides)
        first = number % len(names)
        for name in names[first:] + names[:first]:
            turn = sides[name](number, duration if number else FIRST_S)
            shown = ", ".join(f"{percent} {value:.3f}" for percent, value in turn.ms.items())
            print(f"{what}, round {number}: {name}: {shown} ms", file=sys.stderr)  # noqa: T201
            if number:
                turns[name].append(turn)
    return turns


def ratio(turns: Mapping[str, list[Turn]], peer: str, percent: str) -> Estimate:
    """Ours over theirs, paired by round."""
    pairs = zip(turns[AGAINST[peer]], turns[peer], strict=True)
    return geometric_estimate([one.ms[percent] / other.ms[percent] for one, other in pairs])


def median_ms(turns: Mapping[str, list[Turn]], side: str, percent: str) -> float:
    """Median over the rounds."""
    return statistics.median(turn.ms[percent] for turn in turns[side])


def main() -> None:
    """Run the cross-check and write benchmarks/cross_check.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--duration", type=float, default=6.0)
    parser.add_argument("--rate", type=float, default=250.0)
    parser.add_argument("--server", default="flask_server")
    parser.add_argument("--loadgen", default="", help="A Python that has mlperf_loadgen.")
    given = parser.parse_args()
    if len(os.sched_getaffinity(0)) < 2:
        raise SystemExit("two cores are needed")
    busy = psutil.cpu_percent(QUIET_S)
    artifact, placement = load_artifact("digits"), Placement((SERVER_CORE,), (CLIENT_CORE,))
    os.sched_setaffinity(0, {CLIENT_CORE})
    with tempfile.TemporaryDirectory() as scratch, loadgen_python(given.loadgen) as python:
        bodies, body, log = (Path(scratch) / name for name in ("bodies", "body", "log"))
        bodies.write_bytes(b"\n".join(artifact.load.bodies()))
        body.write_bytes(artifact.load.bodies()[0])

        def sides(url: str, *expect: str) -> Sides:
            rate = given.rate
            answer = Path(scratch) / "answer"
            answer.write_bytes(_answer(url, body.read_bytes()))
            same = ("--body", str(body), "--expect", str(answer))

            def poisson(number: int, duration: float) -> Turn:
                seed = ("--seed", str(number))
                return ours(url, rate, duration, "poisson", CONNECTIONS, "response_time_ms", *seed, *expect)

            return {
                OURS_POISSON: poisson,
                LOADGEN_SIDE: lambda number, duration: loadgen(python, url, bodies, rate, duration, number),
                OURS_CONSTANT: lambda _, duration: ours(url, rate, duration, "constant", 1, "service_time_ms", *same),
                H2LOAD: lambda _, duration: h2load(url, body, rate, duration, log),
                HEY: lambda _, duration: hey(url, body, rate, duration),
            }

        running = start_local(load_servers()[given.server], artifact, placement, any_port=True)
        try:
            label = running.label
            tools = sides(running.url, "--expect", "golden")
            served = in_turn(tools, given.rounds, given.duration, label)
        finally:
            running.stop()
        with null_server(placement) as url:
            tools = sides(url, "--expect", "none", "--body", str(body))
            alone = in_turn(tools, given.rounds, min(CLIENT_ONLY_S, given.duration), "client alone")
    text = render(served, alone, given, label, busy)
    (HERE / "cross_check.md").write_text(text, encoding="utf-8")
    print(text)  # noqa: T201  (a script's own output)


def render(
    served: Mapping[str, list[Turn]],
    alone: Mapping[str, list[Turn]],
    given: argparse.Namespace,
    label: str,
    busy: float,
) -> str:
    """The text of cross_check.md."""
    host = describe_host()
    lines = [
        "# The percentiles of the load tester beside those of others",
        "",
        f"Measured on {datetime.date.today()} by `scripts/bench cross_check --rounds {given.rounds} --duration "
        f"{given.duration:g} --rate {given.rate:g}`: {host.cores} cores of {host.cpu}, {host.system}, Python "
        f"{host.python}, {LOADGEN}. {label} on core {SERVER_CORE}, every client on core {CLIENT_CORE}, "
        f"{given.rate:g} requests/s: Poisson over {CONNECTIONS} connections, constant over one. In turn in each of "
        f"{given.rounds} rounds, another one first each time. Before it began, other programs took {busy:.1f} % of "
        f"the cores' time over {QUIET_S:.0f} s.",
        "",
        f"## {label}",
        "",
        *_table(served),
        "",
        "## A server that only answers: the client alone",
        "",
        *_table(alone),
        "",
        "## Differences beyond their interval",
        "",
        *_differences(served, alone),
        WHY,
    ]
    return "\n".join(lines)


def _table(turns: Mapping[str, list[Turn]]) -> list[str]:
    lines = [
        "| client | requests a round | "
        + " | ".join(f"{name}, ms" for name in PERCENTS)
        + " | ours ÷ theirs at "
        + ", ".join(PERCENTS)
        + " |",
        "| :--- |" + " ---: |" * (2 + len(PERCENTS)),
    ]
    for name, rounds in turns.items():
        values = [f"{median_ms(turns, name, percent):.3f}" for percent in PERCENTS]
        found = [ratio(turns, name, percent) for percent in PERCENTS] if name in AGAINST else []
        told = ", ".join(f"{one.value:.2f} [{one.low:.2f} to {one.high:.2f}]" for one in found)
        requests = statistics.median(turn.requests for turn in rounds)
        lines.append(f"| {name} | {requests:,.0f} | {' | '.join(values)} | {told} |")
    own = [turn for name, rounds in turns.items() if name in AGAINST.values() for turn in rounds]
    codes = Counter(code for turn in own for code in set(turn.reasons))
    why = ", ".join(f"{code} in {count}" for code, count in codes.most_common())
    invalid = f"{sum(bool(turn.reasons) for turn in own)} of {len(own)}" + (f" ({why})" if why else "")
    return [
        *lines,
        "",
        f"Runs of the load tester that its own verdict calls invalid, and that count here: {invalid}. Medians over the "
        "rounds; in square brackets 95 % intervals of the ratio.",
    ]


def _differences(served: Mapping[str, list[Turn]], alone: Mapping[str, list[Turn]]) -> list[str]:
    lines = []
    for peer, our in AGAINST.items():
        for percent in PERCENTS:
            if is_tie(ratio(served, peer, percent)):
                continue
            here, bare = (
                (median_ms(turns, our, percent) - median_ms(turns, peer, percent)) * 1e3 for turns in (served, alone)
            )
            lines.append(
                f"- {peer}, {percent}: ours is {here:+,.0f} µs; with the server that only answers, where nothing but "
                f"the programs differs, {bare:+,.0f} µs"
            )
    return lines or ["None: every interval holds 1."]


if __name__ == "__main__":
    main()
