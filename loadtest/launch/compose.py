"""Starts servers as containers of compose.yaml, or uses the stack that is up."""

import contextlib
import math
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from docker.models.containers import Container

from loadtest.errors import ArtifactError, LaunchError, UsageError
from loadtest.launch.compose_project import ComposeProject, translated
from loadtest.launch.container import ContainerServer, label_of, start_container
from loadtest.launch.first_prediction import Until, await_first_prediction
from loadtest.machine.placement import UNPINNED, Placement, parse_cores, placement_beside
from loadtest.machine.run_folder import RunFolder
from loadtest.machine.usage import MIB
from loadtest.servers.artifact import Artifact, load_artifact
from loadtest.servers.server_folder import Server
from loadtest.servers.server_toml import load_servers

ARTIFACTS = ("/artifacts", "/models")
"""Where the containers see the artifacts; the second one is TensorFlow Serving's own place for models."""
MODELS = "models"
"""The service that builds the artifacts and ends."""
BUILD_S = 900
STOP_S = 10


class ComposeLauncher:
    """Starts each server as a container of the stack, with the limits that compose.yaml and .env give it.

    A server whose container is running already is used as it is and left running. `close` removes the containers and
    the network that were not there before; the volume with the artifacts stays, as artifacts/ does.

    Args:
        workload: The model to serve.
        project: The stack.
        pin: Whether the client keeps off the servers' cores.
        client_cores: Cores for the client.
        timeout_s: Patience until the end of a start, in seconds.
        published: Ask the servers at their published ports and not at the containers' own addresses.
        say: Is told what takes long.
        artifact: The model, where the containers see it in another place than the stack's volume.
        until: What waits for the end of a start.
    """

    name = "compose"

    def __init__(
        self,
        workload: str,
        project: ComposeProject,
        *,
        pin: bool = True,
        client_cores: int = 1,
        timeout_s: float = 120.0,
        published: bool = False,
        say: Callable[[str], None] = lambda line: None,
        artifact: Artifact | None = None,
        until: Until = await_first_prediction,
    ) -> None:
        self._given = artifact
        self._workload = workload
        self._project = project
        self._pin = pin
        self._client_cores = client_cores
        self._timeout_s = timeout_s
        self._published = published
        self._until = until
        self._say = say
        self._built: set[str] = set()
        self._attached: set[str] = set()
        self._undo = contextlib.ExitStack()
        self._before = {str(container.id) for container in project.containers()}
        self._undo.callback(self._remove_network, project.networks())

    def definition(self, server: Server, version: str) -> dict[str, Any]:
        """What the compose files say of a server of a version of the model, every variable filled in.

        Raises:
            UsageError: If it is a variant, of which the stack has none.
        """
        self._refuse_variants(server)
        return self._project.with_variables(MODEL_VERSION=version).service(server.compose_service)

    @cached_property
    def artifact(self) -> Artifact:
        """The model in the stack's volume, copied out; it is built, or mended, where no server runs yet.

        Raises:
            LaunchError: If it cannot be built.
            ArtifactError: If servers run over a volume that is damaged.
        """
        if self._given:
            return self._given
        folder = self._undo.enter_context(RunFolder("artifacts"))
        holder = self._holder() or self._build_models()
        mount = next(one for one in holder.attrs["Mounts"] if one["Destination"] in ARTIFACTS)
        try:
            self._project.copy_out(holder, f"{mount['Destination']}/{self._workload}", folder)
            return load_artifact(self._workload, folder)
        except (ArtifactError, LaunchError) as error:
            volume = mount.get("Name", mount["Destination"])
            raise ArtifactError(
                f"the volume {volume} holds no intact model {self._workload!r}: `docker compose down -v` removes it, "
                f"and the next start builds it anew ({str(error).partition(': python -m')[0]})"
            ) from error

    @cached_property
    def placement(self) -> Placement:
        """The servers' cores are those of the compose files; the client gets the last other one(s)."""
        names = {server.compose_service for server in load_servers().values()} & set(self._project.config["services"])
        servers = {core for name in names for core in parse_cores(str(self._project.service(name).get("cpuset") or ""))}
        return placement_beside(tuple(sorted(servers)), self._client_cores) if self._pin else UNPINNED

    def find(self, server: Server) -> ContainerServer | None:
        """The server in a container that is running already, or None."""
        container = self._project.container(server.compose_service)
        if container is None or container.status not in ("running", "restarting") or self._is_ours(container):
            return None
        self._refuse_variants(server)
        self._attached.add(server.key)
        found = ContainerServer(server, self.artifact, container, published=self._published)
        found.await_ready(math.nan, self._timeout_s)
        return found

    def label(self, server: Server) -> str:
        """What tables call a server, which its image says; before that is there, what its server.toml says."""
        image = self._project.image(server.compose_service)
        return label_of(image, server)

    def start(self, server: Server) -> ContainerServer:
        """Start a server and wait until its start is over, or find it running.

        Raises:
            LaunchError: If it cannot be built, pulled or started, ends or does not become ready; the text names the
                remedy, and nothing that was started is left.
            ParityError: If it answers wrongly.
        """
        found = self.find(server)
        if found is not None:
            return found
        self._refuse_variants(server)
        artifact = self.artifact
        self._require_memory(server)
        self._project.set_variables(MODEL_VERSION=artifact.version)
        container = self._create(server.compose_service)
        end = _remove if self._is_ours(container) else _stop
        with contextlib.ExitStack() as undo:
            undo.callback(end, container)
            started = start_container(container)
            running = ContainerServer(server, artifact, container, published=self._published, on_stop=end)
            running.await_ready(started, self._timeout_s, self._until)
            undo.pop_all()
        return running

    def beside(self, server: Server, artifact: Artifact, definition: dict[str, Any], folder: Path) -> "ComposeLauncher":
        """A launcher of one server in a project of its own beside the stack, from the same image.

        Args:
            server: Which.
            artifact: The model that the container sees in the place of the stack's volume.
            definition: What a compose file would say of it.
            folder: Where the project's compose file is written.

        Raises:
            LaunchError: If its image cannot be built.
        """
        service = server.compose_service
        if "build" in definition:
            self._build(service)
            kept = {key: value for key, value in definition.items() if key not in ("build", "pull_policy")}
            definition = {**kept, "image": self._project.image_name(service)}
        project = self._project.beside(service, definition, folder)
        project.compose("down", "--timeout", "0")  # of a load tester that was killed
        return ComposeLauncher(
            artifact.workload, project, timeout_s=self._timeout_s, artifact=artifact, until=self._until
        )

    def describe(self) -> dict[str, Any]:
        """Versions of Docker and the servers' cores; each server adds its own image and effective limits."""
        remarks = ["peak memory is that of the container's cgroup: page cache and tmpfs count"]
        if self._attached:
            names = ", ".join(sorted(self._attached))
            remarks.append(
                f"{names}: used as they ran, beside each other and without a restart, so no time to the first answer"
            )
        return {
            "launcher": self.name,
            "engine": self._project.engine_version,
            "compose": self._project.compose_version,
            "server_cores": list(self.placement.server),
            "remarks": remarks,
        }

    def close(self) -> None:
        """Remove what this launcher brought up."""
        with self._undo:
            for container in self._project.containers():
                if self._is_ours(container):
                    _remove(container)

    def _is_ours(self, container: Container) -> bool:
        return str(container.id) not in self._before

    def _create(self, service: str) -> Container:
        """Build or pull the image and create the container, without a start."""
        if "build" in self._project.service(service):
            self._build(service)
        else:
            self._say(f"getting the image {self._project.service(service)['image']}, where it is not here yet")
        self._project.compose("up", "--no-start", "--no-deps", service)
        container = self._project.container(service)
        if container is None:
            raise LaunchError(f"docker compose created no container of {service}")
        return container

    def _build(self, service: str) -> None:
        """Build the image of a service, once."""
        if service not in self._built:
            self._say(f"building the image of {service} (minutes on the first run, a second later on)")
            self._project.compose("build", "--quiet", service)
            self._built.add(service)

    def _build_models(self) -> Container:
        container = self._create(MODELS)
        self._say("building the artifacts in the stack's volume, where they are not current")
        start_container(container)
        with translated("docker wait"):
            code = container.wait(timeout=BUILD_S)["StatusCode"]
            container.reload()
            log = container.logs(tail=8).decode(errors="replace").strip()
        if code:
            lines = "\n".join(f"  | {line}" for line in log.splitlines())
            raise LaunchError(
                f"the artifacts cannot be built (service {MODELS}, exit code {code}); its last lines:\n{lines}\n"
                "A damaged volume is removed by `docker compose down -v`."
            )
        return container

    def _holder(self) -> Container | None:
        """A container with the artifacts, where any server is running; what runs is not to be built anew."""
        names = {server.compose_service for server in load_servers().values()}
        for container in self._project.containers():
            if container.status == "running" and container.labels["com.docker.compose.service"] in names:
                return container
        return None

    def _require_memory(self, server: Server) -> None:
        limit = int(self._project.service(server.compose_service).get("mem_limit") or 0)
        with translated("docker info"):
            total = int(self._project.engine.info()["MemTotal"])
        if limit > total:
            raise LaunchError(
                f"{server.key} is to have {limit / MIB:,.0f} MiB and Docker has {total / MIB:,.0f} in all: "
                "lower SERVER_MEMORY in .env, or give Docker Desktop more memory"
            )

    @staticmethod
    def _refuse_variants(server: Server) -> None:
        if server.key != server.name:
            raise UsageError(f"{server.key}: compose.yaml has no variants; use --launcher local for it")

    def _remove_network(self, before: set[str]) -> None:
        with translated("docker network rm"):
            for name in self._project.networks() - before:
                self._project.engine.networks.get(name).remove()


def _stop(container: Container) -> None:
    with translated("docker stop"):
        container.stop(timeout=STOP_S)


def _remove(container: Container) -> None:
    _stop(container)
    with translated("docker rm"):
        container.remove(v=True, force=True)
