"""Does the server ask for credentials by its own default, where this project has to turn that off?"""

import time

from loadtest.errors import LaunchError
from loadtest.launch.local import LocalServer
from loadtest.setup.declared import SettingChange
from loadtest.setup.probes.capability import CapabilityCell, judged
from loadtest.setup.probes.probe_context import ProbeContext
from loadtest.setup.probes.probe_request import ProbeRequest, ask, seen
from loadtest.setup.scratch import scratch_copy
from loadtest.setup.start_times import stop_whole, with_free_ports

REFUSED = (400, 401, 403)
POLL_S = 0.1


def probe_own_default(context: ProbeContext, change: SettingChange) -> CapabilityCell:
    """Start the server with its own default put back and ask for a prediction without credentials.

    Without credentials it never becomes ready for this client, so the launcher, which waits for that, cannot start it.

    Args:
        context: The server.
        change: What puts the default back.

    Raises:
        LaunchError: If it neither answers nor refuses in time.
    """
    with scratch_copy(context.server, context.artifact, change) as scratch:
        server = with_free_ports(scratch.server)
        running = LocalServer(server, scratch.artifact, dict(server.ports), context.local.placement)
        try:
            call = ProbeRequest(
                running.predict_path, context.artifact.example_body(), label="golden example 0, no credentials"
            )
            deadline = time.monotonic() + context.local.timeout_s
            while time.monotonic() < deadline:
                reply = ask(running, call)
                if reply.status == 200 or reply.status in REFUSED:
                    return judged("auth", reply.status != 200, [seen(call, reply)], setting=change.setting)
                running.raise_if_ended()
                time.sleep(POLL_S)
        finally:
            stop_whole(running)
    raise LaunchError(f"{server.key} neither answered nor refused a prediction with its own default of credentials")
