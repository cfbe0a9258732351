"""Shows recorded runs in TensorBoard."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from models.errors import BoardError
from models.recording.write import BOARD


def runs_of(root: Path, workload: str | None) -> Path:
    """Find the folder whose runs are to be shown.

    Args:
        root: Of all artifacts.
        workload: Whose newest version; None for every workload and version below `root`.

    Raises:
        BoardError: There are no runs in it; the message says how to make some.
    """
    if workload is None:
        if not any(root.glob(f"*/*/{BOARD}/*/events.out.tfevents.*")):
            raise BoardError(f"no runs in {root}: make some with: python -m models build")
        return root
    versions = sorted((path for path in root.glob(f"{workload}/*/{BOARD}") if path.parent.name.isdigit()), key=_version)
    if not versions:
        again = " --force" if (root / workload).exists() else ""
        raise BoardError(f"no runs of {workload} in {root}: make some with: python -m models build {workload}{again}")
    return versions[-1]


def _version(board: Path) -> int:
    return int(board.parent.name)


def start(folder: Path, host: str, port: int) -> str:
    """Start TensorBoard over the runs of a folder, in a thread that ends with this process.

    Args:
        folder: It shows every run below it, also those that come later.
        host: Name or address to listen on.
        port: Or 0 for any that is free.

    Returns:
        Its address.

    Raises:
        BoardError: It cannot listen there.
        ModuleNotFoundError: TensorBoard is not installed.
    """
    _lend_pkg_resources()
    from tensorboard import default, program
    from tensorboard.plugins.projector.projector_plugin import ProjectorPlugin

    # Its own list has no projector: that one it would find among the plugins of other packages.
    board = program.TensorBoard([*default.get_static_plugins(), ProjectorPlugin])
    # Its faster reader is a process of its own, which would have to be ended.
    board.configure(argv=("tensorboard",), logdir=str(folder), host=host, port=port, load_fast="false")
    try:
        return str(board.launch())
    except program.TensorBoardServerException as error:
        raise BoardError(f"TensorBoard cannot listen on {host}:{port}: {' '.join(error.msg.split())}") from error


def _lend_pkg_resources() -> None:
    """Give TensorBoard 2.20 what it imports of `pkg_resources`, which setuptools has no more since its version 82.

    That is `parse_version`, for its faster reader. The plugins of other packages, which it finds with it too, are not
    asked for.
    """
    if "pkg_resources" in sys.modules or importlib.util.find_spec("pkg_resources"):
        return
    from packaging.version import parse

    lent = ModuleType("pkg_resources")
    vars(lent)["parse_version"] = parse
    sys.modules[lent.__name__] = lent
