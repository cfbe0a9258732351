"""Whether what is measured in two sittings may stand in one table: what the numbers depend on beside the plan."""

from collections.abc import Mapping
from dataclasses import dataclass

from loadtest.machine.host import Host


@dataclass(frozen=True)
class Surroundings:
    """Where, with what and by which method a comparison is measured.

    Attributes:
        method: How it is measured; see `loadtest.judge.method`.
        launcher: Name of the launcher.
        host: The machine.
        release: Version of the load tester.
        servers: Digest of each server's folder, and of the files of its configuration, by its key.
        software: Versions of what the servers run on, by name.
    """

    method: int
    launcher: str
    host: Host
    release: str
    servers: Mapping[str, str]
    software: Mapping[str, str]

    def apart(self, later: "Surroundings") -> list[str]:
        """What keeps numbers of a later sitting from being put together with these, in words; empty where nothing does.

        A processor, a core more, another version of the interpreter or of a library change how fast a server or its
        client is, and a changed file of a server makes it another server.
        """
        one, two = self.host, later.host
        pairs: list[tuple[str, object, object]] = [
            ("the method", self.method, later.method),
            ("the launcher", self.launcher, later.launcher),
            ("the processor", one.cpu, two.cpu),
            ("the number of cores", one.cores, two.cores),
            ("the architecture", one.machine, two.machine),
            ("Python", one.python, two.python),
            *_of_each(one.client_packages, two.client_packages),
            *_of_each(self.software, later.software),
        ]
        changed = [f"the files of {key}" for key in self.servers if later.servers.get(key) != self.servers[key]]
        return _told(pairs) + changed

    def changed(self, later: "Surroundings") -> list[str]:
        """What else is not as it was, and has to be told: by itself it makes no number incomparable."""
        one, two = self.host, later.host
        pairs: list[tuple[str, object, object]] = [
            ("the system", one.system, two.system),
            ("the memory, GiB", one.memory_gib, two.memory_gib),
            ("the version of loadtest", self.release, later.release),
        ]
        return _told(pairs)


def _of_each(one: Mapping[str, str], two: Mapping[str, str]) -> list[tuple[str, object, object]]:
    return [(name, one.get(name, "none"), two.get(name, "none")) for name in dict.fromkeys([*one, *two])]


def _told(pairs: list[tuple[str, object, object]]) -> list[str]:
    return [f"{name} ({one}, now {two})" for name, one, two in pairs if one != two]
