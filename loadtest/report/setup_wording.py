"""How ease of setup is told: the sentence of every finding, and the answer of a cell with what belongs to it.

The terminal, report.md and the page take their words from here.
"""

from collections.abc import Callable, Iterator, Mapping

from loadtest.setup.probes.capability import CapabilityCell
from loadtest.setup.server_setup import ServerSetup
from loadtest.setup.setup_finding import FindingValue, SetupCode, SetupFinding

WORDS = {True: "yes", False: "no", None: "?"}
MARK = "(stand-in)"
DOCUMENTED = "docs/setup-effort.md"

Values = Mapping[str, FindingValue]


def _listed(value: FindingValue | None, between: str = ", ") -> str:
    return between.join(map(str, value)) if isinstance(value, list) else str(value or "")


def _killed(values: Values) -> str:
    return f"{_listed(values.get('requests')) or 'it'} killed the server ({values['ending']})"


def _stopped_answering(values: Values) -> str:
    after = f" after: {_listed(values['requests'])}" if values.get("requests") else ""
    return f"the server stopped answering correctly ({values['answer']}){after}"


NOTES: Mapping[SetupCode, str | Callable[[Values], str]] = {
    SetupCode.AS_WORDED: "{text}",
    SetupCode.NOT_PROBED: "not probed",
    SetupCode.NOT_IN_QUICK_FORM: "not tried in the short form",
    SetupCode.PROBE_FAILED: "{error}",
    SetupCode.LOOKED_UP: "looked up, not probed",
    SetupCode.NEITHER_ANSWERED_NOR_REFUSED: "the server neither answered nor refused",
    SetupCode.NO_BATCHING_SETTING: "no setting for it: each request is a forward pass of its own",
    SetupCode.NO_BATCH_COUNTED: "no batch was counted",
    SetupCode.NO_VERSION_ADDRESS: "no address for a version",
    SetupCode.NEW_VERSION_TOO_LATE: "the new version did not serve before the load ended",
    SetupCode.NEW_VERSION_NOTICED: "it noticed the new version, but server.toml does not say how one sees it serve",
    SetupCode.NEW_VERSION_IGNORED: "it takes no notice: a new version is a new start",
    SetupCode.GRPC_WITHOUT_PREDICTION: "it speaks gRPC, but offers no prediction that is known here",
    SetupCode.BINARY_OVER: lambda values: f"over {_listed(values['ways'], ' and ')}",
    SetupCode.BAD_INPUT_ANSWERED: "{request}: {answer}",
    SetupCode.NOT_STARTED_AGAIN: "then it did not start again: {error}",
    SetupCode.NO_SERIES_COUNTS: "no series counts the predictions",
    SetupCode.READINESS_NOT_SEEN: "the moment at which it became ready was not seen",
    SetupCode.PROCESS_NOT_KNOWN: "its process is not known",
    SetupCode.ALL_ANSWERED_BEFORE_SIGNAL: "every answer had come before the signal",
    SetupCode.KILLED: _killed,
    SetupCode.STOPPED_ANSWERING: _stopped_answering,
    SetupCode.NO_DOCKER: "there is no docker on PATH",
    SetupCode.COMPOSE_NOT_READ: "docker compose cannot read the project's compose.yaml",
    SetupCode.NO_COMPOSE_SERVICE: "compose.yaml has no service {service}",
    SetupCode.IMAGE_NOT_HERE: "the image is not on this machine: docker compose pull, or docker compose build",
    SetupCode.INSTALLED_BEFORE: "{program} was installed already",
    SetupCode.EXPORTED_IN_THIS_ENVIRONMENT: "the export runs where its packages are installed already: they are the "
    "same for every server",
    SetupCode.BASE_IMAGES_PULLED_BEFORE: "base images were pulled already",
    SetupCode.LAYERS_NOT_PULLED_AGAIN: "layers that were on this machine already were not pulled again",
    SetupCode.EXPORTER_IMAGE_BUILT_BEFORE: "the exporter's image was built before: it is the same for every server",
}
"""The sentence of each note, a template over the values of the finding or a function of them."""


def _outcome(values: Values) -> str:
    errors = values["errors"] if isinstance(values["errors"], dict) else {}
    others = "".join(f", {count} {kind}" for kind, count in errors.items())
    return f"{values['answered']} of {values['sent']} answered right{others}"


def _batches(values: Values) -> tuple[str, str]:
    counter = "lines of its log" if values["counter"] == "log" else values["counter"]
    return (
        f"{values['connections']} connections, 1 instance in each request; counted by {counter}",
        f"{_outcome(values)}, in {values['batches']} batches",
    )


