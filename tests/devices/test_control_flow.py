"""A model whose control flow depends on data, on the roads to devices; in a file that runs beside the others."""

import shutil
from pathlib import Path

import pytest

from loadtest.servers.artifact import Artifact
from tests.models.conftest import run


@pytest.mark.devices
@pytest.mark.slow
@pytest.mark.usefixtures("exporters")
def test_it_is_a_row_with_a_reason(artifact: Artifact, tmp_path: Path) -> None:
    """torch.export refuses the network that stops when it is sure; TensorFlow's graph of it converts."""
    folder = artifact.folder.parents[1] / "adaptive"
    if not folder.exists():
        pytest.skip("adaptive is not built: python -m models build adaptive")
    shutil.copytree(folder, tmp_path / "adaptive")
    done = run(tmp_path, "devices", "adaptive", "--exports", "onnx,litert_tf")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    reasons = [line for line in done.stdout.splitlines() if line.startswith("- ")]
    (reason,) = [line for line in reasons if "in the browser" not in line]
    assert reason.startswith("- ONNX: ")
