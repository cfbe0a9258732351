"""The folder that models are pushed to, and that servers read.

    DIR/.push-target.json                        that it is one
    DIR/digits/1/  2/  3/                        artifacts, by the versions that they are served by: Flask's folder
    DIR/digits/serving/saved_model/1  2  3       links to their SavedModels: TensorFlow Serving's model base path
    DIR/digits/serving/model_store/digits-3.mar  links to their archives, digits.mar to the newest: TorchServe's
    DIR/digits/serving/manifest.json             link to that of the newest
    DIR/digits/.withdrawn/4/                     what was rolled back, until the next push

A version comes and goes by one renaming of its folder; the links follow from the folders (`PushTarget.settle`), so that
the next command finishes what one that was killed left undone. A number is never given twice.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtest.servers.manifest import FILE
from release.errors import TargetError
from release.numbered_copy import sync

MARKER = ".push-target.json"
LAYOUT = '{"kind": "push target of serving-bakeoff", "layout": 1}\n'
STAGING = ".pushing-"
WITHDRAWN = ".withdrawn"
SERVING = "serving"
NEWEST = "newest"


@dataclass(frozen=True)
class PushTarget:
    """The versions of one workload in a push target; held by this process alone.

    Attributes:
        home: ``DIR/<workload>``.
    """

    home: Path

    @property
    def workload(self) -> str:
        """Name of the model."""
        return self.home.name

    @property
    def versions(self) -> list[int]:
        """Numbers of the versions that are served or kept, in ascending order."""
        return _numbers(self.home)

    @property
    def next_version(self) -> int:
        """The number that comes next: above every one that was given."""
        return max([0, *self.versions, *_numbers(self.home / WITHDRAWN)]) + 1

    def folder(self, version: int) -> Path:
        """The artifact of a version."""
        return self.home / str(version)

    @contextlib.contextmanager
    def staging(self) -> Iterator[Path]:
        """A hidden folder on the target's file system, gone at the end with whatever is in it."""
        self.home.mkdir(exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=STAGING, dir=self.home))
        try:
            made.chmod(0o755)
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def publish(self, staged: Path, version: int, keep: int) -> list[int]:
        """Put a finished folder in its place, and take versions away beyond those that are kept.

        Args:
            staged: In a folder of `staging`, on the disk.
            version: Its number.
            keep: How many versions stay, this one included.

        Returns:
            Versions that were taken away.

        Raises:
            OSError: If there is no room for its links; nothing has changed then.
        """
        drafts = self._draft_links([*self.versions, version])  # what needs room comes before the renaming
        staged.rename(self.folder(version))
        sync(self.home)
        self._place(drafts)
        surplus = self.versions[:-keep]
        with contextlib.suppress(OSError):  # what cannot be removed now is so at the next push
            for one in surplus:
                self.folder(one).rename(self.home / f"{STAGING}{one}-away")
            self.settle()
            self.clear()
        shutil.rmtree(self.home / WITHDRAWN, ignore_errors=True)
        return surplus

    def withdraw(self) -> tuple[int, int]:
        """Take the newest version away again.

        Returns:
            Its number, and the one of the version that is the newest now.

        Raises:
            TargetError: If there is none before it.
        """
        if len(self.versions) < 2:
            have = f"version {self.versions[0]} is the only one" if self.versions else "nothing was pushed"
            raise TargetError(f"{self.home}: {have}, so there is nothing to go back to")
        before, newest = self.versions[-2:]
        aside = self.home / WITHDRAWN
        aside.mkdir(exist_ok=True)
        self.folder(newest).rename(aside / str(newest))
        sync(self.home)
        self.settle()
        return newest, before

    def settle(self) -> None:
        """Have the links be those of the versions that are there."""
        if self.versions:
            self._place(self._draft_links(self.versions))
        else:
            shutil.rmtree(self.home / SERVING, ignore_errors=True)

    def clear(self) -> None:
        """Remove what is on its way in or out, such as what a push that was killed left."""
        for stale in self.home.glob(f"{STAGING}*"):
            shutil.rmtree(stale, ignore_errors=True)

    def _links(self, versions: Sequence[int]) -> dict[Path, str]:
        """Where each link leads, in the order in which they are put in their places."""
        serving = self.home / SERVING
        archives, saved = serving / "model_store", serving / "saved_model"
        links = {
            serving / NEWEST: f"../{versions[-1]}",
            serving / FILE: f"{NEWEST}/{FILE}",
            archives / f"{self.workload}.mar": f"../{NEWEST}/model_store/{self.workload}.mar",
        }
        for one in versions:
            links[archives / f"{self.workload}-{one}.mar"] = f"../../{one}/model_store/{self.workload}.mar"
        for one in versions:  # TensorFlow Serving takes it at once
            links[saved / str(one)] = f"../../{one}/saved_model/{one}"
        return links

    def _draft_links(self, versions: Sequence[int]) -> dict[Path, Path | None]:
        """Make links under hidden names; by the places of all links, None where the right one is there."""
        drafts: dict[Path, Path | None] = {}
        try:
            for path, to in self._links(versions).items():
                path.parent.mkdir(parents=True, exist_ok=True)
                drafts[path] = None
                if not (path.is_symlink() and path.readlink() == Path(to)):
                    draft = path.with_name(f".{path.name}.part")
                    draft.unlink(missing_ok=True)
                    draft.symlink_to(to)
                    drafts[path] = draft
        except OSError:
            for made in filter(None, drafts.values()):
                made.unlink(missing_ok=True)
            raise
        return drafts

    def _place(self, drafts: dict[Path, Path | None]) -> None:
        """Put drafts of links in their places, each by renaming, and remove links that are none of these."""
        for path, draft in drafts.items():
            if draft:
                draft.replace(path)
        for folder in {path.parent for path in drafts}:
            for path in folder.iterdir():
                if path not in drafts and path.is_symlink():
                    path.unlink()
            sync(folder)


