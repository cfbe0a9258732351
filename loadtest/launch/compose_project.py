"""The stack of compose.yaml: `docker compose` starts it, and the Docker SDK, which has no compose, inspects it."""

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.models.containers import Container
from docker.models.images import Image

from loadtest.errors import LaunchError
from loadtest.launch.docker_faults import explain
from loadtest.servers.artifact import ROOT

OLDEST_ENGINE = (25, 0)
"""The first with healthcheck.start_interval."""
OLDEST_COMPOSE = (2, 24)
"""The first that mends a merge with !reset."""


class ComposeProject:
    """The project that `docker compose` sees in a folder; COMPOSE_FILE, COMPOSE_PROJECT_NAME and .env count as usual.

    Args:
        folder: Where compose.yaml lies.
        environment: Variables in the place of this process's.

    Raises:
        LaunchError: If Docker, its daemon or Compose v2 is not there or too old, or the files cannot be read.
    """

    def __init__(self, folder: Path = ROOT, environment: dict[str, str] | None = None) -> None:
        self._folder = folder
        self._environment = dict(os.environ if environment is None else environment)
        self._program = shutil.which("docker", path=self._environment.get("PATH"))
        if self._program is None:
            raise LaunchError(
                "Docker is not installed (there is no program docker): see docs.docker.com/get-docker, or use "
                "--launcher local, which needs none"
            )
        self.compose_version = self.run("compose", "version", "--short")
        self._require("Docker Compose", self.compose_version, OLDEST_COMPOSE)
        with translated("docker version"):
            self.engine = docker.DockerClient(base_url=self._address(), timeout=120)
            self.engine_version = str(self.engine.version()["Version"])
        self._require("Docker Engine", self.engine_version, OLDEST_ENGINE)

    def set_variables(self, **variables: str) -> None:
        """Set variables of the compose files for what is started from now on."""
        self._environment |= variables

    def with_variables(self, **variables: str) -> "ComposeProject":
        """The same project with other values of variables of the compose files."""
        return ComposeProject(self._folder, {**self._environment, **variables})

    def beside(self, service: str, definition: dict[str, Any], folder: Path) -> "ComposeProject":
        """A project of one service under a name of its own.

        Args:
            service: Name of the service.
            definition: What a compose file would say of it, every variable filled in.
            folder: Where its compose file is written.
        """
        name = f"{self.name}-beside"
        file = folder / "compose.json"
        named = {kind: every for kind, every in self.config.items() if kind in ("configs", "secrets")}
        content = {"name": name, "services": {service: definition}, **named}
        file.write_text(json.dumps(content), encoding="utf-8")
        return ComposeProject(folder, {**self._environment, "COMPOSE_FILE": str(file), "COMPOSE_PROJECT_NAME": name})

    @cached_property
    def config(self) -> dict[str, Any]:
        """The merged compose files with every variable filled in."""
        config: dict[str, Any] = json.loads(self.compose("config", "--format", "json"))
        return config

    @property
    def name(self) -> str:
        """What Compose calls the project: the folder's name, unless another is set."""
        return str(self.config["name"])

    def service(self, name: str) -> dict[str, Any]:
        """The definition of a service.

        Raises:
            LaunchError: If there is none of this name.
        """
        services: dict[str, dict[str, Any]] = self.config["services"]
        if name not in services:
            raise LaunchError(f"no service {name!r} in the compose files; there are: {', '.join(services)}")
        return services[name]

    def image_name(self, service: str) -> str:
        """The name of a service's image; of one that is built, Compose makes it of the names of project and service."""
        return str(self.service(service).get("image") or f"{self.name}-{service}")

    def image(self, service: str) -> Image | None:
        """The image of a service, or None where it is not here yet."""
        with translated("docker image inspect"), contextlib.suppress(ImageNotFound):
            return self.engine.images.get(self.image_name(service))
        return None

    def container(self, service: str) -> Container | None:
        """The container of a service, running or not, or None."""
        return next((one for one in self.containers() if one.labels[f"{COMPOSE_LABEL}.service"] == service), None)

    def containers(self) -> list[Container]:
        """Every container of the project, running or not, apart from those of `docker compose run`."""
        labels = [f"{COMPOSE_LABEL}.project={self.name}", f"{COMPOSE_LABEL}.oneoff=False"]
        with translated("docker ps"):
            # One that goes away meanwhile is left out.
            return list(self.engine.containers.list(all=True, filters={"label": labels}, ignore_removed=True))

    def networks(self) -> set[str]:
        """Names of the project's networks."""
        with translated("docker network ls"):
            found = self.engine.networks.list(filters={"label": f"{COMPOSE_LABEL}.project={self.name}"})
        return {str(one.name) for one in found}

    def compose(self, *arguments: str) -> str:
        """Run `docker compose` and return what it wrote to standard output.

        Raises:
            LaunchError: If it fails, with the remedy where the failure is a known one.
        """
        return self.run("compose", *arguments)

    def run(self, *arguments: str) -> str:
        """Run `docker` and return what it wrote to standard output."""
        assert self._program is not None
        try:
            done = subprocess.run(
                [self._program, *arguments],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
            )
        except OSError as error:
            raise LaunchError(f"{self._program} cannot be run: {error.strerror}") from error
        if done.returncode:
            raise LaunchError(explain(done.stderr or done.stdout, f"docker {' '.join(arguments[:2])}"))
        return done.stdout.strip()

    def copy_out(self, container: Container, source: str, target: Path) -> None:
        """Copy a folder from a container, running or not, with its volumes."""
        with translated(f"docker cp {source}"):
            chunks, _ = container.get_archive(source)
            content = io.BytesIO(b"".join(chunks))
        with tarfile.open(fileobj=content) as archive:
            archive.extractall(target, filter="data")

    def _address(self) -> str | None:
        """Where the daemon of the current Docker context listens; the SDK alone knows the default context only."""
        if "DOCKER_HOST" in self._environment:
            return self._environment["DOCKER_HOST"]
        found = self.run("context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
        return found or None

    @staticmethod
    def _require(what: str, version: str, oldest: tuple[int, int]) -> None:
        found = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
        if found < oldest:
            raise LaunchError(f"{what} {version} is too old for compose.yaml: install {oldest[0]}.{oldest[1]} or newer")


COMPOSE_LABEL = "com.docker.compose"
"""Prefix of the labels by which Compose knows its containers."""


@contextlib.contextmanager
def translated(action: str) -> Iterator[None]:
    """Turn the SDK's exceptions into `LaunchError` with the remedy."""
    try:
        yield
    except NotFound as error:
        raise LaunchError(f"{action}: {error.explanation or error}") from error
    except APIError as error:
        raise LaunchError(explain(str(error.explanation or error), action)) from error
    except (DockerException, OSError) as error:
        raise LaunchError(explain(str(error), action)) from error
