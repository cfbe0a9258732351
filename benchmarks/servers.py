"""Flask's service, its variants and its peers, and the other servers, each on one core in a closed loop.

    python -m models build digits
    scripts/bench servers --rounds 5

One `digits` image in each JSON request, every answer checked. In each round the sides take turns, and a ratio is that
of two sides in the same round. Written to benchmarks/RESULTS.md.
"""

import argparse
import math
import statistics
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.figures import SPREAD, in_closed_loop, spread, write_figures
from benchmarks.serving_share import CONNECTIONS, cpu_of_request, faults_of, under_load
from loadtest.launch.launcher import LocalLauncher
from loadtest.machine.placement import choose_placement
from loadtest.servers.artifact import load_artifact
from loadtest.servers.server_folder import DEFAULT_WIRE, LaunchCommand, Server
from loadtest.servers.server_toml import load_servers

HERE = Path(__file__).resolve().parent
OURS = "flask_server"
OTHERS = ("flask_server:tensorflow", "flask_server:gunicorn", "tf_serving", "torchserve")
GRANIAN = (
    "granian --interface rsgi --http 1 --no-ws --loop uvloop --workers 1 --host {host} --port {ports[rest]} --factory"
)
UVICORN = "uvicorn --loop uvloop --http httptools --no-access-log --host {host} --port {ports[rest]} --factory"
PEERS = {
    "a bare WSGI function on granian": f"{GRANIAN} benchmarks.service_peers:bare_wsgi",
    "FastAPI on uvicorn, a coroutine that reads the body": f"{UVICORN} benchmarks.service_peers:lean",
    "FastAPI on uvicorn, a typed body and a thread": f"{UVICORN} benchmarks.service_peers:usual",
}
"""Sides that are no server folders, with the predictor of our service: the module to run, and its arguments."""


def sides(servers: Mapping[str, Server]) -> list[Server]:
    """Flask's service, its peers, and the server folders that are held against it."""
    ours = servers[OURS]
    peers = [_peer(ours, label, command.split()) for label, command in PEERS.items()]
    return [ours, *peers, *(servers[key] for key in OTHERS)]


def _peer(ours: Server, label: str, command: Sequence[str]) -> Server:
    (launch,) = ours.launches
    started = LaunchCommand(("{python}", "-m", *command), env=launch.env)
    return replace(ours, key=label, label=label, launches=(started,), effective={})


def measured(servers: Sequence[Server], rounds: int, seconds: float) -> dict[str, list[tuple[float, float]]]:
    """CPU time for a request in µs, and requests per second, of each round in which the run can be believed.

    Returns:
        By the side's label, an entry for each round; NaN where the run was invalid or lost requests.
    """
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    launcher = LocalLauncher(load_artifact("digits"), choose_placement(pin=True, client_cores=1), any_port=True)
    for number in range(rounds):
        for server in servers if number % 2 == 0 else servers[::-1]:
            running = launcher.start(server)
            try:
                run, usage = under_load(running, launcher, DEFAULT_WIRE, seconds)
            finally:
                running.stop()
            faults, figures = faults_of(run), (cpu_of_request(run, usage) * 1e6, run.throughput_rps)
            print(f"{running.label}: {figures} {faults}", file=sys.stderr)  # noqa: T201  (progress)
            found[running.label].append((math.nan, math.nan) if faults else figures)
    return found


def table(found: Mapping[str, list[tuple[float, float]]]) -> list[str]:
    """Lines of a Markdown table, with the ratio to the first side's CPU time."""
    first = next(iter(found.values()))
    lines = [
        "| side | CPU for a request, µs | CPU, side ÷ our Flask service | requests/s | valid rounds |",
        "| :--- | ---: | ---: | ---: | ---: |",
    ]
    for label, every in found.items():
        valid = [one for one in every if not math.isnan(one[0])]
        both = [one[0] / base[0] for one, base in zip(every, first, strict=True)]
        ratios = [ratio for ratio in both if not math.isnan(ratio)]
        cells = [
            spread([cpu for cpu, _ in valid], 0) if valid else "-",
            spread(ratios, 2) if ratios else "-",
            f"{statistics.median(rate for _, rate in valid):,.0f}" if valid else "-",
        ]
        lines.append(f"| {label} | {' | '.join(cells)} | {len(valid)} of {len(every)} |")
    return lines


def main() -> None:
    """Measure, print and write the part of RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--duration", type=float, default=6.0, help="seconds of a closed loop")
    parser.add_argument("--dry", action="store_true", help="print only")
    arguments = parser.parse_args()
    found = measured(sides(load_servers()), arguments.rounds, arguments.duration)
    head = in_closed_loop("servers", CONNECTIONS, "one `digits` image as JSON in a request")
    text = "\n".join([f"{head} {SPREAD} A ratio is that of one round.", "", *table(found)])
    print(text)  # noqa: T201  (a script's own output)
    if not arguments.dry:
        write_figures(HERE / "RESULTS.md", text, "servers")


if __name__ == "__main__":
    main()
