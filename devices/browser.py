"""A page in headless Chromium that loads one export and answers, one task after the other.

The page (``in_browser/task_loop.mjs``) asks a small server of this process for its next task and brings the outcome.
A message is the length of a JSON text (4 bytes, little-endian), the text, and the tensors that it names, each from the
next multiple of eight bytes.
"""

import contextlib
import json
import os
import queue
import shutil
import signal
import struct
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from devices.errors import DevicesError
from loadtest.machine.ending import with_parent
from models.tensors import Tensors

HERE = Path(__file__).resolve().parent / "in_browser"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
TYPES = {".html": "text/html; charset=utf-8", ".mjs": "text/javascript", ".js": "text/javascript"}
TYPES |= {".wasm": "application/wasm"}
QUIET = (
    "--headless",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
)
# Without isolation the clock of a page ticks every 100 microseconds, with it every 5.
ISOLATED = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
ALIGNED = 8
PATIENCE_S = 300.0
"""What a task may take at most."""


class Page:
    """The page; `open_page` makes one."""

    def __init__(self, port: int, tasks: "queue.Queue[bytes]", outcomes: "queue.Queue[bytes]") -> None:
        self.port = port
        self._tasks, self._outcomes = tasks, outcomes

    def do(self, name: str, instances: Sequence[Tensors] = (), **words: Any) -> tuple[dict[str, Any], list[Tensors]]:
        """Give a task, wait for its outcome.

        Raises:
            DevicesError: The page refused it, with the runtime's words, or did not come back.
        """
        self._tasks.put(_packed({"name": name, **words}, instances))
        try:
            told, found = _unpacked(self._outcomes.get(timeout=PATIENCE_S))
        except queue.Empty:
            raise DevicesError(f"the browser did not answer within {PATIENCE_S:g} s") from None
        if "refused" in told:
            raise DevicesError(str(told["refused"]))
        return told, found


def program() -> str:
    """The browser of this machine.

    Raises:
        DevicesError: There is none, or the runtimes for it are not installed.
    """
    found = next((path for name in PROGRAMS if (path := shutil.which(name))), None)
    if found is None:
        raise DevicesError("no browser: install Chromium (Debian: apt-get install chromium)")
    if not (HERE / "node_modules").is_dir():
        raise DevicesError("the runtimes for browsers are not installed: scripts/devices fetches them where npm is")
    return found


@contextlib.contextmanager
def open_page(export: Path) -> Iterator[Page]:
    """Open the page in a browser of its own, which ends with this.

    Args:
        export: The file that it may load.

    Raises:
        DevicesError: There is no browser, or the runtimes for it are not installed.
    """
    chromium = program()
    tasks, outcomes = queue.Queue[bytes](), queue.Queue[bytes]()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(export, tasks, outcomes))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as profile:
        words = [chromium, *QUIET, f"--user-data-dir={profile}", f"http://127.0.0.1:{server.server_port}/page.html"]
        if os.geteuid() == 0:
            words.insert(1, "--no-sandbox")  # Chromium refuses its sandbox to root
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=with_parent(signal.SIGKILL),  # this process may be killed with no time to end it
        )
        try:
            yield Page(server.server_port, tasks, outcomes)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its helpers too
            process.wait()
            tasks.put(b"")  # to whom waits for it
            server.shutdown()
            server.server_close()


def _handler(export: Path, tasks: "queue.Queue[bytes]", outcomes: "queue.Queue[bytes]") -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # head and body are two writes, and the second would wait 40 ms for an answer

        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):  # the browser was ended
                super().handle()

        def do_GET(self) -> None:  # the name that http.server calls
            path = self.path.split("?")[0]
            if path == "/task":
                self._send(tasks.get())
            elif path == "/export":
                self._send(export.read_bytes())
            else:
                self._send_file(path)

        def do_POST(self) -> None:  # the name that http.server calls
            outcomes.put(self.rfile.read(int(self.headers["Content-Length"])))
            self._send(b"")

        def _send_file(self, path: str) -> None:
            file = (HERE / path.lstrip("/")).resolve()
            if file.is_relative_to(HERE) and file.is_file():
                self._send(file.read_bytes(), TYPES.get(file.suffix, "application/octet-stream"))
            else:
                self.send_error(HTTPStatus.NOT_FOUND)

        def _send(self, body: bytes, media_type: str = "application/octet-stream") -> None:
            self.send_response(HTTPStatus.OK)
            headers = {"Content-Type": media_type, "Content-Length": str(len(body)), "Cache-Control": "no-store"}
            for name, value in (headers | ISOLATED).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # http.server's name
            """Nothing: requests are part of the measurement."""

    return Handler


def _packed(told: dict[str, Any], instances: Sequence[Tensors]) -> bytes:
    described = [
        [{"name": name, "dtype": str(array.dtype), "shape": list(array.shape)} for name, array in one.items()]
        for one in instances
    ]
    text = json.dumps({**told, "instances": described}).encode()
    message = bytearray(struct.pack("<I", len(text)) + text)
    for array in (array for one in instances for array in one.values()):
        message += b"\0" * (-len(message) % ALIGNED)
        message += np.ascontiguousarray(array).tobytes()
    return bytes(message)


def _unpacked(message: bytes) -> tuple[dict[str, Any], list[Tensors]]:
    (length,) = struct.unpack_from("<I", message)
    told: dict[str, Any] = json.loads(message[4 : 4 + length])
    at, found = 4 + length, list[Tensors]()
    for described in told.pop("instances"):
        one = {}
        for tensor in described:
            at += -at % ALIGNED
            size = int(np.prod(tensor["shape"]))
            array = np.frombuffer(message, tensor["dtype"], size, at)
            one[tensor["name"]] = array.reshape(tensor["shape"])
            at += array.nbytes
        found.append(one)
    return told, found
