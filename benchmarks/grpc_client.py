"""The gRPC client of the load tester against its peers: h2load, which is C++, and grpcio's own two APIs.

One call in flight on each of 16 connections, the client on one core and the server on the other, the sides in turn.
The servers: nghttpd, which is C++ and answers each call from a file, so that the clients are what is compared; and
grpcio's asyncio server, which every client can saturate. The load tester and grpcio compare every answer with the
expected message; h2load looks at the HTTP status only. Written to benchmarks/grpc_client.md.

Other programs on the machine take from the rates of all sides, though not evenly; the CPU seconds per call, of the
client and of the server, hardly feel them.

The second table is about a connection for each call in flight, as the load tester has it, or one for all of them, as a
gRPC channel has it: the same closed loop of grpcio's client, both ways in turn, on the servers of this project.

    scripts/bench grpc_client --rounds 5 --duration 4

Needs nghttpd and h2load: apt install nghttp2-server nghttp2-client. (The name is not grpc.py: a script's own folder is
the first place where Python looks for the package grpc.)
"""

import argparse
import contextlib
import datetime
import json
import math
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.figures import spread, write_figures
from loadtest.errors import LoadtestError
from loadtest.launch.local import start_local
from loadtest.machine.host import describe_host
from loadtest.machine.placement import Placement
from loadtest.machine.process_tree import tree_usage
from loadtest.servers.artifact import load_artifact
from loadtest.servers.server_toml import load_servers
from loadtest.wire.golden_target import golden_target
from loadtest.wire.grpc.messages import TensorFlowServing
from loadtest.wire.grpc.target import GrpcTarget

HERE = Path(__file__).resolve().parent
PEERS = str(HERE / "grpc_peers.py")
CONNECTIONS, SHARED = 16, 4  # TensorFlow Serving refuses more than four calls a core at a time
SERVER_CORE, CLIENT_CORE = 0, 1
METHOD = "test.Service/Method.grpc"  # the ending is what nghttpd knows the content type by
ANSWER = bytes(range(90))  # as long as the answer of ten probabilities
OURS = "loadtest (checks every answer)"


@dataclass(frozen=True)
class Sample:
    """One side's turn: calls, calls per second, and CPU seconds per 100,000 calls of the client and of the server."""

    calls: int
    rps: float
    cpu: float
    server_cpu: float = math.nan


@dataclass(frozen=True)
class Files:
    """The messages as files.

    Attributes:
        request: Request message.
        framed: The same with its prefix, as h2load must send it.
        answer: Response message.
        site: Folder from which nghttpd answers.
        types: Content types for nghttpd.
    """

    request: Path
    framed: Path
    answer: Path
    site: Path
    types: Path

    @classmethod
    def write(cls, folder: Path) -> "Files":
        """Write them."""
        files = cls(*(folder / name for name in ("request", "framed", "answer", "site", "types")))
        message = TensorFlowServing("digits").request({"image": np.zeros((1, 8, 8), np.float32)}).body
        files.request.write_bytes(message)
        files.framed.write_bytes(_prefixed(message))
        files.answer.write_bytes(ANSWER)
        page = files.site / METHOD
        page.parent.mkdir(parents=True)
        page.write_bytes(_prefixed(ANSWER))
        files.types.write_text("application/grpc grpc\n")
        return files


def _prefixed(message: bytes) -> bytes:
    return b"\0" + len(message).to_bytes(4, "big") + message


