"""A prediction server that behaves as it is told: obedient_server.py PORT ARTIFACT MODE.

It knows the answers to all inputs of the artifact by heart. Modes: good; never-ready; dies (before it listens); wrong;
stubborn (ignores SIGTERM and starts a child that does too); mortal:FILE (good when started first, which makes FILE;
started again it ends after 10 predictions); aborts:WHAT (good, refuses bad input, and is ended by SIGABRT by a request
that is WHAT, of `LETHAL`); sulks:WHAT (the same, but lives on and predicts no more); halting (good, but at first every
second answer is a 503, as if one of the two workers that its configuration names was still loading).
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

port, artifact = int(sys.argv[1]), Path(sys.argv[2])
mode, _, marker = sys.argv[3].partition(":")
doomed = mode == "mortal" and Path(marker).exists()
if mode == "mortal":
    Path(marker).touch()
ARRAYS = ("inputs/image.npy", "outputs/probabilities.npy")
examples = [[np.load(artifact / folder / array) for array in ARRAYS] for folder in ("golden", "load", "fresh")]
LETHAL: dict[str, Callable[[str, Message, bytes], bool]] = {
    "misshapen": lambda path, headers, body: body.count(b",") == 2,
    "text": lambda path, headers, body: b'"x"' in body,
    "gzip": lambda path, headers, body: headers["Content-Encoding"] == "gzip",
    "base64": lambda path, headers, body: b'"b64"' in body,
    "npy": lambda path, headers, body: body.startswith(b"\x93NUMPY"),
    "a look at /config": lambda path, headers, body: path == "/config",
}
known = {image.tobytes(): answer for pair in examples for image, answer in zip(*pair, strict=True)}
HALTS = 20
answered = asked = 0
sulking = False


class Handler(BaseHTTPRequestHandler):
    """Answers predictions, readiness and its configuration."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Readiness or configuration."""
        if self._halts():
            return
        if mode == "aborts" and LETHAL[marker](self.path, self.headers, b""):
            os.abort()
        if self.path == "/ready":
            self._answer(503 if mode == "never-ready" else 200, b"yes")
        else:
            threads = "2" if mode == "halting" else os.environ["THREADS"]
            self._answer(200, json.dumps({"threads": threads}).encode())

    def do_POST(self) -> None:
        """Look the answers up."""
        global answered
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self._halts():
            return
        if mode in ("aborts", "sulks"):
            self._answer_warily(content)
            return
        body = json.loads(content)
        images = np.array(body["instances"], dtype=np.float32)
        if mode == "never-ready":
            self._answer(503, b"{}")
            return
        answered += 1
        if doomed and answered > 10:
            os._exit(3)
        answers = [known[image.tobytes()] + (0.5 if mode == "wrong" else 0.0) for image in images]
        self._answer(200, json.dumps({"predictions": np.array(answers).tolist()}).encode())

    def _halts(self) -> bool:
        """Whether this request met the worker that was still loading, and was told so."""
        global asked
        asked += 1
        if mode == "halting" and asked < HALTS and asked % 2 == 0:
            self._answer(503, b'{"error": "loading"}')
            return True
        return False

    def _answer_warily(self, content: bytes) -> None:
        """Refuse what is no prediction, unless it is what this server does not survive."""
        global sulking
        if LETHAL[marker](self.path, self.headers, content):
            if mode == "aborts":
                os.abort()
            sulking = True
        if sulking:
            self._answer(503, b"{}")
            return
        try:
            images = np.array(json.loads(content)["instances"], dtype=np.float32)
            answers = [known[image.tobytes()].tolist() for image in images]
        except (ValueError, LookupError, TypeError):
            answers = []
        good = answers and self.path in ("/predict", "/predict/digits")
        self._answer(200 if good else 400, json.dumps({"predictions": answers}).encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


if mode == "dies":
    sys.exit("I was told to die")
if mode == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(300)"
    subprocess.Popen([sys.executable, "-c", child])
sys.stdout.write("obedient server listens\n")
sys.stdout.flush()
ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
