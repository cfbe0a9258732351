"""What those who run the server ask of it: health, readiness, metrics and what it says of its model."""

import json
import time

from loadtest.launch.attached import AttachedServer
from loadtest.launch.running import RunningServer
from loadtest.servers.server_folder import HttpGet
from loadtest.setup.declared import DeclaredSetup
from loadtest.setup.probes.capability import CapabilityCell, Exchange, excerpt, judged, unknown
from loadtest.setup.probes.probe_request import ProbeReply, ProbeRequest, get, leaves, seen
from loadtest.setup.setup_finding import SetupCode, finding
from loadtest.setup.start_times import StartWatch
from loadtest.wire.single_request import Answer

BURST = 8
PREDICTIONS = 5
METRICS_PATHS = ("/metrics", "/monitoring/prometheus/metrics")
REFRESH_S = 3.0


class ReadinessBurst:
    """Predictions sent at the very moment the readiness probe becomes positive.

    Attributes:
        answers: What came back.
    """

    def __init__(self) -> None:
        self.answers: list[Answer] = []

    def send(self, server: AttachedServer) -> None:
        """Send `BURST` predictions of golden example 0, one after the other."""
        body = server.artifact.example_body()
        self.answers = [server.predict(body) for _ in range(BURST)]


def probe_readiness(running: RunningServer, watch: StartWatch | None, burst: ReadinessBurst) -> CapabilityCell:
    """Was every prediction right that was sent as soon as the readiness probe said yes?"""
    if watch is None or not burst.answers:
        return unknown("readiness", finding(SetupCode.READINESS_NOT_SEEN))
    golden = running.artifact.expectation()
    call, _ = get(running, running.server.ready)
    negatives = [Exchange(str(call), _said(answer)) for answer in watch.negatives]
    wrong = [answer for answer in burst.answers if answer.status != 200 or not golden.matches(0, answer.body)]
    counted = finding(
        SetupCode.PREDICTIONS_WHEN_READY,
        request=str(call),
        sent=len(burst.answers),
        right=len(burst.answers) - len(wrong),
        wrong=[_said(answer) for answer in wrong[:1]],
    )
    return judged("readiness", not wrong, [*dict.fromkeys(negatives[-2:])], observations=[counted])


def probe_health(running: RunningServer, declared: DeclaredSetup) -> CapabilityCell:
    """An address whose status alone, without reading the body, says that the server is up."""
    call, reply = get(running, declared.health or running.server.ready)
    return judged("health", 200 <= reply.status < 300, [seen(call, reply)])


def probe_model(running: RunningServer) -> list[CapabilityCell]:
    """Does the server tell which model it serves, and what goes in and out?"""
    exchanges, documents = [], []
    for probe in running.server.effective.values():
        call, reply = get(running, probe)
        exchanges.append(seen(call, reply))
        documents.append(_parsed(reply))
    values = {str(value) for document in documents for value in leaves(document)}
    names = {*running.artifact.input_names, *running.artifact.output_names}
    return [
        _telling("metadata", {running.artifact.workload, running.artifact.version}, values, exchanges),
        _telling("signature", names, values, exchanges),
    ]


def _telling(capability: str, wanted: set[str], told: set[str], exchanges: list[Exchange]) -> CapabilityCell:
    """Whether all that is wanted stands somewhere in the answers."""
    names = finding(SetupCode.NAMES_TOLD, told=sorted(wanted & told), missing=sorted(wanted - told))
    return judged(capability, wanted <= told, exchanges, observations=[names])


def probe_metrics(running: RunningServer, declared: DeclaredSetup) -> CapabilityCell:
    """A Prometheus page; a series that counts exactly the predictions that were sent is named."""
    known = [declared.metrics] if declared.metrics else []
    tried = [HttpGet(port, path) for path in METRICS_PATHS for port in running.ports]
    evidence = []
    for probe in known or tried:
        call, reply = get(running, probe)
        if reply.status == 200 and read_samples(reply.body.decode(errors="replace")):
            return _counting(running, probe, call, reply)
        evidence.append(seen(call, reply))
    return judged("metrics", False, evidence)


def _counting(running: RunningServer, probe: HttpGet, call: ProbeRequest, reply: ProbeReply) -> CapabilityCell:
    before = read_samples(reply.body.decode(errors="replace"))
    for body in running.artifact.bodies()[:PREDICTIONS]:
        running.predict(body)
    deadline = time.monotonic() + REFRESH_S
    while True:
        _, reply = get(running, probe)
        after = read_samples(reply.body.decode(errors="replace"))
        rose = [name for name, value in after.items() if value - before.get(name, 0.0) == PREDICTIONS]
        if rose or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    counted = finding(
        SetupCode.COUNTING_SERIES, request=str(call), predictions=PREDICTIONS, series=len(after), rose=rose[:3]
    )
    notes = [] if rose else [finding(SetupCode.NO_SERIES_COUNTS)]
    return judged("metrics", True, observations=[counted], notes=notes)


def read_samples(page: str) -> dict[str, float]:
    """Read a page of Prometheus' text format 0.0.4.

    Returns:
        Value by series (name with labels); empty where the page is something else.
    """
    samples: dict[str, float] = {}
    for line in page.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        series, _, rest = line.rpartition("}") if "}" in line else line.partition(" ")
        series = f"{series}}}" if "}" in line else series
        try:
            samples[series.strip()] = float(rest.split()[0])
        except (ValueError, IndexError):
            return {}
    return samples


def _parsed(reply: ProbeReply) -> object:
    try:
        return json.loads(reply.body)
    except ValueError:
        return reply.body.decode(errors="replace")


def _said(answer: Answer) -> str:
    return answer.fault or f"{answer.status}: {excerpt(answer.body)}"