@contextlib.contextmanager
def server(command: Callable[[int], Sequence[str]]) -> Iterator[tuple[str, int]]:
    """Run a server on the server's core, with the port it is given; yields the method's address and the process id."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pinned = ["taskset", "-c", str(SERVER_CORE), *command(port)]
    process = subprocess.Popen(pinned, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _await_port(port)
        yield f"127.0.0.1:{port}/{METHOD}", process.pid
    finally:
        process.terminate()
        process.wait()


def _await_port(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise SystemExit("the server did not come up within 20 s")


def on_client_core(command: Sequence[str]) -> tuple[str, float]:
    """Run a client, and return its output and its CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    pinned = ["taskset", "-c", str(CLIENT_CORE), *command]
    done = subprocess.run(pinned, capture_output=True, text=True, check=False, timeout=300)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if not done.stdout.strip():
        raise SystemExit(f"{command} gave no result:\n{done.stderr[-2000:]}")
    return done.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def ours(address: str, files: Files, duration: float) -> Sample:
    """The load tester; its CPU seconds are those that it reports for the measured interval."""
    options = ["--schedule", "closed", "--connections", str(CONNECTIONS), "--duration", str(duration), "--warmup", "0"]
    messages = ["--body", str(files.request), "--expect", str(files.answer), "--no-pin", "--json", "-"]
    output, _ = on_client_core([sys.executable, "-m", "loadtest", "run", f"grpc://{address}", *options, *messages])
    document = json.loads(output)
    requests = document["requests"]
    if requests["ok"] != requests["scheduled"]:
        raise SystemExit(f"not every answer was right: {requests}")
    calls = requests["ok"]
    return Sample(calls, calls / document["elapsed_s"], document["client"]["cpu_s"] / calls * 1e5)


def h2load(address: str, files: Files, duration: float, *more: str) -> Sample:
    """H2load with one thread, which is what one core can use."""
    options = ["-t1", f"-c{CONNECTIONS}", "-m1", "-D", f"{duration:g}", "-d", str(files.framed)]
    fields = ["-H", "content-type: application/grpc", "-H", "te: trailers", *more]
    output, cpu = on_client_core(["h2load", *options, *fields, f"http://{address}"])
    found = re.search(r"finished in ([\d.]+)s", output), re.search(r"(\d+) succeeded, (\d+) failed", output)
    if not found[0] or not found[1] or found[1][2] != "0":
        raise SystemExit(f"h2load saw errors:\n{output}")
    calls = int(found[1][1])
    return Sample(calls, calls / duration, cpu / calls * 1e5)


def grpcio(api: str, url: str, request: Path, duration: float, *options: str) -> Sample:
    """One of grpcio's client APIs: ``aio`` or ``futures``."""
    command = [sys.executable, PEERS, api, url, str(request), "--duration", str(duration), "--warmup", "0", *options]
    output, _ = on_client_core(command)
    figures = json.loads(output)
    if figures["wrong"]:
        raise SystemExit(f"grpcio saw wrong answers: {figures}")
    calls = figures["calls"]
    return Sample(calls, calls / figures["seconds"], figures["cpu"] / calls * 1e5)


def in_turn(sides: Mapping[str, Callable[[], Sample]], rounds: int, what: str, pid: int) -> dict[str, list[Sample]]:
    """Let each side run once a round, in an order that turns by one each round, and read what the server used."""
    names = list(sides)
    samples: dict[str, list[Sample]] = {name: [] for name in names}
    sides[names[0]]()  # warms the server up
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            before = tree_usage(pid).cpu_s
            sample = sides[name]()
            spent = tree_usage(pid).cpu_s - before
            samples[name].append(replace(sample, server_cpu=spent / sample.calls * 1e5))
            print(f"{what}, round {number + 1}: {name}: {samples[name][-1]}", file=sys.stderr)  # noqa: T201 - progress
    return samples


def against_peers(files: Files, arguments: argparse.Namespace) -> Iterator[str]:
    """Measure the clients against each server, and yield the lines of the table."""
    expect = ("--expect", str(files.answer))
    servers: dict[str, Callable[[int], Sequence[str]]] = {
        "nghttpd": lambda port: [
            *("nghttpd", "--no-tls", "--address=127.0.0.1", f"--mime-types-file={files.types}", "-d", str(files.site)),
            *("--trailer=grpc-status: 0", str(port)),
        ],
        "grpcio asyncio server": lambda port: [sys.executable, PEERS, "serve", str(port), str(files.answer)],
    }
    yield from (
        "| server | client | calls/s | ours ÷ theirs | client CPU s per 100,000 | server CPU s per 100,000 |",
        "| :--- | :--- | ---: | ---: | ---: | ---: |",
    )
    for name, command in servers.items():
        with server(command) as (address, pid):

            def peer(api: str, connections: int, url: str = f"grpc://{address}") -> Callable[[], Sample]:
                options = ("--calls", str(CONNECTIONS), "--connections", str(connections), *expect)
                return lambda: grpcio(api, url, files.request, arguments.duration, *options)

            sides: dict[str, Callable[[], Sample]] = {
                OURS: partial(ours, address, files, arguments.duration),
                "h2load": partial(h2load, address, files, arguments.duration),
                "h2load, no header table": partial(h2load, address, files, arguments.duration, "--header-table-size=0"),
                "grpcio asyncio": peer("aio", CONNECTIONS),
                "grpcio asyncio, one connection": peer("aio", 1),
                "grpcio futures": peer("futures", CONNECTIONS),
            }
            samples = in_turn(sides, arguments.rounds, name, pid)
        for side, turns in samples.items():
            ratio = _ratio(samples[OURS], turns) if side != OURS else ""
            rps, cpu, server_cpu = (_median(turns, figure) for figure in ("rps", "cpu", "server_cpu"))
            yield f"| {name} | {side} | {rps:,.0f} | {ratio} | {cpu:.2f} | {server_cpu:.2f} |"


