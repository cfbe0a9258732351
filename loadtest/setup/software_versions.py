"""Versions of what a server runs on: the packages of its extra, or the program that it is."""

import importlib.metadata

from packaging.requirements import Requirement

from loadtest.errors import UsageError
from loadtest.launch.local import program_version
from loadtest.servers.server_folder import Server
from loadtest.setup.installed_packages import requirements_of


def software_versions(server: Server) -> dict[str, str]:
    """The versions of a server's software here, by name.

    Args:
        server: The server.

    Returns:
        Of a server in Python's environment the packages that its extra names and that are installed; of another
        program what it says of itself.

    Raises:
        UsageError: If no way to start it is usable.
    """
    launch = server.launch()
    if launch.version:
        return {launch.requires or server.name: program_version(launch.version)}
    if not launch.in_python:
        return {}
    versions = {}
    for name in named_packages(server):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def named_packages(server: Server) -> list[str]:
    """Names of the packages that a server's extra names; none of a server of one's own, without an extra."""
    try:
        requirements = requirements_of(str(server.setup.get("extra", server.name)))
    except UsageError:
        return []
    return [Requirement(requirement).name for requirement in requirements]
