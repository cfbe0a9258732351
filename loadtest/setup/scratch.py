"""Copies to try things out on: nothing here ever writes to ``artifacts/`` or to a server's folder."""

import contextlib
import json
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from loadtest.errors import UsageError
from loadtest.machine.run_folder import RunFolder
from loadtest.servers.artifact import Artifact
from loadtest.servers.server_folder import Server, fill
from loadtest.setup.declared import NewVersion, SettingChange

NO_CHANGE = SettingChange()


@dataclass(frozen=True)
class ScratchCopy:
    """A server and an artifact that may be altered.

    Attributes:
        server: The server, with the change made to its command and to a copy of its folder.
        artifact: The copy of the artifact, in a folder of its own.
        original: The server without the change.
        change: The change.
    """

    server: Server
    artifact: Artifact
    original: Server
    change: SettingChange = NO_CHANGE

    @property
    def next_version(self) -> str:
        """The version after the present one."""
        return str(int(self.artifact.version) + 1)

    def context(self) -> dict[str, object]:
        """What the templates of a change may use."""
        return {
            "workload": self.artifact.workload,
            "version": self.artifact.version,
            "next": self.next_version,
            "here": self.server.folder,
            "artifact": self.artifact.folder,
        }

    def publish(self, how: NewVersion, following: Artifact | None = None) -> Path:
        """Lay the next version down beside the present one, at once and whole (by renaming).

        Args:
            how: Where its files are and where they go.
            following: The next version; a copy of the present one under the next number if None.

        Returns:
            Where it is.

        Raises:
            UsageError: If the source does not exist, or has no version where it should stand.
        """
        origin = following or self.artifact
        names = self.context() | {"workload": origin.workload, "version": origin.version}
        source = (origin.folder / fill(how.source, names)).resolve()
        target = (self.artifact.folder / fill(how.target, self.context())).resolve()
        draft = target.with_name(f".{target.name}.part")
        number = None if following else self.next_version
        try:
            if source.is_dir():
                shutil.copytree(source, draft)
                if number and how.member:
                    path = draft / how.member
                    path.write_bytes(_numbered(path.read_bytes(), how.key, number))
            elif number and how.member:
                _copy_archive(source, draft, how, number)
            else:
                shutil.copyfile(source, draft)
            draft.rename(target)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise UsageError(f"the next version cannot be made from {source}: {error!r}") from error
        return target


@contextlib.contextmanager
def scratch_copy(server: Server, artifact: Artifact, change: SettingChange = NO_CHANGE) -> Iterator[ScratchCopy]:
    """Copy an artifact, and a server's folder with a change made to it, for as long as the context lasts."""
    with RunFolder("setup") as made:
        root, original = made.resolve(), server
        folder = root / "artifacts" / artifact.workload / artifact.version
        shutil.copytree(artifact.folder, folder)
        if change.files:
            copied = root / server.folder.name
            shutil.copytree(server.folder, copied, ignore=shutil.ignore_patterns("__pycache__"))
            server = replace(server, folder=copied)
        launches = tuple(
            replace(one, command=(*one.command, *change.args), env={**one.env, **change.env}) for one in server.launches
        )
        scratch = ScratchCopy(replace(server, launches=launches), replace(artifact, folder=folder), original, change)
        for file, text in change.files.items():
            with (server.folder / file).open("a", encoding="utf-8") as out:
                out.write(f"\n{fill(text, scratch.context())}\n")
        yield scratch


def _copy_archive(source: Path, target: Path, how: NewVersion, version: str) -> None:
    """Copy a zip archive with one value of one JSON member changed."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            content = old.read(entry)
            new.writestr(entry, _numbered(content, how.key, version) if entry.filename == how.member else content)


def _numbered(content: bytes, place: str, version: str) -> bytes:
    """A JSON document with another version in the place of the present one, of the same type.

    Raises:
        KeyError: If it has no such key.
    """
    *parents, key = place.split(".")
    document = json.loads(content)
    table = document
    for parent in parents:
        table = table[parent]
    if key not in table:
        raise KeyError(place)
    table[key] = type(table[key])(version)
    return json.dumps(document).encode()
