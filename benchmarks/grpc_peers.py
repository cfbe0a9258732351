"""The gRPC package's own server and clients, for benchmarks/grpc_client.py, each in a process of its own.

`python benchmarks/grpc_peers.py serve PORT FILE` answers every call with the bytes of FILE. `… aio URL …` and
`… futures URL …` call in a closed loop with grpcio's asyncio and its callback API, compare every answer with the
expected bytes, where there are any, and print calls, seconds and CPU seconds as JSON.
"""

import argparse
import asyncio
import json
import os
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import uvloop


class Tally:
    """What a client did, once it is warm.

    Args:
        expected: The right answer, or nothing to check only that there is one.
        warmup: Seconds of calls that are not counted.
        duration: Seconds of calls that are.
    """

    def __init__(self, expected: bytes, warmup: float, duration: float) -> None:
        self._expected, self._warmup, self._duration = expected, warmup, duration
        self._calls = self._wrong = 0
        self._cpu = self._end = 0.0

    def start(self) -> None:
        """Begin with the warm-up."""
        self._begin = time.monotonic() + self._warmup

    def take(self, answer: bytes) -> bool:
        """Count an answer; whether to call again."""
        now = time.monotonic()
        if not self._end and now >= self._begin:
            self._begin, self._end, self._cpu = now, now + self._duration, sum(os.times()[:2])
            self._calls = 0
        self._calls += 1
        if self._expected and answer != self._expected:
            self._wrong += 1
        return not self._end or now < self._end

    def report(self) -> None:
        """Print the figures."""
        cpu, seconds = sum(os.times()[:2]) - self._cpu, time.monotonic() - self._begin
        figures = {"calls": self._calls, "wrong": self._wrong, "seconds": seconds, "cpu": cpu}
        print(json.dumps(figures))  # noqa: T201 - how the benchmark learns it


async def serve(port: int, answer: bytes) -> None:
    """Answer every call with the same bytes, by grpcio's asyncio server."""

    async def handle(request: bytes, context: Any) -> bytes:
        return answer

    class Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]  # the package grpc ships no types
        def service(self, handler_call_details: Any) -> Any:
            return grpc.unary_unary_rpc_method_handler(handle)

    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Handlers(),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


def channels(module: Any, address: str, number: int) -> list[Any]:
    """Channels with a connection each; without the option they would all share one."""
    return [module.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) for _ in range(number)]


async def call_with_asyncio(arguments: argparse.Namespace, tally: Tally) -> None:
    """Keep so many calls in flight, with a coroutine for each."""
    url = urlsplit(arguments.url)
    opened = channels(grpc.aio, url.netloc, arguments.connections)
    methods = [channel.unary_unary(url.path) for channel in opened]
    request = arguments.request.read_bytes()

    async def loop(number: int) -> None:
        method = methods[number % len(methods)]
        while tally.take(await method(request)):
            pass

    await asyncio.gather(*(channel.channel_ready() for channel in opened))
    tally.start()
    await asyncio.gather(*(loop(number) for number in range(arguments.calls)))
    tally.report()


def call_with_futures(arguments: argparse.Namespace, tally: Tally) -> None:
    """Keep so many calls in flight, each begun by the callback of the one before."""
    url = urlsplit(arguments.url)
    opened = channels(grpc, url.netloc, arguments.connections)
    methods = [channel.unary_unary(url.path) for channel in opened]
    request = arguments.request.read_bytes()
    ended = threading.Semaphore(0)

    def begin(number: int) -> None:
        methods[number % len(methods)].future(request).add_done_callback(lambda call: done(number, call))

    def done(number: int, call: Any) -> None:
        if tally.take(call.result()):
            begin(number)
        else:
            ended.release()

    for channel in opened:
        grpc.channel_ready_future(channel).result(10)
    tally.start()
    for number in range(arguments.calls):
        begin(number)
    for _ in range(arguments.calls):
        ended.acquire()
    tally.report()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    roles = parser.add_subparsers(dest="role", required=True)
    server = roles.add_parser("serve")
    server.add_argument("port", type=int)
    server.add_argument("answer", type=Path)
    for name in ("aio", "futures"):
        client = roles.add_parser(name)
        client.add_argument("url", help="grpc://host:port/package.Service/Method")
        client.add_argument("request", type=Path, help="file with the request message")
        client.add_argument("--expect", type=Path, help="file with the right answer")
        client.add_argument("--calls", type=int, default=16, help="calls in flight")
        client.add_argument("--connections", type=int, default=16)
        client.add_argument("--warmup", type=float, default=0.5, help="seconds of calls that are not counted")
        client.add_argument("--duration", type=float, default=5.0, help="seconds")
    arguments = parser.parse_args()
    if arguments.role == "serve":
        uvloop.run(serve(arguments.port, arguments.answer.read_bytes()))
        return
    expected = arguments.expect.read_bytes() if arguments.expect else b""
    tally = Tally(expected, arguments.warmup, arguments.duration)
    if arguments.role == "aio":
        uvloop.run(call_with_asyncio(arguments, tally))
    else:
        call_with_futures(arguments, tally)


if __name__ == "__main__":
    main()
