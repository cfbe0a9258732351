"""The PyTorch form of an artifact: the network's source, its weights and a loader that needs torch and safetensors.

This is eager mode, chosen by the figures in benchmarks/torch_export.md.
"""

import ast
import inspect
import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

from models.errors import WorkloadError
from models.workload import Workload

NAME = "eager"
FILES = ("load.py", "network.py", "weights.safetensors", "workload.json")
LOADER = Path(__file__).parent / "shipped" / "load.py"


def write(workload: Workload, weights_file: Path, folder: Path) -> None:
    """Write the four files of the form to `folder`, which is created.

    Raises:
        WorkloadError: The workload's `network` could not run where there is only torch.
    """
    source = inspect.getsource(workload.network)
    if not source.startswith("def network("):
        raise WorkloadError(f"workload {workload.name!r}: network must be a module-level def network()")
    for package in sorted(imported(source) - {"torch", *sys.stdlib_module_names}):
        raise WorkloadError(f"workload {workload.name!r}: network() imports {package}; a server has only torch")
    folder.mkdir(parents=True)
    shutil.copyfile(LOADER, folder / "load.py")
    shutil.copyfile(weights_file, folder / "weights.safetensors")
    title = f'"""The network of workload {workload.name}, version {workload.version}."""'
    # Annotations may name what the workload's file imports elsewhere: they are not evaluated.
    (folder / "network.py").write_text(f"{title}\n\nfrom __future__ import annotations\n\n\n{source}")
    (folder / "workload.json").write_text(json.dumps(interface(workload), indent=2) + "\n")


def interface(workload: Workload) -> dict[str, object]:
    """Return what a server has to know of the model: its tensors, labels, and the limits of a request."""
    return {
        "workload": workload.name,
        "version": workload.version,
        "description": workload.description,
        "inputs": [asdict(spec) for spec in workload.inputs],
        "outputs": [asdict(spec) for spec in workload.outputs],
        "labels": workload.class_names,
        "max_instances": workload.max_instances,
        "max_request_bytes": workload.max_request_bytes,
    }


def imported(source: str) -> set[str]:
    """Return the top-level packages that `source` imports; a dot for what it imports relatively."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add("." if node.level else (node.module or "").split(".")[0])
    return names