def _swap(values: Values) -> tuple[str, str]:
    return f"{values['rate']:g} requests a second before, meanwhile and after", _outcome(values)


def _shutdown(values: Values) -> tuple[str, str]:
    ending = values.get("ending")
    ended = f"the server ended with {ending}" if ending else f"still running {values['waited_s']:g} s later"
    return (
        f"{values['sent']} predictions of {values['instances']:,} instances each, SIGTERM {values['signal_s']:.2f} s "
        "after they were sent",
        f"{_outcome(values)}; {ended}",
    )


def _when_ready(values: Values) -> tuple[str, str]:
    wrong = f", {_listed(values['wrong'])}" if values["wrong"] else ""
    return (
        f"{values['request']}, and {values['sent']} predictions as soon as it says so",
        f"ready; {values['right']} of {values['sent']} right{wrong}",
    )


def _series(values: Values) -> tuple[str, str]:
    rose = _listed(values["rose"]) or "none"
    return (
        f"{values['request']} before and after {values['predictions']} predictions",
        f"{values['series']} series; rose by {values['predictions']}: {rose}",
    )


def _names(values: Values) -> tuple[str, str]:
    told = [f"{name!r} is there" for name in _texts(values["told"])]
    missing = [f"{name!r} is not there" for name in _texts(values["missing"])]
    return "looked for in these answers", ", ".join(told + missing)


def _texts(value: FindingValue) -> list[str]:
    return value if isinstance(value, list) else []


def _fact(values: Values) -> tuple[str, str]:
    return f"looked up on {values['date']}: {values['source']}", str(values["text"])


OBSERVATIONS: Mapping[SetupCode, Callable[[Values], tuple[str, str]]] = {
    SetupCode.BATCHES: _batches,
    SetupCode.SWAP_UNDER_LOAD: _swap,
    SetupCode.SHUTDOWN_UNDER_LOAD: _shutdown,
    SetupCode.PREDICTIONS_WHEN_READY: _when_ready,
    SetupCode.COUNTING_SERIES: _series,
    SetupCode.NAMES_TOLD: _names,
    SetupCode.LOOKED_UP_FACT: _fact,
    SetupCode.KILLED: lambda values: ("golden example 0 afterwards", _killed(values)),
    SetupCode.STOPPED_ANSWERING: lambda values: ("golden example 0 afterwards", _stopped_answering(values)),
}
"""What was done, and what came of it, for each finding that is evidence."""


def sentence_of(note: SetupFinding) -> str:
    """A note in words."""
    wording = NOTES[note.code]
    return wording.format_map(note.values) if isinstance(wording, str) else wording(note.values)


def evidence_of(cell: CapabilityCell) -> Iterator[tuple[str, str]]:
    """What a cell rests on: what was asked or done, and what came of it."""
    for exchange in cell.evidence:
        effect = f"; {sentence_of(exchange.effect_on_server)}" if exchange.effect_on_server else ""
        yield exchange.request, exchange.answer + effect
    for observation in cell.observations:
        yield OBSERVATIONS[observation.code](observation.values)


def qualification_of(cell: CapabilityCell) -> str:
    """What belongs to the answer of a cell: the setting that it takes, and its notes; empty where there is neither."""
    return "; ".join(filter(None, (cell.setting, *map(sentence_of, cell.notes))))


def mark_of(cell: CapabilityCell) -> str:
    """What is set behind the answer of a cell that is a stand-in's own; nothing for any other cell."""
    return MARK if cell.stand_in else ""


def answer_of(cell: CapabilityCell) -> str:
    """The answer of a cell with its mark, such as ``yes (stand-in)``."""
    return f"{WORDS[cell.supported]} {mark_of(cell)}".rstrip()


def stand_in_lines(servers: Mapping[str, ServerSetup]) -> list[str]:
    """What has to be said below the capability table: which column is that of a stand-in.

    Args:
        servers: What was found of each server, by its label.
    """
    return [
        f"{label} stands in for {real}: cells marked {MARK} are its own, the others were looked up for {real}; "
        f"what {real} itself showed stands in {DOCUMENTED}"
        for label, server in servers.items()
        if (real := server.stands_in_for)
    ]


def looked_up_of(server: ServerSetup, label: str) -> str:
    """Whose facts a server's are: nobody looks up a stand-in, so they are those of what it stands in for."""
    return server.stands_in_for or label
