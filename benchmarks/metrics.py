"""What Flask's metrics cost: the service as it is, without them, and with prometheus_client in their place.

    python -m models build digits
    scripts/bench metrics --rounds 5

First the counting of one request alone, in this process and by its CPU time; then the whole service on one core in a
closed loop, where the sides take turns, and a ratio is that of two sides in the same round. For the second part the
machine must be quiet; --rounds 0 leaves it out. Written to benchmarks/RESULTS.md.
"""

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.figures import SPREAD, in_closed_loop, machine, spread, write_figures
from benchmarks.servers import GRANIAN, OURS, measured, table
from benchmarks.serving_share import CONNECTIONS
from loadtest.servers.server_folder import Server
from loadtest.servers.server_toml import load_servers

HERE = Path(__file__).resolve().parent
SIDES = {"the same, counting nothing": "silent", "the same, counting with prometheus_client": "library"}


def sides() -> Iterator[Server]:
    """The service, and what it is held against."""
    ours = load_servers()[OURS]
    yield ours
    (launch,) = ours.launches
    for label, factory in SIDES.items():
        words = f"{GRANIAN} benchmarks.metrics_sides:{factory}".split()
        yield replace(ours, key=label, label=label, launches=(replace(launch, command=("{python}", "-m", *words)),))


def alone() -> str:
    """One sentence on what the counting of a request takes by itself."""
    found = []
    for kind, name in (("Metrics", "the service's own"), ("Library", "prometheus_client")):
        # In a process of its own: prometheus_client counts otherwise where it was imported without its folder.
        told = subprocess.run([sys.executable, HERE / "metrics_sides.py", kind], capture_output=True, check=True)
        found.append(f"{spread(json.loads(told.stdout), 1, ' µs')} with {name}")
    return f"The counting of one request alone takes {' and '.join(found)}."


def main() -> None:
    """Measure, print and write the part of RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--duration", type=float, default=6.0, help="seconds of a closed loop")
    parser.add_argument("--dry", action="store_true", help="print only")
    arguments = parser.parse_args()
    command = f"scripts/bench metrics {shlex.join(sys.argv[1:])}"
    lines = [f"CPU time by `{command}`, {machine()}. {SPREAD.replace('rounds', 'repetitions')}", "", alone()]
    if arguments.rounds:
        found = measured(list(sides()), arguments.rounds, arguments.duration)
        head = in_closed_loop("metrics", CONNECTIONS, "one `digits` image as JSON in a request")
        lines += ["", f"{head} {SPREAD} A ratio is that of one round.", "", *table(found)]
    text = "\n".join(lines)
    print(text)  # noqa: T201  (a script's own output)
    if not arguments.dry:
        write_figures(HERE / "RESULTS.md", text, "metrics")


if __name__ == "__main__":
    main()
