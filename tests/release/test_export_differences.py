"""The comparison of the exports, as the release starts it."""

import os
import subprocess
import sys
from pathlib import Path

from loadtest.servers.artifact import ROOT, Artifact
from tests.release.conftest import until


def test_a_comparison_that_is_ended_leaves_nothing_behind(artifact: Artifact, tmp_path: Path) -> None:
    """The archive is unpacked for it, and a release that is interrupted ends it by SIGTERM."""
    process = subprocess.Popen(
        [sys.executable, "-m", "release.export_differences", str(artifact.folder)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
    )
    until(lambda: any(tmp_path.glob("tmp*/handler.py")))
    process.terminate()
    assert process.wait() == 128 + 15
    assert list(tmp_path.glob("tmp*")) == []
