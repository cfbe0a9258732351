"""The folders of the artifacts that a command is about."""

from pathlib import Path

from models.artifact_manifest import root
from models.workload import discover, find


def artifact_folders(workload: str | None) -> list[Path]:
    """The artifact of a workload, or of every one that is built; where none is, of all, and reading says what to do.

    Args:
        workload: Its name; None for every one.

    Raises:
        WorkloadError: There is none of that name.
    """
    chosen = [find(workload)] if workload else list(discover().values())
    folders = [root() / found.workload.name / str(found.workload.version) for found in chosen]
    built = [folder for folder in folders if folder.exists()]
    return built if built and not workload else folders
