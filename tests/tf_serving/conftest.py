"""Two servers that most tests share, and a way to start one of their own."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from tensorflow_serving.apis import prediction_service_pb2_grpc

from loadtest.servers.artifact import Artifact
from tests.tf_serving import saved_models
from tests.tf_serving.process import ServerProcess

Start = Callable[..., ServerProcess]

MONITORING = 'prometheus_config { enable: true path: "/metrics" }'

BATCHING = """
max_batch_size { value: 4 }
batch_timeout_micros { value: 500000 }
max_enqueued_batches { value: 2 }
num_batch_threads { value: 1 }
allowed_batch_sizes: 2
allowed_batch_sizes: 4
"""


def model_config(name: str, base: Path, more: str = "") -> str:
    """One entry of a model config list."""
    return f'config {{ name: "{name}" base_path: "{base}" model_platform: "tensorflow" {more} }}\n'


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one base path per model; read only."""
    root = tmp_path_factory.mktemp("models")
    saved_models.scale(root / "scale", 1, 10.0)
    saved_models.scale(root / "scale", 2, 20.0)
    saved_models.scale(root / "scale", 3, 30.0)
    saved_models.named(root / "named")
    saved_models.text(root / "text")
    saved_models.numbers(root / "numbers")
    saved_models.batch(root / "batch")
    saved_models.gate(root / "gate")
    saved_models.sequence(root / "sequence")
    return root


@pytest.fixture(scope="session")
def server(models: Path, artifact: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server for all models and `digits`, `scale` in versions 1 and 3 with labels, without batching."""
    folder = tmp_path_factory.mktemp("server")
    policy = "model_version_policy { specific { versions: 1 versions: 3 } }"
    labels = 'version_labels { key: "stable" value: 1 } version_labels { key: "canary" value: 3 }'
    names = ("named", "text", "numbers", "batch", "gate", "sequence")
    entries = [model_config("scale", models / "scale", policy + labels)]
    entries += [model_config(name, models / name) for name in names]
    entries.append(model_config("digits", artifact.folder / "saved_model"))
    (folder / "models.config").write_text(f"model_config_list {{ {''.join(entries)} }}")
    (folder / "monitoring.config").write_text(MONITORING)
    running = ServerProcess(
        folder / "log",
        f"--model_config_file={folder / 'models.config'}",
        f"--monitoring_config_file={folder / 'monitoring.config'}",
        "--allow_version_labels_for_unavailable_models=true",
        "--rest_api_timeout_in_ms=2000",
        "--grpc_max_threads=2",
        "--tensorflow_inter_op_parallelism=8",  # a forward pass that waits takes one of these
    )
    try:
        running.wait("scale", 3)
        yield running
    finally:
        running.kill()


@pytest.fixture(scope="session")
def channel(server: ServerProcess) -> Iterator[grpc.Channel]:
    """A connection to the shared server."""
    with grpc.insecure_channel(server.target) as channel:
        yield channel


@pytest.fixture(scope="session")
def prediction(channel: grpc.Channel) -> Any:
    """The PredictionService stub."""
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="session")
def batching_server(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that batches up to four rows, waits long for them, and has one batch thread."""
    folder = tmp_path_factory.mktemp("batching")
    entries = [model_config(name, models / name) for name in ("batch", "gate", "scale", "numbers", "sequence")]
    (folder / "models.config").write_text(f"model_config_list {{ {''.join(entries)} }}")
    (folder / "batching.config").write_text(BATCHING)
    (folder / "monitoring.config").write_text(MONITORING)
    running = ServerProcess(
        folder / "log",
        f"--model_config_file={folder / 'models.config'}",
        f"--monitoring_config_file={folder / 'monitoring.config'}",
        "--enable_batching",
        f"--batching_parameters_file={folder / 'batching.config'}",
        "--rest_api_num_threads=16",
        "--tensorflow_inter_op_parallelism=8",
    )
    try:
        running.wait("batch")
        yield running
    finally:
        running.kill()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts servers that end with the test."""
    running: list[ServerProcess] = []

    def begin(*flags: str) -> ServerProcess:
        running.append(ServerProcess(tmp_path / f"log-{len(running)}", *flags))
        return running[-1]

    yield begin
    for process in running:
        process.kill()
