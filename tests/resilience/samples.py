"""A resilience.json as a real run leaves it, of two servers, for tests of how it is told."""

import datetime
import math

from loadtest.judge.findings import CLIENT_CPU, Finding
from loadtest.machine.host import describe_host
from loadtest.resilience.crash import Crash
from loadtest.resilience.hostile.request import ANSWERED, REFUSED
from loadtest.resilience.hostile.result import Aftermath, Footprint, HostileAnswer, HostileResult
from loadtest.resilience.leaving import Leaving, LeavingPlan
from loadtest.resilience.overload import Overload, OverloadLevel, OverloadPlan
from loadtest.resilience.process_end import MAIN, STOP, WORKER
from loadtest.resilience.resilience_file import Resilience, ResilienceFile
from loadtest.resilience.rollout_result import (
    BACK,
    CORRUPT,
    OTHER_MODEL,
    TO_NEXT,
    Canary,
    Rollout,
    RolloutPlan,
    RolloutStep,
)
from loadtest.setup.probes.capability import Exchange


def level(factor: float, in_time: int, errors: dict[str, int], p99_ms: float = 80.0) -> OverloadLevel:
    """Ten seconds of an offered load, of a server whose ceiling is 1,000 requests a second."""
    requests = round(factor * 10_000)
    return OverloadLevel(
        factor=factor,
        offered_rps=requests / 10,
        requests=requests,
        in_time=in_time,
        goodput_rps=in_time / 10,
        wrong=0,
        errors=errors,
        p50_ms=p99_ms / 2,
        p99_ms=p99_ms,
        resident_mib=200.0,
        calm_after_s=0.01,
        faults=[Finding(CLIENT_CPU, {"share": 0.97})] if factor > 2 else [],
    )


def step(change: str, *, lost: int = 0, unwanted: int = 0, first_s: float = math.nan) -> RolloutStep:
    """A change under load."""
    return RolloutStep(
        change=change,
        requests=1_000,
        lost={"connection_reset": lost} if lost else {},
        mixed=0,
        unwanted=unwanted,
        first_s=first_s,
        only_s=first_s + 0.5,
        before_p99_ms=5.0,
        during_p99_ms=20.0,
        during_max_ms=31.0,
        before_mib=200.0,
        peak_mib=260.0,
        evidence=(Exchange("to the main process", "SIGHUP"),),
    )


def end(ended: str, *, lost: int = 0, orphans: int = 0) -> Crash:
    """One kind of end, three times."""
    worker = ended == WORKER
    return Crash(
        ended=ended,
        repeats=3,
        requests=900,
        lost={"connection_reset": lost} if lost else {},
        refused={"connection_refused": 40},
        wrong=0,
        recovered_s=1.25 if worker else math.nan,
        outage_s=1.0 if worker else math.nan,
        gone_s=math.nan if worker else math.inf if orphans else 0.1,
        orphans=orphans,
        port_free=None if worker else not orphans,
    )


def hostile(wire: str, *outcomes: str) -> HostileResult:
    """Hostile requests that ended so, of a server that holds."""
    answers = [HostileAnswer("JSON", str(at), one, 400, "no JSON", 0.01, True) for at, one in enumerate(outcomes)]
    before = Footprint(100.0, 20)
    whole = Aftermath("", True, 0.0, before, before)
    return HostileResult("holds", "Holding server", wire, True, tuple(answers), (), whole)


def sample() -> ResilienceFile:
    """One server that holds, and one that does not."""
    plan = OverloadPlan(factors=(0.5, 3.0), level_s=10.0)
    steady = Overload(plan, 1_000.0, [level(0.5, 5_000, {}), level(3.0, 9_300, {"http_503": 20_700})], 0.0)
    endless = Overload(
        plan,
        1_000.0,
        [level(0.5, 5_000, {}), level(3.0, 100, {"timeout": 9_000, "gave_up": 20_900}, math.nan)],
        math.inf,
    )
    holds = Resilience(
        "Holding server",
        overload=steady,
        rollout=Rollout(
            RolloutPlan(),
            "SIGHUP",
            [step(TO_NEXT, first_s=0.2), step(BACK, first_s=0.1), step(CORRUPT), step(OTHER_MODEL)],
            Canary(0.1, 900, 100, {}, 0, "two folders"),
            [],
        ),
        crash=[end(WORKER, lost=7), end(MAIN), end(STOP)],
        leave=[Leaving("rest", 512, LeavingPlan(), 0.1, 0.02, 0, True, 0.5)],
        hostile=[hostile("http", REFUSED, ANSWERED), hostile("grpc", REFUSED)],
    )
    gives_way = Resilience(
        "Server that gives way",
        overload=endless,
        rollout=Rollout(
            RolloutPlan(), "a restart", [step(TO_NEXT, lost=12, first_s=4.0), step(CORRUPT, unwanted=5)], None, []
        ),
        crash=[end(MAIN, orphans=2), end(STOP, lost=3)],
        faults={"leave": "it does not answer a large request"},
    )
    return ResilienceFile(
        date=datetime.datetime(2026, 11, 27, 8, 0, tzinfo=datetime.UTC),
        command=("resilience",),
        host=describe_host(),
        launcher={"launcher": "local"},
        workload="digits",
        version="1",
        servers={"holds": holds, "gives_way": gives_way},
    )
