"""What a wire format is: how inputs become a request, and what the answer to it says."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from loadtest.servers.artifact import TENSORS
from loadtest.servers.examples import Examples, Tensors
from loadtest.servers.expectation import Golden


@dataclass(frozen=True)
class Message:
    """A request, without what its transport adds.

    Attributes:
        body: Body of an HTTP request, or message of a gRPC call.
        headers: Header fields of this request, names in lower case.
    """

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class WireFormat(Protocol):
    """How a model is asked, and how it answers."""

    def request(self, inputs: Tensors) -> Message:
        """Encode a request for a batch: arrays (instances, *shape) by the names of the inputs."""

    def difference(self, golden: Golden, payload: int, body: bytes) -> float:
        """Largest difference of an answer from the right predictions for a payload; infinite where a shape differs.

        Raises:
            ValueError: If it is no answer in this format.
        """


@dataclass(frozen=True)
class Wire:
    """A wire format as modules of `loadtest.wire.formats` declare it.

    Attributes:
        description: What travels, in a few words.
        format: Makes the format from the name of the model and the path of the prediction.
        scheme: Of its addresses: ``http`` or ``grpc``.
        takes: Whether a model can be asked in it, by the inputs as its manifest describes them.
        carries: What stands for the inputs in a request: ``tensors``, or encoded pictures of a format, such as ``png``.
        most: Instances in one request at most; None for as many as the model takes.
    """

    description: str
    format: Callable[[str, str], WireFormat]
    scheme: str = "http"
    takes: Callable[[Sequence[Mapping[str, Any]]], bool] = lambda inputs: True
    carries: str = TENSORS
    most: int | None = None

    @property
    def pictures(self) -> bool:
        """Whether it carries encoded pictures."""
        return self.carries != TENSORS


@dataclass(frozen=True)
class GoldenAnswers:
    """The predictions in an answer must equal the right ones within the tolerance.

    Attributes:
        format: How to read the answer.
        golden: The right predictions for each payload.
    """

    format: WireFormat
    golden: Golden
    name: str = "golden"

    def matches(self, payload: int, body: bytes) -> bool:
        """Compare with the golden predictions of this payload."""
        return self.difference(payload, body) <= self.golden.tolerance

    def difference(self, payload: int, body: bytes) -> float:
        """Largest absolute difference; infinite where the body is no answer of the right shape."""
        try:
            return self.format.difference(self.golden, payload, body)
        except ValueError:
            return float("inf")


def request_messages(form: WireFormat, examples: Examples, batch: int = 1) -> list[Message]:
    """Requests that together hold every input once, one for each of `Examples.batches`."""
    return [form.request(examples.request(rows)) for rows in examples.batches(batch)]


def golden_requests(form: WireFormat, examples: Examples, batch: int = 1) -> tuple[Sequence[Message], GoldenAnswers]:
    """The same with the check of their answers."""
    return request_messages(form, examples, batch), GoldenAnswers(form, examples.expectation(batch))