@contextlib.contextmanager
def open_target(folder: Path, workload: str) -> Iterator[PushTarget]:
    """Hold a push target, alone, for as long as the context lasts; one that is not there or is empty is made.

    Args:
        folder: The target.
        workload: Whose versions.

    Raises:
        TargetError: If it holds something else, another push holds it, or it cannot be used. Where nothing was pushed,
            nothing that was made for it is left.
    """
    folder = folder.absolute()
    with _held(folder):
        target = PushTarget(folder / workload)
        try:
            with told(folder):
                target.clear()
                target.settle()
            yield target
        finally:
            _leave_nothing_empty(folder, target)


@contextlib.contextmanager
def told(folder: Path) -> Iterator[None]:
    """Tell of a file system that is full, read-only or gone in one line.

    Raises:
        TargetError: If something could not be written.
    """
    try:
        yield
    except OSError as error:
        raise TargetError(f"cannot push to {folder}: {error.strerror or error}; it is as it was") from error


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    with told(folder):
        check_target(folder)
        made = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with told(folder):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise TargetError(f"another push into {folder} is under way: try again when it has ended") from None
            check_target(folder)  # what another one made of it meanwhile
            if not (folder / MARKER).exists():
                (folder / MARKER).write_text(LAYOUT, encoding="utf-8")
        yield
    finally:
        if made:
            with contextlib.suppress(OSError):  # something was pushed
                folder.rmdir()
        os.close(lock)


def check_target(folder: Path) -> None:
    """Refuse a folder that is somebody's and not a push target; nothing is changed.

    Raises:
        TargetError: If it holds something else, or is no folder.
    """
    if folder.is_dir():
        if (folder / MARKER).exists() or not (found := sorted(path.name for path in folder.iterdir())):
            return
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        raise TargetError(
            f"{folder} is no folder that models are pushed to: it holds {found[0]}{more}; name a new or an empty one"
        )
    if os.path.lexists(folder):
        raise TargetError(f"{folder} is no folder: name a new or an empty one")


def _leave_nothing_empty(folder: Path, target: PushTarget) -> None:
    """Where nothing lies in the target, remove what makes it one."""
    if not target.versions:
        shutil.rmtree(target.home / SERVING, ignore_errors=True)
        with contextlib.suppress(OSError):  # it is not there, or not empty
            target.home.rmdir()
        if [path.name for path in folder.iterdir()] == [MARKER]:
            (folder / MARKER).unlink()


def _numbers(folder: Path) -> list[int]:
    return sorted(int(path.parent.name) for path in folder.glob(f"*/{FILE}") if path.parent.name.isdigit())