def shared_or_not(arguments: argparse.Namespace) -> Iterator[str]:
    """Measure one connection against many on the servers of this project, and yield the lines of the table."""
    artifact = load_artifact("digits")
    placement = Placement((SERVER_CORE,), (CLIENT_CORE,))
    yield from (
        f"| server | {SHARED} connections, calls/s | 1 connection, calls/s | {SHARED} ÷ 1 | of server CPU per call |",
        "| :--- | ---: | ---: | ---: | ---: |",
    )
    for one in load_servers().values():
        if "grpc" not in one.wires or ":" in one.key:
            continue
        try:
            running = start_local(one, artifact, placement, any_port=True)
        except LoadtestError as error:
            yield f"| {one.label} | could not be started: {str(error).splitlines()[0]} | | | |"
            continue
        try:
            with tempfile.NamedTemporaryFile() as request:
                url = running.url_over("grpc")
                target = golden_target("grpc", url, artifact.workload, artifact.golden)
                assert isinstance(target, GrpcTarget)
                request.write(target.bodies[0][5:])
                request.flush()

                def side(connections: int, url: str = url, request: str = request.name) -> Sample:
                    options = ("--calls", str(SHARED), "--connections", str(connections))
                    return grpcio("aio", url, Path(request), arguments.duration, *options)

                sides = {"many": partial(side, SHARED), "one": partial(side, 1)}
                samples = in_turn(sides, arguments.rounds, running.label, running.pid)
        finally:
            running.stop()
        many, single = samples["many"], samples["one"]
        rates = f"{_median(many, 'rps'):,.0f} | {_median(single, 'rps'):,.0f} | {_ratio(many, single)}"
        yield f"| {running.label} | {rates} | {_ratio(many, single, 'server_cpu')} |"


def _median(turns: Sequence[Sample], figure: str) -> float:
    return float(statistics.median(getattr(one, figure) for one in turns))


def _ratio(ours: Sequence[Sample], theirs: Sequence[Sample], figure: str = "rps") -> str:
    ratios = [getattr(a, figure) / getattr(b, figure) for a, b in zip(ours, theirs, strict=True)]
    return spread(ratios, 2)


def main() -> None:
    """Run the benchmark and write its page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--duration", type=float, default=4.0)
    arguments = parser.parse_args()
    if len(os.sched_getaffinity(0)) < 2 or not shutil.which("nghttpd") or not shutil.which("h2load"):
        raise SystemExit("two cores, nghttpd and h2load are needed: apt install nghttp2-server nghttp2-client")
    with tempfile.TemporaryDirectory() as folder:
        peers = list(against_peers(Files.write(Path(folder)), arguments))
    connections = list(shared_or_not(arguments))
    host = describe_host()
    how = (
        f"Measured on {datetime.date.today()} by `scripts/bench grpc_client --rounds {arguments.rounds} "
        f"--duration {arguments.duration:g}`: {host.cores} cores of {host.cpu}, {host.system}, "
        f"Python {host.python}. The server has one core and the client the other, the sides run in turn. Medians "
        "over the rounds; a ratio is the median of the rounds' ratios with the smallest and the largest."
    )
    figures = "\n".join([how, "", *peers, "", *connections])
    write_figures(HERE / "grpc_client.md", figures)
    print(figures)  # noqa: T201 - a script's own output


if __name__ == "__main__":
    main()
