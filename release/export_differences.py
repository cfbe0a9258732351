"""Compares every export of an artifact with its right answers: ``python -m release.export_differences FOLDER``.

It prints the largest difference of each as JSON. This is a process of its own, since it imports both frameworks, which
the release does not.
"""

import json
import sys
from pathlib import Path

from models import export_parity
from models.artifact_manifest import check_files, read
from models.errors import ModelsError
from models.framework_messages import silence_framework_messages
from models.unwinding import unwind_on_sigterm


def main() -> None:
    """Print them, or what is wrong in a line."""
    unwind_on_sigterm()  # so that what was unpacked is removed
    silence_framework_messages()
    folder = Path(sys.argv[1])
    try:
        manifest = read(folder)
        check_files(folder, manifest)
        differences = export_parity.check(folder, manifest)
    except (ModelsError, OSError) as error:
        sys.exit(f"error: {error}")
    sys.stdout.write(f"{json.dumps({name: float(worst) for name, worst in differences.items()})}\n")


if __name__ == "__main__":
    main()
