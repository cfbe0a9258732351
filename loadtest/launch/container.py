"""A server that runs in a container of the stack."""

import json
import math
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil
from docker.models.containers import Container
from docker.models.images import Image

from loadtest.errors import LaunchError, UsageError
from loadtest.launch.compose_project import translated
from loadtest.launch.container_address import address_of, published_ports
from loadtest.launch.first_prediction import Until, await_first_prediction
from loadtest.launch.running import LOG_LINES, RunningServer, ending_of
from loadtest.machine.cgroup import Cgroup, usage_of_stats
from loadtest.machine.holdings import Holdings, descriptors_of
from loadtest.machine.process_tree import process_tree
from loadtest.machine.usage import MIB, Usage
from loadtest.servers.artifact import Artifact
from loadtest.servers.server_folder import Server
from loadtest.wire.single_request import Answer, parse_answer

IMAGE_LABEL = "serving-bakeoff.label"
"""Label of an image that says what tables call the server in it; a stand-in has one."""

INSIDE_S = 10.0
"""The least patience with a request from inside: the shell that sends it has to start."""

EVENTS_S = 3_600
"""How far back the Engine is asked for what happened to a container."""

ASK = r"""
exec 3<>"/dev/tcp/127.0.0.1/$1" || exit
printf '%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n' "$3" "$2" >&3
while IFS= read -r line <&3; do
  printf '%s\n' "$line"
  [[ $line != $'\r' ]] || break
  [[ ${line,,} != content-length:* ]] || length=${line//[^0-9]/}
done
if [[ $length ]]; then head -c "$length" <&3; else cat <&3; fi
"""
"""A request from inside; every server image has bash and coreutils, and few have more."""
PACKAGES = """
import importlib.metadata, json
print(json.dumps({one.name: one.version for one in importlib.metadata.distributions()}))
"""


