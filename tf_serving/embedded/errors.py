"""Canonical status codes, and the one exception that carries them to either wire."""

import enum


class Code(enum.IntEnum):
    """The status codes shared by gRPC and TensorFlow (google/rpc/code.proto)."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


# What the REST API of TensorFlow Serving answers for each code; a code that is not here is a 500.
HTTP_STATUS = {
    Code.OK: 200,
    Code.CANCELLED: 499,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.UNAVAILABLE: 503,
    Code.UNAUTHENTICATED: 401,
}


class ServingError(Exception):
    """A request, a load or a start that failed.

    Attributes:
        code: The canonical status code.
        message: What the client is told; the text TensorFlow Serving uses where clients may match on it.
        lasting: Whether it would be the same the next time, so that a load is not tried again.
    """

    def __init__(self, code: Code, message: str, *, lasting: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.lasting = lasting

    @property
    def http_status(self) -> int:
        """The HTTP status for this code."""
        return HTTP_STATUS.get(self.code, 500)

    def __str__(self) -> str:
        return f"{self.code.name}: {self.message}"


def invalid_argument(message: str) -> ServingError:
    """Return the error for a request that is itself wrong, the most common case."""
    return ServingError(Code.INVALID_ARGUMENT, message)
