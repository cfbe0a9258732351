"""One cell of the capability table, and the evidence in it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from loadtest.setup.setup_finding import SetupCode, SetupFinding, finding

CAPABILITIES = {
    "rest": "REST",
    "grpc": "gRPC",
    "binary_tensors": "binary tensors",
    "gzip_request": "gzip, request",
    "gzip_response": "gzip, answer",
    "batching": "dynamic batching",
    "versions": "several versions at once",
    "hot_swap": "new version without a lost request",
    "health": "health address",
    "readiness": "readiness that can be trusted",
    "metrics": "Prometheus metrics",
    "metadata": "model name and version",
    "signature": "inputs and outputs described",
    "bad_input": "bad input answered 4xx",
    "graceful_shutdown": "SIGTERM loses no request",
    "auth": "asks for credentials by default",
    "arm64": "arm64",
}
"""Every capability with its name in tables, in their order."""

EXCERPT = 160


@dataclass(frozen=True)
class Exchange:
    """A request and its answer, in the words of the wire.

    Attributes:
        request: What was asked or done.
        answer: What came of it; of a long answer the beginning.
        effect_on_server: What the request did to the server; None where it lived on and predicted.
    """

    request: str
    answer: str
    effect_on_server: SetupFinding | None = None


@dataclass(frozen=True)
class CapabilityCell:
    """Whether a server has a capability.

    Attributes:
        capability: Key of `CAPABILITIES`.
        title: Its name in tables.
        supported: None where it could not be found out here.
        stand_in: Whether it was tried out on a stand-in, and so says nothing of what that stands in for.
        setting: What it takes beyond how this project starts the server; a yes with a setting is a yes.
        notes: Why it is not known, or what has to be said beside it.
        evidence: Requests and answers that show it.
        observations: What was counted, likewise.

    Raises:
        ValueError: If a yes or no has no evidence, or a cell that is not known no reason.
    """

    capability: str
    title: str
    supported: bool | None
    stand_in: bool = False
    setting: str = ""
    notes: tuple[SetupFinding, ...] = ()
    evidence: tuple[Exchange, ...] = ()
    observations: tuple[SetupFinding, ...] = ()

    def __post_init__(self) -> None:
        if self.supported is None and not self.notes:
            raise ValueError(f"the capability {self.capability} is not known, and no note says why")
        if self.supported is not None and not (self.evidence or self.observations):
            raise ValueError(f"the capability {self.capability} has no evidence")

    @property
    def looked_up(self) -> bool:
        """Whether it is a fact that was looked up, and not tried out on the server that runs here."""
        return any(note.code is SetupCode.LOOKED_UP for note in self.notes)


def judged(
    capability: str,
    supported: bool | None,
    evidence: Sequence[Exchange] = (),
    *,
    observations: Sequence[SetupFinding] = (),
    setting: str = "",
    notes: Sequence[SetupFinding] = (),
) -> CapabilityCell:
    """The cell of a probe; see `CapabilityCell`."""
    return CapabilityCell(
        capability,
        CAPABILITIES[capability],
        supported,
        setting=setting,
        notes=tuple(notes),
        evidence=tuple(evidence),
        observations=tuple(observations),
    )


def not_survived(cell: CapabilityCell, effects: Sequence[SetupFinding]) -> CapabilityCell:
    """The cell of a probe that the server did not survive: a no, whatever was found until then.

    Args:
        cell: What was found.
        effects: What became of the server; at least one.
    """
    observations = (*cell.observations, *effects)
    return replace(cell, supported=False, observations=observations, notes=(*effects, *cell.notes))


def unknown(capability: str, *why: SetupFinding) -> CapabilityCell:
    """A cell that could not be filled here.

    Args:
        capability: Key of `CAPABILITIES`.
        why: The reasons.
    """
    return judged(capability, None, notes=why)


def failed(capability: str, error: Exception) -> CapabilityCell:
    """The cell of a probe that could not be carried out; of the error's text the first line is kept."""
    lines = str(error).splitlines() or [type(error).__name__]
    return unknown(capability, finding(SetupCode.PROBE_FAILED, error=lines[0]))


def excerpt(body: bytes | str, limit: int = EXCERPT) -> str:
    """The beginning of an answer on one line; bytes that are no text are only counted."""
    if isinstance(body, bytes):
        try:
            body = body.decode()
        except UnicodeDecodeError:
            return f"<{len(body)} bytes>"
    text = " ".join(body.split())
    if not text.isprintable():
        return f"<{len(text)} characters>"
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def in_order(cells: Iterable[CapabilityCell]) -> tuple[CapabilityCell, ...]:
    """One cell for every capability, in the order of `CAPABILITIES`; the last one counts where there are several."""
    last = {cell.capability: cell for cell in cells}
    return tuple(last.get(name) or unknown(name, finding(SetupCode.NOT_PROBED)) for name in CAPABILITIES)
