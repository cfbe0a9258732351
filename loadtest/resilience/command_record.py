"""What every file of this room says of the command that wrote it."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from loadtest.launch.launcher import Launcher
from loadtest.machine.host import Host, describe_host


@dataclass(frozen=True, kw_only=True)
class CommandRecord:
    """A command that tries servers out, the machine and the model.

    Attributes:
        date: When it was begun, UTC.
        command: Arguments of the program.
        host: The machine.
        launcher: How the servers were started; see `loadtest.launch.launcher.Launcher.describe`.
        workload: Name of the model.
        version: Its version.
    """

    schema_version: Literal[1] = 1
    date: datetime.datetime
    command: tuple[str, ...]
    host: Host
    launcher: dict[str, Any]
    workload: str
    version: str

    @classmethod
    def begun_now(cls, launcher: Launcher, command: Sequence[str], **more: Any) -> Self:
        """The record of a command that begins.

        Args:
            launcher: How the servers are started, and the model.
            command: Arguments of the program.
            **more: What a kind of record has beside these.
        """
        return cls(
            date=datetime.datetime.now(datetime.UTC).replace(microsecond=0),
            command=tuple(command),
            host=describe_host(),
            launcher=launcher.describe(),
            workload=launcher.artifact.workload,
            version=launcher.artifact.version,
            **more,
        )
