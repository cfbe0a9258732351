"""When a start is over: at the first correct prediction, and not when a port opens or a server calls itself ready.

`await_ready` waits for the server's own word alone: what a model needs to be loaded, before it is asked anything.
"""

import time
from collections.abc import Callable

from loadtest.errors import LaunchError, ParityError
from loadtest.launch.running import POLL_S, RunningServer
from loadtest.wire.single_request import Answer

Until = Callable[[RunningServer, float, float], None]
"""Waits for the end of a start, given its beginning by the monotonic clock and the patience, both in seconds."""

WRONG_ANSWERS = 3
"""So many wrong answers of a server that calls itself ready are no longer those of one that is still loading."""


def await_first_prediction(
    running: RunningServer, started: float, timeout_s: float, clock: Callable[[], float] = time.monotonic
) -> None:
    """Poll until golden example 0 is answered correctly and the readiness probe agrees, and note when that was.

    Args:
        running: A server that was started; its `first_prediction_s` is set.
        started: Reading of the clock at its start; NaN where it is not known.
        timeout_s: Patience, in seconds from now.
        clock: Seconds, monotonic.

    Raises:
        LaunchError: If the server ended, or did not answer in time; its last log lines are in the text.
        ParityError: If it is ready and answers something else.
    """
    deadline = clock() + timeout_s
    wrong = 0
    while not running.is_right(answer := running.predict_example()):
        if answer.status == 200 and running.is_ready():
            wrong += 1
            if wrong >= WRONG_ANSWERS:
                raise ParityError(_wrong_answer(running, answer))
        running.raise_if_ended()
        if clock() > deadline:
            reason = answer.fault or f"HTTP {answer.status}: {answer.body[:200].decode(errors='replace')}"
            raise LaunchError(
                f"{running.server.key} did not answer a prediction within {timeout_s:.0f} s ({reason}); "
                f"its last lines:\n{running.log_tail()}"
            )
        time.sleep(POLL_S)
    running.first_prediction_s = clock() - started
    while not running.is_ready():
        running.raise_if_ended()
        if clock() > deadline:
            probe = running.server.ready.path
            raise LaunchError(f"{running.server.key} predicts, but its readiness probe {probe} stays negative")
        time.sleep(POLL_S)


def await_ready(
    running: RunningServer, started: float, timeout_s: float, clock: Callable[[], float] = time.monotonic
) -> None:
    """Poll until the readiness probe is positive, and ask for no prediction.

    Args:
        running: A server that was started.
        started: Reading of the clock at its start; not used, as nothing is noted.
        timeout_s: Patience, in seconds from now.
        clock: Seconds, monotonic.

    Raises:
        LaunchError: If the server ended, or did not call itself ready in time; what it said is in the text.
    """
    deadline = clock() + timeout_s
    while not running.is_ready():
        running.raise_if_ended()
        if clock() > deadline:
            answer = running.probe(running.server.ready)
            text = " ".join(answer.body.decode(errors="replace").split())
            said = answer.fault or f"HTTP {answer.status}: {text[:200]}"
            raise LaunchError(
                f"{running.server.key} did not call itself ready within {timeout_s:.0f} s ({said}); "
                f"its last lines:\n{running.log_tail()}"
            )
        time.sleep(POLL_S)


def _wrong_answer(running: RunningServer, answer: Answer) -> str:
    difference = running.artifact.expectation().difference(0, answer.body)
    what = "no prediction of the right shape" if difference == float("inf") else f"off by {difference:.2g}"
    shown = answer.body[:120].decode(errors="replace")
    return f"{running.server.key} is ready but answers golden example 0 wrongly ({what}): {shown}"
