"""The wording of findings: the one place that makes sentences of codes and numbers."""

from collections.abc import Callable, Iterable, Mapping

from loadtest.errors import MeasurementError
from loadtest.judge import findings as codes
from loadtest.judge.findings import Finding

_WORDS: dict[str, Callable[[Finding], str]] = {
    codes.NOTHING_DUE: lambda _: "no request was due in this time: raise the rate or the duration",
    codes.WRONG_ANSWERS: lambda f: f"{f.number('wrong'):,.0f} of {f.number('requests'):,.0f} answers were wrong",
    codes.NONE_CORRECT: lambda f: (
        f"no request was answered correctly ({_listed(f.counts('errors')) or 'all answers were wrong'})"
    ),
    codes.NO_FILE_DESCRIPTORS: lambda f: (
        f"the client ran out of file descriptors {f.number('times'):,.0f} times: use fewer connections, or raise "
        "`ulimit -n`"
    ),
    codes.CLIENT_CPU: lambda f: (
        f"the client used {f.number('share'):.0%} of its core, so this may be the client's limit: lower the rate, or "
        "use --processes"
    ),
    codes.SENT_LATE: lambda f: (
        f"the client sent late: at p{f.number('percent'):.0f} the send lag was {f.number('lag_ms'):.2f} ms of "
        f"{f.number('response_ms'):.2f} ms response time; keep other programs off the client's core"
    ),
    codes.RECEIVED_LATE: lambda f: (
        f"the client read late: at p{f.number('percent'):.0f} an answer waited {f.number('lag_ms'):.2f} ms for it, of "
        f"{f.number('response_ms'):.2f} ms response time; lower the rate, or keep other programs off the client's core"
    ),
    codes.STEAL: lambda f: f"the hypervisor took {f.number('share'):.1%} of the cores' time for other machines",
    codes.FOREIGN_LOAD: lambda f: (
        f"other programs, or the client, used {f.number('share'):.0%} of the server's cores: end them, or pin the "
        "client elsewhere"
    ),
    codes.NOT_AS_NAMED: lambda f: (
        f"the schedule was not what its name says: the gaps between requests lie {f.number('distance'):.0%} off"
    ),
    codes.SENT_OTHERWISE: lambda f: (
        f"the client did not send as it had promised: of {f.number('gaps'):,.0f} gaps between its sends "
        f"{f.number('distance'):.0%} were shorter or longer than they could have been; keep other programs off its core"
    ),
    codes.SENT_SLOWER: lambda f: (
        f"the client sent {f.number('rate_rps'):,.1f} requests per second in place of {f.number('possible_rps'):,.1f}"
    ),
    codes.NEVER_SENT: lambda f: (
        f"overload: {f.number('requests'):,.0f} requests were never sent, since every connection stayed busy"
    ),
    codes.QUEUE_GREW: lambda f: f"overload: the queue grew to {f.number('waiting'):,.0f} waiting requests at this rate",
    codes.REQUESTS_FAILED: lambda f: (
        f"{f.number('failed'):,.0f} of {f.number('requests'):,.0f} requests failed ({_listed(f.counts('errors'))})"
    ),
    codes.SCHEDULE_OFF_RATE: lambda f: (
        f"the schedule held {f.number('share'):+.0%} of the requests that its rate promises"
    ),
    codes.SENDS_WAITED: lambda f: (
        f"{f.number('waited_share'):.0%} of the requests waited for a busy connection, so that the server did not "
        f"receive them as the schedule has them ({f.number('rate_rps'):,.0f} per second in place of "
        f"{f.number('planned_rps'):,.0f}): their wait counts in the response time; more connections would have it in "
        "the server"
    ),
    codes.DEPENDENT: lambda f: (
        f"successive response times depend on each other (rank correlation {f.number('correlation'):.2f}): "
        f"{f.number('requests'):,.0f} requests tell no more than {f.number('worth'):,.0f} independent ones, and the "
        "intervals of this run are wider for it"
    ),
    codes.NOT_WARM: lambda f: (
        f"the warm-up ended at its bound of {f.number('bound_s'):g} s, before the server was steady: raise --warmup"
    ),
    codes.NOT_STEADY: lambda _: "no steady state was reached: windows of the run differ by more than 10 %; run longer",
    codes.TOO_FEW_ANSWERS: lambda f: (
        f"{_counted(f)} are too few for p{f.number('percent'):g} and above "
        f"(p{f.number('percent'):g} needs {f.number('needed'):,.0f})"
    ),
    codes.TAKEN_AGAIN: lambda f: f"taken again after an invalid try: {_reason(str(f.values['reason']))}",
    codes.FAILED: lambda f: str(f.values["message"]),
    codes.GATE_FAILED: lambda _: "it is not timed, since the closed loop at the gate was not answered correctly",
    codes.NOTHING_ANSWERED: lambda _: "it answered nothing under load",
    codes.RATE_NOT_OFFERED: lambda f: f"the client could not offer {f.number('rate_rps'):,.0f} requests per second",
    codes.RATE_LIMIT: lambda f: f"{f.number('rate_rps'):,.0f} requests per second are the most that can be offered",
    codes.NOT_CACHED: lambda f: f"not cached: a repeated input was answered {_times_as_fast(f)}",
    codes.CACHED: lambda f: f"CACHED: it answers from a cache, a repeated input {_times_as_fast(f)}",
    codes.CACHING_NOT_CERTAIN: lambda f: (
        f"not certain whether it caches: a repeated input was answered {_times_as_fast(f)}"
    ),
    codes.NO_LAYERS: lambda f: str(f.values["why"]),
    codes.NO_COUNTERS: lambda _: "none of its processes counted anything",
    codes.COUNTED_OTHERWISE: lambda f: (
        f"the server counted {f.number('counted'):,.0f} requests, and the client has {f.number('answered'):,.0f} "
        "answers"
    ),
    codes.LAYERS_BEYOND_CPU: lambda f: (
        f"the layers of a process have {f.number('seconds'):.2f} s more than the CPU time that it used"
    ),
    codes.LAYERS_NOT_ALL: lambda f: (
        f"the layers add up to {f.number('layers_s'):.2f} s of CPU, and the server used {f.number('used_s'):.2f} s"
    ),
    codes.NO_SERVER_TIMES: lambda f: f"the server's own times could not be read: {f.values['why']}",
    codes.TOLD: lambda f: str(f.values["text"]),
}

