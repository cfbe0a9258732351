"""A prediction server that behaves as it is told: obedient_server.py PORT ARTIFACT MODE.

It knows the golden answers by heart. Modes: good; never-ready; dies (before it listens); wrong; stubborn (ignores
SIGTERM and starts a child that does too); mortal:FILE (good when started first, which makes FILE; started again it
ends after 10 predictions).
"""

import json
import os
import signal
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

port, artifact = int(sys.argv[1]), Path(sys.argv[2])
mode, _, marker = sys.argv[3].partition(":")
doomed = mode == "mortal" and Path(marker).exists()
if mode == "mortal":
    Path(marker).touch()
inputs = np.load(artifact / "golden" / "inputs.npy")
outputs = np.load(artifact / "golden" / "outputs.npy")
known = {image.tobytes(): answer for image, answer in zip(inputs, outputs, strict=True)}
answered = 0


class Handler(BaseHTTPRequestHandler):
    """Answers predictions, readiness and its configuration."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Readiness or configuration."""
        if self.path == "/ready":
            self._answer(503 if mode == "never-ready" else 200, b"yes")
        else:
            self._answer(200, json.dumps({"threads": os.environ["THREADS"]}).encode())

    def do_POST(self) -> None:
        """Look the answers up."""
        global answered
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        images = np.array(body["instances"], dtype=np.float32)
        if mode == "never-ready":
            self._answer(503, b"{}")
            return
        answered += 1
        if doomed and answered > 10:
            os._exit(3)
        answers = [known[image.tobytes()] + (0.5 if mode == "wrong" else 0.0) for image in images]
        self._answer(200, json.dumps({"predictions": np.array(answers).tolist()}).encode())

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
