"""Requests that keep a server busy for a while: golden examples, repeated in one request."""

import time

from loadtest.errors import LaunchError
from loadtest.launch.running import RunningServer

FIRST = 256
"""Instances of the first request that is tried; each further one has twice as many."""
MAX_BODY = 16 * 1024 * 1024
TIMEOUT_S = 30.0


def calibrate(running: RunningServer, work_s: float) -> tuple[int, float]:
    """Find out how many instances in one request keep the server busy for so long.

    Args:
        running: The server.
        work_s: Seconds that a request should take.

    Returns:
        The number, within what the artifact lets a request have, and the seconds that such a request took.

    Raises:
        LaunchError: If the server does not answer one.
    """
    artifact = running.artifact
    most = min(artifact.max_instances, MAX_BODY * artifact.size // len(_body(running, artifact.size)))
    instances = int(min(FIRST, most))
    while True:
        began = time.monotonic()
        answer = running.predict(_body(running, instances), timeout_s=TIMEOUT_S)
        took_s = time.monotonic() - began
        if answer.status != 200:
            raise LaunchError(f"{instances} instances in one request: {answer.fault or answer.status}")
        if took_s >= work_s or instances >= most:
            return instances, took_s
        instances = int(min(2 * instances, most))


def _body(running: RunningServer, instances: int) -> bytes:
    (body,) = running.artifact.golden.many(instances).bodies(instances)
    return body
