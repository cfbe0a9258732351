"""Where the CPU time of a request goes in Flask's service and in its peers, layer by layer, by sampled stacks.

    python -m models build digits
    scripts/bench layers

Each side answers a closed loop of `digits` images as JSON on one core. Meanwhile py-spy samples the stacks of its
threads from the other core; it stops the process for each sample, since it would lose deep stacks otherwise. A thread's
CPU time, by the kernel's accounts, is shared out among the layers as its samples are; that of a thread without Python
is the HTTP server's. In a process that is stopped a thread that waits looks like one that works, so only sides that
answer on one thread can be broken down this way. Where the kernel lets no process read another's memory
(`kernel.yama.ptrace_scope`), it needs root. Written to benchmarks/RESULTS.md.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.figures import in_closed_loop, write_figures
from benchmarks.servers import sides
from benchmarks.serving_share import CONNECTIONS, WARMUP_S, cpu_of_request, faults_of, under_load
from loadtest.launch.launcher import LocalLauncher
from loadtest.launch.local import LocalServer
from loadtest.machine.placement import choose_placement
from loadtest.machine.process_tree import process_tree
from loadtest.servers.artifact import load_artifact
from loadtest.servers.server_folder import DEFAULT_WIRE, Server
from loadtest.servers.server_toml import load_servers

HERE = Path(__file__).resolve().parent
SPY = Path(sys.executable).with_name("py-spy")
SAMPLES_PER_S = 200
HTTP, FRAMEWORK, PARSING, FORWARD, ENCODING, OTHER = LAYERS = (
    "HTTP server",
    "framework",
    "parsing",
    "forward pass",
    "encoding",
    "other",
)

INSIDE = (
    (PARSING, "/json_rows.py", ("parse_instances", "_read")),
    (ENCODING, "/json_rows.py", ("encode_predictions", "_write")),
    (FORWARD, "/load.py", ("load_predictor.<locals>.predict",)),
)
"""A sample with one of these calls in its stack is of that layer, whatever runs inside: layer, file, functions."""

BY_FILE = (
    (HTTP, ("/granian/", "/rsgi.py", "/uvicorn/", "/asyncio/", "/uvloop/")),
    (
        FRAMEWORK,
        ("/flask/", "/werkzeug/", "/blinker/", "/flask_server/", "/fastapi/", "/starlette/", "/service_peers.py"),
    ),
)
"""Any other sample is of the layer of the innermost call that stands in one of these files."""

ONE_THREAD = 3
"""So many of the sides of benchmarks/servers.py, the first ones, answer on one thread."""


@dataclass(frozen=True)
class Breakdown:
    """Where a server's CPU time goes.

    Attributes:
        layers: CPU time for a request in µs, by layer.
        faults: Why the run cannot be believed; empty where it can.
    """

    layers: Mapping[str, float]
    faults: str


def layer_of(stack: Sequence[str]) -> str:
    """The layer of one sample.

    Args:
        stack: The calls from the outermost to the innermost, each ``function (file)``.
    """
    calls = [call.rpartition(" (") for call in stack]
    for function, _, file in calls:
        for layer, part, functions in INSIDE:
            if part in file and function in functions:
                return layer
    for _, _, file in reversed(calls):
        for layer, parts in BY_FILE:
            if any(part in file for part in parts):
                return layer
    return OTHER


def samples(raw: str) -> dict[int, Counter[str]]:
    """Samples by layer, for each thread that has any, by its id.

    Args:
        raw: What py-spy wrote: a line for each stack, with the thread first and how often it was seen last.
    """
    found: dict[int, Counter[str]] = defaultdict(Counter)
    for line in raw.splitlines():
        stack, _, times = line.rpartition(" ")
        thread, *calls = stack.split(";")
        found[int(thread.partition("(")[2].partition(")")[0], 0)][layer_of(calls)] += int(times)
    return found


def broken_down(server: Server, launcher: LocalLauncher, seconds: float) -> tuple[str, Breakdown]:
    """Put a server under load and sample it; returns its label, too."""
    running = launcher.start(server)
    assert isinstance(running, LocalServer), "a local launcher starts processes"
    try:
        with ThreadPoolExecutor(1) as load:
            under = load.submit(under_load, running, launcher, DEFAULT_WIRE, WARMUP_S + seconds)
            time.sleep(WARMUP_S)
            spent = sampled(process_tree(running.pid), seconds)
            run, usage = under.result()
    finally:
        running.stop()
    whole = sum(spent.values())
    per_request = cpu_of_request(run, usage) * 1e6
    layers = {layer: spent[layer] / whole * per_request for layer in LAYERS}
    return running.label, Breakdown(layers, faults_of(run))


def sampled(family: Sequence[psutil.Process], seconds: float) -> dict[str, float]:
    """CPU seconds of some processes by layer.

    Args:
        family: The processes.
        seconds: How long they are watched.
    """
    python = [process for process in family if "python" in process.name()]
    before = {process.pid: _thread_times(process) for process in family}
    with tempfile.TemporaryDirectory() as folder:
        watchers = []
        for process in python:
            command = [str(SPY), "record", "--pid", str(process.pid), "--duration", f"{seconds:.0f}", "--threads"]
            command += ["--rate", str(SAMPLES_PER_S), "--full-filenames", "--nolineno"]
            command += ["--format", "raw", "--output", f"{folder}/{process.pid}"]
            watchers.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE))
        for watcher in watchers:
            _, said = watcher.communicate()
            if watcher.returncode:
                sys.exit(f"py-spy cannot watch the server: {said.decode(errors='replace').strip()}")
        seen = {process.pid: samples((Path(folder) / str(process.pid)).read_text()) for process in python}
    spent = dict.fromkeys(LAYERS, 0.0)
    for process in family:
        for thread, now in _thread_times(process).items():
            cpu = now - before[process.pid].get(thread, 0.0)
            layers = seen.get(process.pid, {}).get(thread)
            if not layers:
                spent[HTTP] += cpu
                continue
            for layer, times in layers.items():
                spent[layer] += cpu * times / layers.total()
    return spent


def _thread_times(process: psutil.Process) -> dict[int, float]:
    return {thread.id: thread.user_time + thread.system_time for thread in process.threads()}


def table(found: Mapping[str, Breakdown]) -> list[str]:
    """Lines of a Markdown table, in µs of CPU for a request."""
    lines = [
        f"| µs of CPU for a request | {' | '.join(LAYERS)} | together |",
        f"| :--- |{' ---: |' * (len(LAYERS) + 1)}",
    ]
    for label, one in found.items():
        cells = [f"{one.layers[layer]:.0f}" for layer in LAYERS]
        told = f"{label} (not valid: {one.faults})" if one.faults else label
        lines.append(f"| {told} | {' | '.join(cells)} | {sum(one.layers.values()):.0f} |")
    return lines


def main() -> None:
    """Measure, print and write the part of RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--duration", type=float, default=15.0, help="seconds in which stacks are sampled")
    parser.add_argument("--dry", action="store_true", help="print only")
    arguments = parser.parse_args()
    if not SPY.exists():
        sys.exit("py-spy is not installed: scripts/venv --dev")
    launcher = LocalLauncher(load_artifact("digits"), choose_placement(pin=True, client_cores=1), any_port=True)
    found = {}
    for server in sides(load_servers())[:ONE_THREAD]:
        label, one = broken_down(server, launcher, arguments.duration)
        found[label] = one
        print(f"{label}: {one}", file=sys.stderr)  # noqa: T201  (progress)
    head = in_closed_loop("layers", CONNECTIONS, "one `digits` image as JSON in a request")
    text = "\n".join([f"{head} {SAMPLES_PER_S} samples a second.", "", *table(found)])
    print(text)  # noqa: T201  (a script's own output)
    if not arguments.dry:
        write_figures(HERE / "RESULTS.md", text, "layers")


if __name__ == "__main__":
    main()