class ContainerServer(RunningServer):
    """A server in a running container.

    Args:
        server: Its contract.
        artifact: The model it serves.
        container: Where it runs.
        published: Ask it at its published ports, as a user would, and not at the container's own address.
        on_stop: What `stop` does with the container; nothing where it was running before.
    """

    def __init__(
        self,
        server: Server,
        artifact: Artifact,
        container: Container,
        *,
        published: bool,
        on_stop: Callable[[Container], None] = lambda container: None,
    ) -> None:
        self._container = container
        self._on_stop = on_stop
        container.reload()
        self._restarts = container.attrs["RestartCount"]
        self._ready = False
        super().__init__(server, artifact, label_of(container.image, server), "", {})
        try:
            self.host, self.ports = address_of(server, container, published=published)
        except LaunchError:
            self.raise_if_ended()  # what has ended has no address: that is not what is wrong with it
            raise

    @property
    def container_id(self) -> str:
        """The container's id, in full length."""
        return str(self._container.id)

    def await_ready(self, started: float, timeout_s: float, until: Until = await_first_prediction) -> None:
        """Wait for the end of its start.

        Args:
            started: Reading of the monotonic clock at the start of the container; NaN where it ran before.
            timeout_s: Patience, in seconds.
            until: What waits.
        """
        self.started = started
        until(self, started, timeout_s)
        self._ready = True

    @property
    def supervised(self) -> bool:
        """Whether the Engine starts it anew."""
        return str(self._container.attrs["HostConfig"]["RestartPolicy"]["Name"]) in ("always", "unless-stopped")

    def call(self, method: str, port: str, path: str, timeout_s: float = 10.0) -> Answer:
        """Send a request without a body; from inside of the container where the port is not published."""
        number = self.server.ports[port]
        if f"{number}/tcp" in published_ports(self._container):
            return super().call(method, port, path, timeout_s)
        limit = f"{max(timeout_s, INSIDE_S):.0f}"
        try:
            code, output = self._exec("timeout", limit, "bash", "-c", ASK, "ask", str(number), path, method)
        except LaunchError as error:  # it has ended, for which `raise_if_ended` has the reason
            return Answer(0, b"", str(error))
        return parse_answer(output) if code == 0 else Answer(0, b"", output.decode(errors="replace").strip())

    def raise_if_ended(self) -> None:
        """Raise `LaunchError` where the container has ended, or ended and was restarted before it ever answered."""
        with translated("docker inspect"):
            self._container.reload()
        attributes = self._container.attrs
        state = attributes["State"]
        restarted = not self._ready and attributes["RestartCount"] > 0
        ended = state["Status"] not in ("running", "created") or restarted
        starting = not (self._ready or math.isnan(self.started))
        if state["OOMKilled"] and (ended or starting):
            raise self._want_of_memory()
        if not ended:
            return
        if (state["ExitCode"] == 137 and restarted) or self._ran_out_of_memory():
            raise self._want_of_memory()
        raise LaunchError(
            f"{self.server.key} ended with exit code {state['ExitCode']}; its last lines:\n{self.log_tail()}"
        )

    def raise_if_out_of_memory(self) -> None:
        """Raise `LaunchError` where the kernel has ended a process of it at its limit, even if the others go on."""
        with translated("docker inspect"):
            self._container.reload()
        if self._container.attrs["State"]["OOMKilled"]:
            raise self._want_of_memory()

    def _want_of_memory(self) -> LaunchError:
        limit = self._container.attrs["HostConfig"]["Memory"] / MIB
        return LaunchError(
            f"{self.server.key} was killed, most likely for want of memory: its limit is {limit:,.0f} MiB; raise "
            f"SERVER_MEMORY in .env; its last lines:\n{self.log_tail()}"
        )

    def ending(self) -> str:
        """How its first process ended, also where the Engine has started the container again since."""
        with translated("docker inspect"):
            self._container.reload()
        attributes = self._container.attrs
        if attributes["State"]["Status"] in ("running", "created") and attributes["RestartCount"] == self._restarts:
            return ""
        died = self._events("die")
        return ending_of(int(died[-1]["Actor"]["Attributes"]["exitCode"] if died else attributes["State"]["ExitCode"]))

    def _ran_out_of_memory(self) -> bool:
        """Whether the kernel ended a process of it: the container's state forgets that with a restart."""
        return bool(self._events("oom"))

    def _events(self, kind: str) -> list[dict[str, Any]]:
        """What the Engine remembers of one kind, the oldest first."""
        client, now = self._container.client, int(time.time())
        if client is None:
            return []
        wanted = {"container": self.container_id, "event": kind}
        with translated("docker events"):  # one second into the future: the event may come after the container's end
            return list(client.events(since=now - EVENTS_S, until=now + 1, filters=wanted, decode=True))

    def log_tail(self, lines: int = LOG_LINES) -> str:
        """The last lines that the server printed, and what its health check said last."""
        with translated("docker logs"):
            text = self._container.logs(tail=lines).decode(errors="replace")
        health = self._container.attrs["State"].get("Health", {})
        said = [line.strip() for check in health.get("Log", [])[-1:] for line in check["Output"].splitlines()]
        shown = [*text.splitlines(), *(f"(health check: {health['Status']}: {line})" for line in said[:2])]
        return "\n".join(f"  | {line}" for line in shown) or "  (it printed nothing)"

    def send_signal(self, name: str) -> None:
        """Send a signal to the container; the init process in front hands it on to the server's main process.

        One that ends it is taken for a stop by the Engine, which then does not start it anew.
        """
        with translated("docker kill"):
            self._container.kill(signal=name)

    def processes(self) -> list[psutil.Process]:
        """The processes in the container as this machine sees them, without the init process in front.

        Raises:
            UsageError: If the Engine runs on another machine.
        """
        if self._cgroup() is None:
            raise UsageError(
                f"{self.server.key}: the processes of a container are known on Linux only: --launcher local"
            )
        family = process_tree(self._container.attrs["State"]["Pid"])
        return family[1:] if self._container.attrs["HostConfig"]["Init"] else family

    def end_process(self, process: psutil.Process, name: str) -> None:
        """Send a signal to a process from inside, where it has another number and nobody need be root."""
        try:
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii", errors="replace")
        except OSError:
            return  # it has ended by itself
        # The numbers in each namespace of process ids, the innermost last (proc(5)).
        inside = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[-1]
        self._exec("bash", "-c", f"kill -{name.removeprefix('SIG')} {inside}")

    @property
    def memory_limit_mib(self) -> float | None:
        """The container's limit."""
        return self._container.attrs["HostConfig"]["Memory"] / MIB or None

    def limit_memory(self, mib: float) -> None:
        """Change the container's limit of memory.

        Args:
            mib: The new limit; the kernel refuses one that is lower than what is in use and cannot be freed.

        Raises:
            LaunchError: If it is refused.
        """
        with translated("docker update"):
            self._container.update(mem_limit=round(mib * MIB), memswap_limit=round(mib * MIB))

    def usage(self) -> Usage:
        """CPU and memory of the container's cgroup."""
        found = self._cgroup()
        if found is not None:
            return found.usage()
        client = self._container.client
        assert client is not None
        with translated("docker stats"):
            stats = client.api.stats(self.container_id, stream=False, one_shot=True)
            if not self._container.attrs["State"]["Running"]:
                return usage_of_stats({}, 0.0, 0)
            processes = len(self._container.top()["Processes"])
        # Read after the CPU time, so that reading it is not counted.
        code, output = self._exec("cat", "/sys/fs/cgroup/memory.peak")
        return usage_of_stats(stats, float(output) if code == 0 else 0.0, processes)

    def holdings(self) -> Holdings:
        """What the container holds; of an Engine on another machine neither its own memory nor its descriptors."""
        usage, found = self.usage(), self._cgroup()
        if found is None:
            return Holdings.of_usage(usage, math.nan, None)
        return Holdings.of_usage(usage, found.own_mib(), descriptors_of(found.processes()))

    def describe(self) -> dict[str, Any]:
        """Image with its digests, the limits and the fences in effect, and the versions of the Python packages."""
        image, attributes = self._container.image, self._container.attrs
        limits = attributes["HostConfig"]
        return {
            "container": {
                "image": attributes["Config"]["Image"],
                "image_id": image.id if image else None,
                "digests": image.attrs.get("RepoDigests", []) if image else [],
                "image_created": image.attrs.get("Created") if image else None,
            },
            "command": [*(attributes["Config"]["Entrypoint"] or []), *(attributes["Config"]["Cmd"] or [])],
            "limits": {
                "cpus": limits["NanoCpus"] / 1e9 or None,
                "cpuset": limits["CpusetCpus"] or None,
                "memory_mib": limits["Memory"] / MIB or None,
                "pids": limits["PidsLimit"],
            },
            "user": attributes["Config"]["User"],
            "read_only": limits["ReadonlyRootfs"],
            "address": f"{self.host}:{self.ports['rest']}",
            "packages": self._packages,
        }

    def stop(self) -> None:
        """End the container where this program started it."""
        self._on_stop(self._container)

    def _cgroup(self) -> Cgroup | None:
        """The container's cgroup as it is now: a restart makes a new one. None of an Engine on another machine."""
        self._container.reload()
        return Cgroup.find(self._container.attrs["State"]["Pid"], self.container_id)

    @cached_property
    def _packages(self) -> dict[str, str] | None:
        code, output = self._exec("python", "-c", PACKAGES)
        return dict(sorted(json.loads(output).items())) if code == 0 else None

    def _exec(self, *command: str) -> tuple[int, bytes]:
        with translated("docker exec"):
            code, output = self._container.exec_run(list(command))
        assert code is not None  # as it is without stream, socket and detach
        assert isinstance(output, bytes)
        return code, output


def label_of(image: Image | None, server: Server) -> str:
    """What tables call the server in an image."""
    labels = (image.labels if image else None) or {}
    return str(labels.get(IMAGE_LABEL, server.label))


def start_container(container: Container) -> float:
    """Start a created container.

    Returns:
        The reading of the monotonic clock just before.
    """
    before = time.monotonic()
    with translated("docker start"):
        container.start()
    return before
