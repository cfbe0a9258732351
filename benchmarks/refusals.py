"""What a refusal costs Flask's service, beside the least that any program behind granian can do.

    python -m models build digits
    scripts/bench refusals --rounds 3

Three servers on one core, each of which refuses every request, in turns: an application of one line, which answers with
a constant; the service with a full queue; the same, reading the body before. Told is the CPU time of the server for
each request, which depends less on what else the machine does than a rate. Written to docs/resilience.md.
"""

import argparse
import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.figures import SPREAD, machine, spread, write_figures
from benchmarks.servers import GRANIAN
from flask_server.rsgi import OVERLOADED, Service, create_service
from flask_server.turns import Turns
from loadtest.experiments.measured_run import measure
from loadtest.load.plan import Load
from loadtest.load.schedule import Closed
from loadtest.machine.placement import choose_placement, process_on
from loadtest.machine.ports import free_ports
from loadtest.machine.process_tree import tree_usage
from loadtest.servers.artifact import load_artifact
from loadtest.wire.golden_target import golden_target

ROOT = Path(__file__).resolve().parents[1]
HOST = "127.0.0.1"
CONNECTIONS = (16, 256)
SIDES = {
    "barest": "an application of one line",
    "full": "the service, its queue full",
    "reading": "the same, reading the body before",
}


def barest() -> Any:
    """The application of one line."""

    async def refuse(scope: Any, protocol: Any) -> None:
        protocol.response_bytes(*OVERLOADED)

    return refuse


def full() -> Service:
    """The service with no place in its queue."""
    service = create_service()
    service.turns = Turns(1, 0)
    return service


def reading() -> Any:
    """The service with no place in its queue, and the body read before."""
    service = full()

    async def refuse(scope: Any, protocol: Any) -> None:
        await protocol()
        await service.__rsgi__(scope, protocol)

    return refuse


@contextlib.contextmanager
def serving(side: str, port: int, cores: tuple[int, ...]) -> Iterator[int]:
    """Start one of them; gives its process."""
    words = GRANIAN.replace("{host}", HOST).replace("{ports[rest]}", str(port)).split()
    command = [sys.executable, "-m", *words, f"benchmarks.refusals:{side}"]
    with process_on(cores):
        server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection((HOST, port)).close()
                break
            if server.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"refusals: {side} does not start")
            time.sleep(0.05)
        yield server.pid
    finally:
        server.terminate()
        server.wait()


def cost(side: str, connections: int, duration_s: float) -> float:
    """Microseconds of the server's CPU time for each request."""
    placement = choose_placement(pin=True)
    artifact = load_artifact("digits")
    port = free_ports(["rest"], HOST)["rest"]
    url = f"http://{HOST}:{port}/v1/models/digits:predict"
    target = golden_target("rest", url, "digits", artifact.load.for_requests(500))
    with serving(side, port, placement.server) as pid:
        load = Load(Closed(duration_s), 2.0, connections)
        run, used = measure(target, load, target=url, placement=placement, server_usage=lambda: tree_usage(pid))
    refused = run.tally.errors.get("http_503", 0)
    assert used is not None
    assert refused == run.tally.scheduled, run.tally.errors
    return used.cpu_s / refused * 1e6


def main() -> None:
    """Measure, print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--duration", type=float, default=3.0, help="seconds of a closed loop")
    parser.add_argument("--dry", action="store_true", help="print only")
    arguments = parser.parse_args()
    found: dict[tuple[str, int], list[float]] = {}
    for _ in range(arguments.rounds):
        for side in SIDES:
            for count in CONNECTIONS:
                found.setdefault((side, count), []).append(cost(side, count, arguments.duration))
    command = " ".join(["scripts/bench refusals", *sys.argv[1:]])
    lines = [
        f"CPU time of the server for each refusal, µs, by `{command}`, {machine()}. {SPREAD}",
        "",
        f"| | {' | '.join(f'{count} connections' for count in CONNECTIONS)} |",
        f"|---|{'---:|' * len(CONNECTIONS)}",
        *(
            f"| {told} | {' | '.join(spread(found[side, count], 0) for count in CONNECTIONS)} |"
            for side, told in SIDES.items()
        ),
    ]
    text = "\n".join(lines)
    print(text)  # noqa: T201  (a script's own output)
    if not arguments.dry:
        write_figures(ROOT / "docs" / "resilience.md", text, "refusals")


if __name__ == "__main__":
    main()
