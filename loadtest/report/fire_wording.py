"""What a server does under fire, in two sentences: under too much load, and while it changes or dies."""

import math
from collections.abc import Mapping, Sequence

from loadtest.resilience.crash import Crash
from loadtest.resilience.hostile.result import HostileResult
from loadtest.resilience.leaving import Leaving
from loadtest.resilience.lost_requests import lost_and_refused
from loadtest.resilience.overload import Overload, OverloadLevel
from loadtest.resilience.process_end import MAIN, MEMORY, STOP, WORKER
from loadtest.resilience.resilience_file import Resilience
from loadtest.resilience.rollout_result import BACK, CORRUPT, OTHER_MODEL, TO_NEXT, Rollout, RolloutStep

LEFT = ("timeout", "gave_up")
"""Kinds of errors of requests whose client left before the answer came."""


def sentences(found: Resilience) -> list[str]:
    """At most two, on load and on change, of which the server is the subject.

    Args:
        found: What was tried out of one server.
    """
    load = [
        *(_overload(found.overload) if found.overload else ()),
        *_leaving(found.leave or ()),
        *_hostile(found.hostile or ()),
    ]
    change = [*(_rollout(found.rollout) if found.rollout else ()), *_crashes(found.crash or ())]
    return [_sentence("; ".join(parts)) for parts in (load, change) if parts]


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def refused(level: OverloadLevel) -> int:
    """Requests that the server did not take."""
    return sum(lost_and_refused(level.errors)[1].values())


def left(level: OverloadLevel) -> int:
    """Requests whose client left before they were answered."""
    return sum(count for kind, count in level.errors.items() if kind in LEFT)


def other_errors(level: OverloadLevel) -> int:
    """Requests that failed in any other way."""
    return sum(level.errors.values()) - refused(level) - left(level)


def _overload(found: Overload) -> list[str]:
    worst = found.highest
    capacity = f"{found.ceiling_rps:,.0f} requests/s" + ("" if found.settled else ", which was not seen to settle,")
    told = (
        f"at {worst.factor:g} times its capacity of {capacity} it answers "
        f"{found.goodput_share(worst):.2f} of that capacity in time"
    )
    if not math.isnan(worst.p99_ms):
        told += f" (p99 {worst.p99_ms:,.0f} ms)"
    if count := refused(worst):
        told += f", refuses {count / worst.requests:.0%} of the requests"
    if count := left(worst):
        told += f", keeps {count / worst.requests:.0%} of the requests waiting until their clients leave"
    again = "is not itself again within the test" if math.isinf(found.recovery_s) else _again(found.recovery_s)
    return [f"{told}, and {again} when the load drops"]


def _again(seconds: float) -> str:
    return "is itself again at once" if seconds < 0.5 else f"is itself again {seconds:.1f} s later"


def _leaving(found: Sequence[Leaving]) -> list[str]:
    if not found:
        return []
    shares = " and ".join(f"{min(one.done_for_nobody, 1):.0%} over {one.wire}" for one in found)
    return [f"of the work on requests whose clients have left it still does {shares}"]


def _hostile(found: Sequence[HostileResult]) -> list[str]:
    if not found:
        return []
    sent = sum(len(one.answers) for one in found)
    deaths = sum(len(one.deaths) for one in found)
    wrong = sum(not after.right for one in found for after in (*one.categories, one.whole))
    after = "answers rightly after each kind of them" if not wrong else f"answers wrongly after {wrong} kinds of them"
    return [f"it {'survives' if not deaths else f'dies {deaths} times of'} {sent} hostile requests and {after}"]


def _rollout(found: Rollout) -> list[str]:
    by_change = {step.change: step for step in found.steps}
    told = []
    forward = by_change.get(TO_NEXT)
    if forward:
        told.append(_change(forward, by_change.get(BACK)))
    broken = [step for step in found.steps if step.change in (CORRUPT, OTHER_MODEL)]
    harmful = [step.change for step in broken if step.unwanted or step.mixed or _of_another(step)]
    if broken:
        told.append(f"it serves {' and '.join(harmful)}" if harmful else "it serves no broken version")
    if lost := sum(sum(step.lost.values()) for step in broken):
        told.append(f"{_count(lost, 'request')} lost while one was tried")
    return told


def _of_another(step: RolloutStep) -> bool:
    """Whether right requests were called wrong: the model that serves has other inputs."""
    return any(kind.startswith("http_4") for kind in step.lost)


def _change(forward: RolloutStep, back: RolloutStep | None) -> str:
    if math.isnan(forward.first_s):
        return "the next version never answered"
    steps = [step for step in (forward, back) if step]
    lost = sum(sum(step.lost.values()) for step in steps)
    mixed = sum(step.mixed for step in steps)
    way = f"a new version answers alone after {forward.only_s:.1f} s"
    if back and not math.isnan(back.first_s):
        way += f", the former one again after {back.only_s:.1f} s"
    return f"{way}, with {_count(lost, 'request')} lost and {_count(mixed, 'answer')} of both"


def _crashes(found: Sequence[Crash]) -> list[str]:
    by_end = {one.ended: one for one in found}
    told = []
    if worker := by_end.get(WORKER):
        told.append(_replaced("a killed worker", worker))
    if stop := by_end.get(STOP):
        told.append(f"SIGTERM costs {_each(stop)}")
    if main := by_end.get(MAIN):
        told.append(_main(main))
    if memory := by_end.get(MEMORY):
        lives_on = memory.held == memory.repeats
        what = "a process that the kernel ends at the memory limit"
        told.append("no process ends at the memory limit" if lives_on else _replaced(what, memory))
    return told


def _main(found: Crash) -> str:
    if not math.isnan(found.recovered_s):
        return _replaced("a killed main process", found)
    if found.orphans:
        return f"{_count(found.orphans, 'process', 'processes')} left over when its main process is killed"
    return "nothing is left over when its main process is killed"


def _replaced(what: str, found: Crash) -> str:
    gone = math.isinf(found.recovered_s)
    back = "does not come back" if gone else f"is replaced within {found.recovered_s:.1f} s"
    return f"{what} {back} and costs {_each(found)}"


def _each(found: Crash) -> str:
    lost = sum(found.lost.values())
    return _count(lost, "request") + (f" in {found.repeats} times" if lost and found.repeats > 1 else "")


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number or 'no'} {one if number in (0, 1) else many or f'{one}s'}"


def kinds(errors: Mapping[str, int]) -> str:
    """Errors by kind: ``12 http_503, 1 timeout``; a dash where there are none."""
    return ", ".join(f"{count:,} {kind}" for kind, count in errors.items()) or "—"
