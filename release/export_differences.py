"""Compares every export of an artifact with its right answers: ``python -m release.export_differences FOLDER``.

It prints the largest difference of each as JSON. This is a process of its own, since it imports both frameworks, which
the release does not.
"""

import json
import signal
import sys
from pathlib import Path
from types import FrameType

from models import export_parity
from models.artifact_manifest import check_files, read
from models.errors import ModelsError
from models.framework_messages import silence_framework_messages


def main() -> None:
    """Print them, or what is wrong in a line."""
    signal.signal(signal.SIGTERM, _terminate)
    silence_framework_messages()
    folder = Path(sys.argv[1])
    try:
        manifest = read(folder)
        check_files(folder, manifest)
        differences = export_parity.check(folder, manifest)
    except (ModelsError, OSError) as error:
        sys.exit(f"error: {error}")
    sys.stdout.write(f"{json.dumps({name: float(worst) for name, worst in differences.items()})}\n")


def _terminate(signum: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + signum)  # unwinds the stack, so that what was unpacked is removed


if __name__ == "__main__":
    main()
