"""Putting the server together: load the models, open the ports, and close in order when told to stop."""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import uvicorn
import uvloop

from tf_serving.embedded import grpc_service, servable, warmup
from tf_serving.embedded.batch_scheduler import BatchScheduler
from tf_serving.embedded.config_files import read_batching, read_metrics_path, read_models
from tf_serving.embedded.core import Core
from tf_serving.embedded.errors import ServingError
from tf_serving.embedded.flags import Options
from tf_serving.embedded.http_app import HttpApp
from tf_serving.embedded.http_connection import HttpConnection
from tf_serving.embedded.manager import Loader, Manager
from tf_serving.embedded.memory import Budget
from tf_serving.embedded.metrics import Metrics
from tf_serving.embedded.rest import RestApi
from tf_serving.embedded.servable import Servable

log = logging.getLogger(__name__)

GRACE_SECONDS = 5  # for requests in flight when the server is told to stop
LINGER_SECONDS = 1  # for open connections to send their last request
KEEP_ALIVE_SECONDS = 3600


def run(options: Options, host: str, listener: socket.socket | None) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        options: The flags.
        host: Address to bind gRPC to.
        listener: The bound REST socket, or None for no REST API.

    Raises:
        ServingError: A file or a model cannot be loaded, or the gRPC port cannot be bound.
    """
    uvloop.run(_run(options, host, listener))


async def _run(options: Options, host: str, listener: socket.socket | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    metrics = Metrics()
    batching = read_batching(options)
    metrics_path = read_metrics_path(options)
    models = read_models(options)
    manager = Manager(
        _loader(options, metrics),
        poll_seconds=options.file_system_poll_wait_seconds,
        max_load_retries=options.max_num_load_retries,
        retry_interval=options.load_retry_interval_micros / 1e6,
        allow_labels_for_unavailable=options.allow_version_labels_for_unavailable_models,
    )
    # Like the real server: no port answers before the models of the first configuration serve.
    loading = asyncio.ensure_future(asyncio.to_thread(manager.wait_until_available, manager.configure(models)))
    await _first_of(loading, stop)
    if not stop.is_set():
        loading.result()
        if options.model_config_file and options.model_config_file_poll_wait_seconds > 0:
            threading.Thread(target=_follow_config, args=(options, manager, models), daemon=True).start()
        # What is loaded by now stays. Without this, the garbage collector would go through TensorFlow's many objects
        # again and again while requests wait.
        gc.collect()
        gc.freeze()
        scheduler = BatchScheduler(batching, metrics) if batching else None
        core = Core(manager, scheduler, metrics)
        await _serve(core, options, host, listener, metrics_path, stop)
    manager.close()
    log.info("stopped")


async def _serve(
    core: Core,
    options: Options,
    host: str,
    listener: socket.socket | None,
    metrics_path: str | None,
    stop: asyncio.Event,
) -> None:
    """Answer on both ports until `stop`, then let the requests in flight finish."""
    budget = Budget()
    grpc_server = grpc_service.start(core, options, host, budget)
    api = RestApi(core, options.rest_api_timeout_in_ms, metrics_path)
    app = HttpApp(api, options.rest_api_num_threads, budget)
    http_server = _HttpServer(
        uvicorn.Config(
            app,
            loop="uvloop",
            http=HttpConnection,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )
    if listener is None:
        await stop.wait()
    else:
        rest = asyncio.ensure_future(http_server.serve([listener]))
        log.info("REST on %s:%d", *listener.getsockname()[:2])
        await _first_of(rest, stop)
    log.info("stopping: no new requests, %d s for those in flight", GRACE_SECONDS)
    stopped = grpc_server.stop(GRACE_SECONDS)
    if listener is not None:
        if not rest.done():
            app.closing = True
            await http_server.drain()
        http_server.should_exit = True
        await rest  # raises if it ended early because another process listens on the port
    await asyncio.to_thread(stopped.wait)


async def _first_of(task: asyncio.Future[Any], stop: asyncio.Event) -> None:
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()


def _loader(options: Options, metrics: Metrics) -> Loader:
    how = servable.runtime(options)

    def load(name: str, version: int, path: str) -> Servable:
        loaded = servable.load(name, version, path, how)
        if options.enable_model_warmup:
            try:
                warmup.replay(loaded, metrics)
            except ServingError:
                loaded.close()
                raise
        return loaded

    return load


class _HttpServer(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to `_run`, which has more to stop than this."""
        yield

    async def drain(self) -> None:
        """Refuse new connections, and wait until the open ones are closed with an answer, or idle for long.

        Uvicorn itself closes connections between two requests at once, and a request on its way to one is lost.
        """
        for server in self.servers:
            server.close()
        deadline = time.monotonic() + LINGER_SECONDS
        while self.server_state.connections and time.monotonic() < deadline:
            await asyncio.sleep(0.02)


def _follow_config(options: Options, manager: Manager, current: object) -> None:
    """Take over every change of the model config file; a file that cannot be served changes nothing."""
    trouble = ""
    while True:
        time.sleep(options.model_config_file_poll_wait_seconds)
        try:
            found = read_models(options)
            if found != current:
                manager.configure(found)
                log.info("took over the change of %s", options.model_config_file)
                current = found
            trouble = ""
        except ServingError as error:
            if str(error) != trouble:
                trouble = str(error)
                log.error("%s not taken over: %s", options.model_config_file, error)