_REASONS = {
    codes.NO_FILE_DESCRIPTORS: "the client ran out of file descriptors",
    codes.CLIENT_CPU: "the client was at its limit",
    codes.SENT_LATE: "the client sent late",
    codes.NOT_AS_NAMED: "the schedule was not what its name says",
    codes.SENT_OTHERWISE: "the client did not send as it had promised",
    codes.SENT_SLOWER: "the client sent too slowly",
    codes.RECEIVED_LATE: "the client read late",
    codes.STEAL: "the hypervisor took time for other machines",
    codes.FOREIGN_LOAD: "other programs used the server's cores",
}


def words(finding: Finding) -> str:
    """A finding as a sentence without a full stop; a code of a later release as it stands."""
    word = _WORDS.get(finding.code)
    return word(finding) if word else f"{finding.code}: {finding.values}"


def all_words(findings: Iterable[Finding]) -> str:
    """Several findings in one line."""
    return "; ".join(map(words, findings))


def told(error: Exception) -> str:
    """An error in one line, with the findings that led to it."""
    findings = error.findings if isinstance(error, MeasurementError) else ()
    return f"{error}: {all_words(findings)}" if findings else str(error)


def _counted(finding: Finding) -> str:
    """What was too few: requests, and in results of the first method answers."""
    name = "requests" if "requests" in finding.values else "answers"
    return f"{finding.number(name):,.0f} {name}"


def _times_as_fast(finding: Finding) -> str:
    known, failed = finding.values, finding.number("failed")
    ratio = f"{finding.number('ratio'):.2f}" if "ratio" in known else "an unknown number of"
    interval = f" [{finding.number('low'):.2f} to {finding.number('high'):.2f}]" if "low" in known else ""
    allowed = f"allowed is {finding.number('limit'):.2f}"
    lost = f"; {failed:,.0f} requests failed" if failed else ""
    return f"{ratio}{interval} times as fast as different ones ({allowed}{lost})"


def _reason(code: str) -> str:
    return _REASONS.get(code, code)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())
