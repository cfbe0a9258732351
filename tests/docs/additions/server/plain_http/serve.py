"""The artifact's PyTorch form behind the standard library's HTTP server."""

import argparse
import importlib.util
import json
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch


def load_model(folder: Path) -> Any:
    """The model of ``torch/`` in an artifact, by the loader that lies beside its weights."""
    spec = importlib.util.spec_from_file_location("artifact_load", folder / "load.py")
    assert spec is not None
    assert spec.loader is not None
    loader = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loader)
    return loader.load(folder)


class Server(ThreadingHTTPServer):
    """A model and the shape of one instance, for every connection's thread."""

    def __init__(self, address: tuple[str, int], artifact: Path) -> None:
        interface = json.loads((artifact / "torch" / "workload.json").read_text(encoding="utf-8"))
        (only,) = interface["inputs"]  # a server for models of one input, all floats
        self.shape = only["shape"]
        self.model = load_model(artifact / "torch")
        super().__init__(address, Handler)

    def predict(self, body: bytes) -> list[list[float]]:
        """Scores of each instance.

        Raises:
            ValueError: If the body holds no instances of the model's shape.
        """
        try:
            inputs = torch.tensor(json.loads(body)["instances"], dtype=torch.float32)
        except (KeyError, TypeError, RuntimeError) as error:
            raise ValueError(str(error)) from error
        if list(inputs.shape[1:]) != self.shape:
            raise ValueError(f"instances must have the shape {self.shape}")
        with torch.inference_mode():
            scores: list[list[float]] = self.model(inputs).tolist()
        return scores


class Handler(BaseHTTPRequestHandler):
    """``GET`` says that the server is ready, ``POST`` predicts."""

    server: Server
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body leave together

    def do_GET(self) -> None:
        """The model is loaded before the port is open."""
        self._answer(HTTPStatus.OK, {"status": "ready"})

    def do_POST(self) -> None:
        """Answer ``{"instances": [...]}`` with ``{"predictions": [...]}``."""
        try:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            self._answer(HTTPStatus.OK, {"predictions": self.server.predict(body)})
        except ValueError as error:
            self._answer(HTTPStatus.BAD_REQUEST, {"error": str(error)})

    def _answer(self, status: HTTPStatus, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name http.server asks for)
        """A line for each request would be measured too."""


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--artifact", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8100)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    Server((options.host, options.port), options.artifact).serve_forever()


if __name__ == "__main__":
    main()
