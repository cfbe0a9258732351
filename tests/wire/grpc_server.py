"""A real gRPC server, of the package grpcio, in a process of its own: `python grpc_server.py OPTIONS`.

OPTIONS is a JSON object: ``port``, ``tls`` and ``arguments`` of the server. It prints its port. SIGTERM ends it in
order, with a GOAWAY on each connection.
"""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

CERTIFICATE = Path(__file__).with_name("localhost.pem")
RIGHT, WRONG = b"the right answer", b"the wrong answer"
numbers = itertools.count(1)


def right(request: bytes, context: grpc.ServicerContext) -> bytes:
    """The right answer."""
    return RIGHT


def echo(request: bytes, context: grpc.ServicerContext) -> bytes:
    """The request."""
    return request


def sometimes_wrong(request: bytes, context: grpc.ServicerContext) -> bytes:
    """Each third answer is wrong."""
    return RIGHT if next(numbers) % 3 else WRONG


def mortal(request: bytes, context: grpc.ServicerContext) -> bytes:
    """The right answer, until the hundredth call kills the server."""
    if next(numbers) >= 100:
        os._exit(1)
    return RIGHT


def status(request: bytes, context: grpc.ServicerContext) -> bytes:
    """The status whose number is the request."""
    code = next(code for code in grpc.StatusCode if code.value[0] == int(request))
    context.abort(code, "käse: 100%")
    return WRONG  # not reached: abort raises


def never(request: bytes, context: grpc.ServicerContext) -> bytes:
    """No answer before the client has given up."""
    gone = threading.Event()
    if context.add_callback(gone.set):
        gone.wait(60)
    return RIGHT


def token(request: bytes, context: grpc.ServicerContext) -> bytes:
    """A field of the metadata."""
    return str(dict(context.invocation_metadata()).get("x-token")).encode()


def credentials(request: bytes, context: grpc.ServicerContext) -> bytes:
    """Who the client says it is."""
    return str(dict(context.invocation_metadata()).get("authorization")).encode()


METHODS = {
    "Right": right,
    "Echo": echo,
    "SometimesWrong": sometimes_wrong,
    "Mortal": mortal,
    "Status": status,
    "Never": never,
    "Token": token,
    "Credentials": credentials,
}


class Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]  # the package grpc ships no types
    """The methods above, with bytes for messages."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """Find a method by its name."""
        method = METHODS.get(handler_call_details.method.removeprefix("/test.Service/"))
        return grpc.unary_unary_rpc_method_handler(method) if method else None


def main(options: dict[str, Any]) -> None:
    """Serve until SIGTERM."""
    arguments = {"grpc.max_receive_message_length": -1, "grpc.so_reuseport": 0, **options.get("arguments", {})}
    server = grpc.server(ThreadPoolExecutor(16), [Handlers()], options=list(arguments.items()))
    address = f"127.0.0.1:{options.get('port', 0)}"
    if options.get("tls"):
        pem = CERTIFICATE.read_bytes()
        port = server.add_secure_port(address, grpc.ssl_server_credentials([(pem, pem)]))
    else:
        port = server.add_insecure_port(address)
    server.start()
    asked = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, place: asked.set())
    print(port, flush=True)  # noqa: T201 - how the test learns it
    asked.wait()
    server.stop(0.2).wait()


class RealServer:
    """The other end: a running server.

    Attributes:
        port: Its port.
        process: Its process.
    """

    def __init__(self, **options: Any) -> None:
        command = [sys.executable, __file__, json.dumps(options)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def url(self, method: str, scheme: str = "grpc") -> str:
        """Address of a method."""
        return f"{scheme}://127.0.0.1:{self.port}/test.Service/{method}"

    def end(self, number: int = signal.SIGKILL) -> None:
        """End the process, if it has not ended already."""
        self.process.send_signal(number)
        self.process.wait()


@contextlib.contextmanager
def serving(**options: Any) -> Iterator[RealServer]:
    """Run a server for as long as the context lasts."""
    server = RealServer(**options)
    try:
        yield server
    finally:
        server.end()
        assert server.process.stdout is not None
        server.process.stdout.close()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
