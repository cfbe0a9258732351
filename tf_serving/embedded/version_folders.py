"""Which versions a model's folder and its version policy ask for."""

from pathlib import Path
from typing import Any


def aspired_versions(name: str, base_path: str, policy: Any) -> tuple[dict[int, str] | None, str]:
    """Look at a model's folder.

    Args:
        name: The model.
        base_path: The folder that holds one folder per version, named by its number.
        policy: A ServableVersionPolicy: latest (of one version, unless it says more), all, or specific.

    Returns:
        The folder of every version to serve by number, or None when the base path is not there, in which case
        whatever is loaded stays; and what an operator should know, or "".
    """
    try:
        children = [child for child in Path(base_path).iterdir() if _is_version(child.name)]
    except OSError as error:
        return None, f"waiting for model {name}: cannot read its base path {base_path} ({error.strerror})"
    folders = {int(child.name): str(child) for child in children}
    if not folders:
        return {}, (
            f"no versions of model {name} under {base_path}: each version is a folder named by a number, "
            f"such as {base_path.rstrip('/')}/1"
        )
    choice = policy.WhichOneof("policy_choice")
    if choice == "all":
        return folders, ""
    if choice == "specific":
        wanted = set(policy.specific.versions)
        missing = ", ".join(str(number) for number in sorted(wanted - folders.keys()))
        trouble = f"model {name} has no version {missing} under {base_path}" if missing else ""
        return {number: path for number, path in folders.items() if number in wanted}, trouble
    newest = sorted(folders, reverse=True)[: max(1, policy.latest.num_versions)]
    return {number: folders[number] for number in newest}, ""


def _is_version(name: str) -> bool:
    return name.isascii() and name.isdigit() and int(name) < 2**63
