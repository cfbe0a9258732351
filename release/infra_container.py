"""A server in a container of its own beside the stack, on a copy of the candidate.

So the model is loaded within the limits of memory and cores, and behind the fences, that it will be served with.
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterator

from packaging.utils import canonicalize_name

from loadtest.errors import LaunchError, LoadtestError
from loadtest.launch.compose import ComposeLauncher
from loadtest.launch.compose_copy import running_copy
from loadtest.launch.compose_project import ComposeProject
from loadtest.launch.container import PACKAGES, ContainerServer
from loadtest.launch.first_prediction import await_ready
from loadtest.machine.placement import parse_cores
from loadtest.machine.usage import MIB
from loadtest.servers.artifact import Artifact
from loadtest.servers.server_folder import Server
from loadtest.setup.scratch import scratch_copy
from loadtest.setup.software_versions import named_packages
from release.infra_start import Limits

UNWATCHED = {"healthcheck": {"disable": True}, "restart": "no"}
"""The stack's health check asks for predictions, which a server that only loads is not to see; and one that has ended
is not to be started anew before it is known why."""


class ContainerStart:
    """As a container, with the image, the limits and the fences that compose.yaml and .env give the server.

    Args:
        artifact: The model. A container runs under a user of its own, so it sees a copy that everybody may read.
        timeout_s: Seconds that a server may take to load the model.
        say: Is told what takes long.

    Raises:
        LaunchError: If Docker is not there.
    """

    name = ComposeLauncher.name

    def __init__(self, artifact: Artifact, timeout_s: float, say: Callable[[str], None] = lambda line: None) -> None:
        self.timeout_s = timeout_s
        self._artifact = artifact
        self._project = ComposeProject(environment={**os.environ, "WORKLOAD": artifact.workload})
        self._launcher = ComposeLauncher(
            artifact.workload, self._project, timeout_s=timeout_s, say=say, artifact=artifact, until=await_ready
        )

    def limits(self, server: Server) -> Limits:
        """Those of the compose files.

        Raises:
            UsageError: If it is a variant, of which the stack has none.
            LaunchError: If the compose files do not know it.
        """
        definition = self._launcher.definition(server, self._artifact.version)
        cores = tuple(sorted(parse_cores(str(definition.get("cpuset") or ""))))
        return Limits(cores, int(definition.get("mem_limit") or 0) / MIB or None)

    @contextlib.contextmanager
    def loaded(self, server: Server) -> Iterator[ContainerServer]:
        """Start the container, wait until the server calls itself ready, and remove it with the context."""
        with (
            scratch_copy(server, self._artifact) as scratch,
            running_copy(self._launcher, server, scratch.artifact, keys=UNWATCHED) as running,
        ):
            try:
                yield running
            except LoadtestError:
                running.raise_if_out_of_memory()  # then that is the reason, and what it did to answers is not
                raise
            running.raise_if_out_of_memory()

    def label(self, server: Server) -> str:
        """The label of the image."""
        return self._launcher.label(server)

    def software(self, server: Server) -> dict[str, str]:
        """The image with its digest, and the packages of the server's extra in it."""
        image = self._project.image(server.compose_service)
        if image is None:
            return {}
        try:
            options = ("--rm", "--network=none", "--entrypoint=python")
            said = self._project.run("run", *options, str(image.id), "-c", PACKAGES)
            installed = {canonicalize_name(name): version for name, version in json.loads(said).items()}
        except LaunchError:  # no Python in it
            installed = {}
        packages = {name: found for name in named_packages(server) if (found := installed.get(canonicalize_name(name)))}
        return {self._project.image_name(server.compose_service): str(image.id), **packages}
