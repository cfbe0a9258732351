"""Shows recorded runs in TensorBoard."""

import importlib.util
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from models.errors import BoardError
from models.recording.write import BOARD


def runs_of(root: Path, workload: str) -> Path:
    """Find the folder of the runs of a workload's newest version.

    Args:
        root: Of all artifacts.
        workload: Its name.

    Raises:
        BoardError: There are no runs in it; the message says how to make some.
    """
    versions = sorted((path for path in root.glob(f"{workload}/*/{BOARD}") if path.parent.name.isdigit()), key=_version)
    if not versions:
        again = " --force" if (root / workload).exists() else ""
        raise BoardError(f"no runs of {workload} in {root}: make some with: python -m models build {workload}{again}")
    return versions[-1]


@contextmanager
def runs_of_all(root: Path, places: Sequence[str]) -> Iterator[Path]:
    """A folder with links to those of several workloads: what is built later is in it too, a build under way never.

    Args:
        root: Of all artifacts.
        places: Folders in `root` with the versions of a workload, which need not be there yet.

    Raises:
        BoardError: There are no runs in them; the message says how to make some.
    """
    if not any(any(root.glob(f"{place}/*/{BOARD}/*/events.out.tfevents.*")) for place in places):
        raise BoardError(f"no runs in {root}: make some with: python -m models build")
    with tempfile.TemporaryDirectory(prefix="board-") as folder:
        for place in places:
            link = Path(folder, place)
            link.parent.mkdir(exist_ok=True)
            link.symlink_to((root / place).absolute(), target_is_directory=True)
        yield Path(folder)


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
    _check_address(host, port)
    _lend_pkg_resources()
    _spare_tensorflow()
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


def _check_address(host: str, port: int) -> None:
    """Bind to it for a moment: at an address of another machine, TensorBoard's web server would abort this process.

    Raises:
        BoardError: It cannot be listened on.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that was closed a moment ago is free
            tried.bind(address)
    except OSError as error:
        raise BoardError(f"TensorBoard cannot listen on {host}:{port}: {error.strerror}") from error


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


def _spare_tensorflow() -> None:
    """Let TensorBoard read files with code of its own, as it does where it finds a module of this name.

    It needs nothing of TensorFlow here, which takes 600 MiB. And its threads read on while the process ends: those
    that are in TensorFlow's C++ then abort it.
    """
    name = "tensorboard.compat.notf"
    sys.modules.setdefault(name, ModuleType(name))
