"""The .mar for TorchServe: the PyTorch form and TorchServe's handler, packed by torch-model-archiver.

The one place in `models` that knows files of a server: an archive without its handler cannot be served.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from models import torch_export
from models.errors import ExportError

ROOT = Path(__file__).parent.parent
HANDLER_FILES = (ROOT / "torchserve" / "handler.py", ROOT / "flask_server" / "predict_body.py")
"""The handler, then the modules it imports."""

WORKER_PACKAGES = {"numpy", "safetensors", "torch", "ts", *sys.stdlib_module_names}
"""What a TorchServe worker can import from outside the archive."""


def write(name: str, version: int, form: Path, handler_files: tuple[Path, ...], folder: Path, scratch: Path) -> None:
    """Pack `form` and `handler_files`, flat, into `folder`/<name>.mar.

    Args:
        name: Model name that TorchServe serves it under.
        version: Model version that TorchServe reports.
        form: Folder written by `torch_export.write`.
        handler_files: The handler, then the modules it imports.
        folder: Model store, created.
        scratch: Directory for intermediate files, created.

    Raises:
        ExportError: A handler file is missing or imports what a worker will not find, or the archiver failed.
    """
    folder.mkdir(parents=True)
    flat = scratch / "flat"
    flat.mkdir(parents=True)
    for file in [*(form / part for part in torch_export.FILES), *existing(handler_files)]:
        shutil.copyfile(file, flat / file.name)
    _check_imports(flat)
    handler, *modules = (file.name for file in handler_files)
    # Names without a path, inside `flat`: the archiver splits paths at commas and colons and expands their brackets.
    extra = ["load.py", "workload.json", *modules]
    command = [sys.executable, "-m", "model_archiver.model_packaging"]
    command += ["--model-name", name, "--version", str(version), "--handler", handler]
    command += ["--model-file", "network.py", "--serialized-file", "weights.safetensors"]
    command += ["--extra-files", ",".join(extra), "--export-path", str(folder.absolute())]
    # A TMPDIR of its own: the archiver deletes $TMPDIR/<name>, even if it is somebody else's, and works there.
    temporary = scratch / "tmp"
    temporary.mkdir()
    environment = {"TMPDIR": str(temporary.absolute())}
    done = subprocess.run(command, cwd=flat, env=environment, capture_output=True, text=True, check=False)
    if done.returncode or not (folder / f"{name}.mar").is_file():
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise ExportError(f"torch-model-archiver failed: {lines[-1]}")


def existing(handler_files: tuple[Path, ...]) -> tuple[Path, ...]:
    """Return `handler_files`.

    Raises:
        ExportError: One of them does not exist.
    """
    for file in handler_files:
        if not file.is_file():
            raise ExportError(f"the .mar needs {file}, which does not exist")
    return handler_files


def _check_imports(flat: Path) -> None:
    """Check that every module in `flat` finds what it imports; a worker would fail at its start."""
    known = WORKER_PACKAGES | {file.stem for file in flat.glob("*.py")}
    for file in sorted(flat.glob("*.py")):
        for name in sorted(torch_export.imported(file.read_text()) - known):
            raise ExportError(f"{file.name} imports {name}, which is neither in the .mar nor in a TorchServe worker")
