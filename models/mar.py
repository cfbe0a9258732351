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
HANDLER_FILES = (ROOT / "torchserve" / "handler.py", ROOT / "flask_server" / "predict_body")
"""The handler, then what it imports: modules, and packages as their folders."""

WORKER_PACKAGES = {"PIL", "numpy", "orjson", "safetensors", "torch", "ts", *sys.stdlib_module_names}
"""What a TorchServe worker can import from outside the archive."""


def write(name: str, version: int, form: Path, handler_files: tuple[Path, ...], folder: Path, scratch: Path) -> None:
    """Pack `form` and `handler_files`, side by side, into `folder`/<name>.mar.

    Args:
        name: Model name that TorchServe serves it under.
        version: Model version that TorchServe reports.
        form: Folder written by `torch_export.write`.
        handler_files: The handler, then the modules and packages it imports.
        folder: Model store, created.
        scratch: Directory for intermediate files, created.

    Raises:
        ExportError: A handler file is missing or imports what a worker will not find, or the archiver failed.
    """
    folder.mkdir(parents=True)
    flat = scratch / "flat"
    flat.mkdir(parents=True)
    for part in torch_export.FILES:
        shutil.copyfile(form / part, flat / part)
    for place, file in shipped(handler_files).items():
        (flat / place).parent.mkdir(exist_ok=True)
        shutil.copyfile(file, flat / place)
    _check_imports(flat)
    # Names without a path, inside `flat`: the archiver splits paths at commas and colons and expands their brackets.
    command = [sys.executable, "-m", "model_archiver.model_packaging"]
    command += ["--model-name", name, "--version", str(version), "--handler", handler_files[0].name]
    command += ["--model-file", "network.py", "--serialized-file", "weights.safetensors"]
    # Of a folder it takes the content, with the folders in it: here all that was laid out.
    command += ["--extra-files", ".", "--export-path", str(folder.absolute())]
    # A TMPDIR of its own: the archiver deletes $TMPDIR/<name>, even if it is somebody else's, and works there.
    temporary = scratch / "tmp"
    temporary.mkdir()
    environment = {"TMPDIR": str(temporary.absolute())}
    done = subprocess.run(command, cwd=flat, env=environment, capture_output=True, text=True, check=False)
    if done.returncode or not (folder / f"{name}.mar").is_file():
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise ExportError(f"torch-model-archiver failed: {lines[-1]}")


def shipped(handler_files: tuple[Path, ...]) -> dict[str, Path]:
    """Return the files of the handler and of what it imports, by their places in the .mar.

    Raises:
        ExportError: One of them does not exist.
    """
    found: dict[str, Path] = {}
    for path in handler_files:
        files = sorted(path.glob("*.py")) if path.is_dir() else [path]
        if not files or not files[0].is_file():
            raise ExportError(f"the .mar needs {path}, which does not exist")
        found |= {str(file.relative_to(path.parent)): file for file in files}
    return found


def _check_imports(flat: Path) -> None:
    """Check that every module in `flat` finds what it imports; a worker would fail at its start."""
    known = WORKER_PACKAGES | {path.stem for path in flat.iterdir() if path.is_dir() or path.suffix == ".py"}
    for file in sorted(flat.rglob("*.py")):
        beside = {"."} if file.parent != flat else set()  # a module of a package may import its neighbours
        for name in sorted(torch_export.imported(file.read_text()) - known - beside):
            raise ExportError(f"{file.name} imports {name}, which is neither in the .mar nor in a TorchServe worker")
