import signal
from pathlib import Path

from loadtest.servers.artifact import Artifact
from tests.one_connection import ask_until_refused
from tests.tf_serving.conftest import Start


def test_sigterm_answers_every_request_that_was_taken(start: Start, artifact: Artifact, tmp_path: Path) -> None:
    """A client that asks without a pause gets an answer to each request, the last one with Connection: close."""
    server = start("--model_name=digits", f"--model_base_path={artifact.folder / 'saved_model'}")
    server.wait("digits")
    path = "/v1/models/digits:predict"
    stop = server.process.send_signal
    assert ask_until_refused("127.0.0.1", server.rest_port, path, artifact, lambda: stop(signal.SIGTERM))
    assert server.process.wait(timeout=60) == 0
