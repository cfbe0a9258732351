"""Does the server ask for credentials by its own default, where this project has to turn that off?"""

import time

from loadtest.errors import LaunchError
from loadtest.launch.local import LocalServer
from loadtest.setup.declared import Change
from loadtest.setup.probes.ask import Call, ask, seen
from loadtest.setup.probes.bench import Bench
from loadtest.setup.probes.cell import Cell
from loadtest.setup.scratch import scratch_copy
from loadtest.setup.timeline import stop_whole, with_free_ports

REFUSED = (400, 401, 403)
POLL_S = 0.1


def probe_own_default(bench: Bench, change: Change) -> Cell:
    """Start the server with its own default put back and ask for a prediction without credentials.

    It will not become ready for this client, so it is not waited for as the launcher waits.

    Args:
        bench: The server.
        change: What puts the default back.

    Raises:
        LaunchError: If it neither answers nor refuses in time.
    """
    with scratch_copy(bench.server, bench.artifact, change) as scratch:
        server = with_free_ports(scratch.server)
        running = LocalServer(server, scratch.artifact, dict(server.ports), bench.local.placement)
        try:
            call = Call(running.predict_path, bench.artifact.bodies()[0], label="golden example 0, no credentials")
            deadline = time.monotonic() + bench.local.timeout_s
            while time.monotonic() < deadline:
                reply = ask(running, call)
                if reply.status == 200 or reply.status in REFUSED:
                    return Cell("auth", reply.status != 200, (seen(call, reply),), note=change.setting)
                running.raise_if_ended()
                time.sleep(POLL_S)
        finally:
            stop_whole(running)
    raise LaunchError(f"{server.key} neither answered nor refused a prediction with its own default of credentials")
