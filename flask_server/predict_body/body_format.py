"""What a form of a body is: how a request in it is read, and how the answer to that request is written."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .interface import Interface, Tensors

Headers = Callable[[str], str | None]
"""Finds a header of the request by its name, whatever its case; None where the request has none of that name."""


@dataclass(frozen=True)
class Answer:
    """A successful answer.

    Attributes:
        body: Its octets.
        content_type: What they are.
        headers: What else has to be told, by name.
    """

    body: bytes
    content_type: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BodyFormat:
    """One form of a body.

    Attributes:
        content_type: The Content-Type by which a request chooses it.
        read: (body, headers, interface) -> an array (n, *shape) for each input, all of the same n from 1 to
            `max_instances`, each value one that the model takes. Raises InvalidRequest where the body is anything else.
        write: (an array (n, *shape) for each output) -> the answer. Raises InvalidRequest where a number is not finite.
        magic: The first bytes of such a body, where they tell it from every other form.
    """

    content_type: str
    read: Callable[[Any, Headers, Interface], Tensors]
    write: Callable[[Tensors], Answer]
    magic: bytes | None = None
