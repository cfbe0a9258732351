"""One cell of the capability table, and the evidence in it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

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
    """What was asked or done, and what came of it, both in words."""

    request: str
    answer: str


@dataclass(frozen=True)
class CapabilityCell:
    """Whether a server has a capability.

    Attributes:
        capability: Key of `CAPABILITIES`.
        supported: None where it could not be found out here.
        evidence: What shows it.
        setting: What it takes beyond how this project starts the server; a yes with a setting is a yes.
        note: Why it is not known, or what has to be said beside it.
        looked_up: Whether it is a fact that was looked up, and not tried out on the server that runs here.
    """

    capability: str
    supported: bool | None
    evidence: tuple[Exchange, ...] = ()
    setting: str = ""
    note: str = ""
    looked_up: bool = False


def ended(cell: CapabilityCell, fate: str) -> CapabilityCell:
    """The cell of a probe that the server did not survive: a no, whatever was found until then.

    Args:
        cell: What was found.
        fate: What became of the server, in words.
    """
    evidence = (*cell.evidence, Exchange("golden example 0 afterwards", fate))
    return replace(cell, supported=False, evidence=evidence, note="; ".join(filter(None, (fate, cell.note))))


def unknown(capability: str, why: object) -> CapabilityCell:
    """A cell that could not be filled here.

    Args:
        capability: Key of `CAPABILITIES`.
        why: The reason; of an exception the first line.
    """
    lines = str(why).splitlines() or [type(why).__name__]
    return CapabilityCell(capability, None, note=lines[0])


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


def in_order(cells: Iterable[CapabilityCell]) -> list[CapabilityCell]:
    """One cell for every capability, in the order of `CAPABILITIES`; the last one counts where there are several."""
    found = {cell.capability: cell for cell in cells}
    return [found.get(name, unknown(name, "not probed")) for name in CAPABILITIES]
