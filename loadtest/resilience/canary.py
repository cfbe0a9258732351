"""A canary: the next version answers a share of the requests, at an address of its own, beside the present one."""

import asyncio
import time
from collections import Counter

from loadtest.errors import LaunchError
from loadtest.launch.launcher import Launcher
from loadtest.launch.running import RunningServer
from loadtest.load.recorder import Tally
from loadtest.load.schedule import Poisson
from loadtest.load.session import Phase, run_phases
from loadtest.resilience.rollout_result import Canary, RolloutPlan
from loadtest.servers.artifact import Artifact
from loadtest.servers.server_folder import Server, fill
from loadtest.setup.declared import DeclaredSetup, DeclaredVersions
from loadtest.setup.probes.probe_context import carry_out
from loadtest.setup.scratch import scratch_copy
from loadtest.setup.scratch_start import running_on
from loadtest.wire.golden_target import rest_target
from loadtest.wire.http1 import HttpTarget
from loadtest.wire.single_request import request

SHARE = 0.1
TIMEOUT_S = 10.0
POLL_S = 0.1


def try_canary(
    launcher: Launcher, server: Server, following: Artifact, declared: DeclaredSetup, plan: RolloutPlan
) -> Canary:
    """Serve both versions at once and send each its own requests, whose answers must be that version's.

    Args:
        launcher: How the server is started, and the present version.
        server: Which one; it has an address for each version.
        following: The next version.
        declared: Its table ``[setup]``.
        plan: Rate, connections and length of the load.

    Raises:
        LoadtestError: If it does not start, or the next version does not answer.
    """
    how = declared.versions
    assert how is not None
    with scratch_copy(server, launcher.artifact, how.change) as scratch, running_on(launcher, scratch) as running:
        scratch.publish(declared.new_version, following)
        carry_out(running, how.change.requests, scratch)
        _await(running, how, following, plan.most_s)
        shares = ((launcher.artifact, 1 - SHARE), (following, SHARE))
        tallies = asyncio.run(_both(running, how, shares, plan))
    lost: Counter[str] = Counter()
    for tally in tallies:
        lost.update(tally.errors)
    return Canary(
        share=SHARE,
        present=tallies[0].scheduled,
        next=tallies[1].scheduled,
        lost=dict(sorted(lost.items())),
        wrong=sum(tally.mismatched for tally in tallies),
        setting=how.change.setting,
    )


async def _both(
    running: RunningServer, how: DeclaredVersions, shares: tuple[tuple[Artifact, float], ...], plan: RolloutPlan
) -> list[Tally]:
    outcomes = await asyncio.gather(
        *(
            run_phases(
                _target(running, how, artifact),
                [Phase(Poisson(share * plan.rate, 2 * plan.lead_s), plan.seed + number, TIMEOUT_S)],
                plan.connections,
            )
            for number, (artifact, share) in enumerate(shares)
        )
    )
    return [phases[0].tally for phases in outcomes]


def _path(how: DeclaredVersions, artifact: Artifact) -> str:
    return fill(how.predict, {"workload": artifact.workload, "version": artifact.version})


def _target(running: RunningServer, how: DeclaredVersions, artifact: Artifact) -> HttpTarget:
    url = f"http://{running.host}:{running.ports['rest']}{_path(how, artifact)}"
    return rest_target(url, artifact.golden)


def _await(running: RunningServer, how: DeclaredVersions, following: Artifact, timeout_s: float) -> None:
    """Wait until the next version answers golden example 0 rightly."""
    deadline = time.monotonic() + timeout_s
    golden = following.expectation()
    while True:
        answer = request(running.host, running.ports["rest"], _path(how, following), following.example_body())
        if answer.status == 200 and golden.matches(0, answer.body):
            return
        running.raise_if_ended()
        if time.monotonic() > deadline:
            told = answer.fault or f"{answer.status} {answer.body[:120]!r}"
            raise LaunchError(f"{running.server.key}: version {following.version} beside the present one: {told}")
        time.sleep(POLL_S)
