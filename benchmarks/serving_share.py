"""The share of the bare forward pass that each server reaches at its ceiling, over each of its wire formats.

    python -m models build
    scripts/bench serving_share --rounds 3

Predictions per second of a server on one core in a closed loop, divided by those of its framework's bare forward pass
on the same core, with one instance in a request. In each round the forward pass and the servers take turns; the client
has the other core. Written to benchmarks/RESULTS.md.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.figures import SPREAD, in_closed_loop, spread, write_figures
from loadtest.experiments.measured_run import measure
from loadtest.judge.measured import MeasuredRun
from loadtest.launch.launcher import LocalLauncher
from loadtest.launch.running import RunningServer
from loadtest.load.plan import Load
from loadtest.load.schedule import Closed
from loadtest.machine.placement import choose_placement
from loadtest.machine.usage import Usage
from loadtest.servers.artifact import load_artifact
from loadtest.servers.forward_pass import time_forward_passes
from loadtest.servers.server_folder import Server
from loadtest.servers.server_toml import load_servers, select_servers
from loadtest.wire.golden_target import golden_target

HERE = Path(__file__).resolve().parent
CONNECTIONS, WARMUP_S = 8, 15.0
"""Of the closed loop; the warm-up ends before where the server is steady, and its bound is in seconds."""


@dataclass(frozen=True)
class Reached:
    """What a server reached over a wire format in one round.

    Attributes:
        share: Of the bare forward pass.
        forward_ms: The bare forward pass of this round.
        cpu_ms: CPU time of the server for a request.
        faults: Why the run cannot be believed, and how requests failed; empty where the round counts.
    """

    share: float
    forward_ms: float
    cpu_ms: float
    faults: str


def under_load(running: RunningServer, launcher: LocalLauncher, wire: str, seconds: float) -> tuple[MeasuredRun, Usage]:
    """A closed loop of distinct requests over one wire format, every answer checked."""
    load = Load(Closed(seconds), warmup_s=WARMUP_S, connections=CONNECTIONS)
    artifact = launcher.artifact
    endpoint = golden_target(wire, running.url_over(wire), artifact.workload, artifact.load)
    run, usage = measure(
        endpoint, load, target=wire, wire=wire, placement=launcher.placement, server_usage=running.usage_if_known()
    )
    assert usage is not None, "a local server's CPU time is always known"
    return run, usage


def faults_of(run: MeasuredRun) -> str:
    """Why a run cannot be believed, and how its requests failed; empty where it counts."""
    return ", ".join([*(reason.code for reason in run.verdict.reasons), *sorted(run.tally.errors)])


def cpu_of_request(run: MeasuredRun, usage: Usage) -> float:
    """CPU time of the server for a request that it answered, in seconds."""
    return usage.cpu_s / max(run.tally.ok, 1)


def measured(
    workload: str, servers: Sequence[Server], rounds: int, seconds: float
) -> dict[tuple[str, str], list[Reached]]:
    """Rounds of one workload, by the server's label and the wire format."""
    found: dict[tuple[str, str], list[Reached]] = defaultdict(list)
    launcher = LocalLauncher(load_artifact(workload), choose_placement(pin=True, client_cores=1), any_port=True)
    for number in range(rounds):
        passes = {
            one.runtime: one.typical_ms for one in time_forward_passes(launcher.artifact, launcher.placement, batch=1)
        }
        for server in servers if number % 2 == 0 else servers[::-1]:
            running = launcher.start(server)
            try:
                for wire in server.wires:
                    run, usage = under_load(running, launcher, wire, seconds)
                    forward_ms = passes[server.runtime]
                    reached = Reached(
                        run.throughput_rps * forward_ms / 1e3,
                        forward_ms,
                        cpu_of_request(run, usage) * 1e3,
                        faults_of(run),
                    )
                    found[running.label, wire].append(reached)
                    print(f"{workload}, {running.label}, {wire}: {reached}", file=sys.stderr)  # noqa: T201
            finally:
                running.stop()
    return found


def table(workload: str, found: dict[tuple[str, str], list[Reached]]) -> list[str]:
    """Lines of a Markdown table; a round whose run cannot be believed, or lost requests, is left out and counted."""
    lines = [
        f"| {workload} | wire | share reached | bare forward pass, ms | CPU for a request, ms | valid rounds |",
        "| :--- | :--- | ---: | ---: | ---: | ---: |",
    ]
    for (label, wire), every in found.items():
        valid = [one for one in every if not one.faults]
        names = ("share", "forward_ms", "cpu_ms")
        cells = [spread([getattr(one, name) for one in valid], 2) if valid else "-" for name in names]
        lines.append(f"| {label} | {wire} | {' | '.join(cells)} | {len(valid)} of {len(every)} |")
    return lines


def main() -> None:
    """Measure, print and write the part of RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workloads", default="digits,minilm,imagenet")
    parser.add_argument("--servers", default=None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--duration", type=float, default=6.0, help="seconds of a closed loop")
    parser.add_argument("--dry", action="store_true", help="print only")
    arguments = parser.parse_args()
    servers = select_servers(arguments.servers, load_servers())
    lines = [f"{in_closed_loop('serving_share', CONNECTIONS, 'one instance in a request')} {SPREAD}"]
    for workload in arguments.workloads.split(","):
        found = measured(workload, servers, arguments.rounds, arguments.duration)
        lines += ["", *table(workload, found)]
    text = "\n".join(lines)
    print(text)  # noqa: T201  (a script's own output)
    if not arguments.dry:
        write_figures(HERE / "RESULTS.md", text, "serving share")


if __name__ == "__main__":
    main()
