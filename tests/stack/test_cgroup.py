"""Usage of a container, read from cgroup file systems laid out as the kernel lays them out."""

import math
from pathlib import Path

import pytest

from loadtest.machine.cgroup import Cgroup, usage_of_stats
from loadtest.machine.placement import UNPINNED, Placement, parse_cores, placement_beside
from loadtest.machine.usage import MIB, Usage

ID = "f" * 64


def _write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def test_version_2(tmp_path: Path) -> None:
    """One folder holds everything; the peak is the kernel's own."""
    folder = f"sys/system.slice/docker-{ID}.scope"
    _write(
        tmp_path,
        {
            "proc/7/cgroup": f"0::/system.slice/docker-{ID}.scope\n",
            f"{folder}/cpu.stat": "usage_usec 2500000\nuser_usec 1\n",
            f"{folder}/memory.current": f"{30 * MIB}\n",
            f"{folder}/memory.peak": f"{50 * MIB}\n",
            f"{folder}/memory.stat": f"anon 1\ninactive_file {10 * MIB}\n",
            f"{folder}/cgroup.procs": "7\n8\n",
            f"{folder}/pids.current": "9\n",
        },
    )
    found = Cgroup.find(7, ID, tmp_path / "sys", tmp_path / "proc")
    assert found is not None
    assert found.version == 2
    assert found.usage() == Usage(2.5, 50.0, 20.0, 2, 9)


def test_version_2_before_linux_5_19(tmp_path: Path) -> None:
    """Where the kernel keeps no peak, the present value stands in its place."""
    _write(
        tmp_path,
        {
            "cpu.stat": "usage_usec 1000000\n",
            "memory.current": f"{30 * MIB}\n",
            "memory.stat": "inactive_file 0\n",
            "cgroup.procs": "7\n",
            "pids.current": "1\n",
        },
    )
    assert Cgroup(tmp_path, tmp_path, tmp_path, 2).usage().peak_mib == 30.0


def test_version_1(tmp_path: Path) -> None:
    """Each controller has a folder of its own."""
    lines = [f"{number}:{name}:/docker/{ID}" for number, name in ((4, "memory"), (3, "pids"), (2, "cpu,cpuacct"))]
    _write(
        tmp_path,
        {
            "proc/7/cgroup": "\n".join([*lines, f"0::/docker/{ID}"]) + "\n",
            f"sys/cpuacct/docker/{ID}/cpuacct.usage": "1500000000\n",
            f"sys/memory/docker/{ID}/memory.usage_in_bytes": f"{40 * MIB}\n",
            f"sys/memory/docker/{ID}/memory.max_usage_in_bytes": f"{60 * MIB}\n",
            f"sys/memory/docker/{ID}/memory.stat": f"cache 3\ntotal_inactive_file {4 * MIB}\n",
            f"sys/pids/docker/{ID}/cgroup.procs": "7\n",
            f"sys/pids/docker/{ID}/pids.current": "3\n",
        },
    )
    found = Cgroup.find(7, ID, tmp_path / "sys", tmp_path / "proc")
    assert found is not None
    assert found.version == 1
    assert found.usage() == Usage(1.5, 60.0, 36.0, 1, 3)


@pytest.mark.parametrize("line", ["0::/\n", "0::/system.slice/other.scope\n"])
def test_an_engine_elsewhere_is_not_mistaken_for_this_machine(tmp_path: Path, line: str) -> None:
    """The process of that number here is another one, so nothing is read from it."""
    _write(tmp_path, {"proc/7/cgroup": line})
    assert Cgroup.find(7, ID, tmp_path / "sys", tmp_path / "proc") is None
    assert Cgroup.find(8, ID, tmp_path / "sys", tmp_path / "proc") is None


def test_memory_that_no_file_backs_is_told_apart(tmp_path: Path) -> None:
    """Under the names of both versions; where the container is gone, it is not known and there is no process."""
    _write(tmp_path, {"memory.stat": f"anon {8 * MIB}\nfile 5\nshmem {2 * MIB}\n", "cgroup.procs": "7\n8\n"})
    found = Cgroup(tmp_path, tmp_path, tmp_path, 2)
    assert (found.own_mib(), found.processes()) == (10.0, [7, 8])
    _write(tmp_path, {"memory.stat": f"rss 1\ntotal_rss {3 * MIB}\ntotal_shmem {4 * MIB}\n"})
    assert Cgroup(tmp_path, tmp_path, tmp_path, 1).own_mib() == 7.0
    gone = Cgroup(tmp_path / "gone", tmp_path / "gone", tmp_path / "gone", 2)
    assert math.isnan(gone.own_mib())
    assert gone.processes() == []


def test_a_container_that_is_gone_used_nothing(tmp_path: Path) -> None:
    """A control group that is gone reads as zero, as a process that has ended does."""
    assert Cgroup(tmp_path, tmp_path, tmp_path, 2).usage() == Usage(0.0, 0.0, 0.0, 0, 0)
    assert usage_of_stats({"pids_stats": {}}, 0.0, 0) == Usage(0.0, 0.0, 0.0, 0, 0)


@pytest.mark.parametrize(
    ("memory", "peak"),
    [
        ({"usage": 30 * MIB, "max_usage": 70 * MIB, "stats": {"total_inactive_file": 10 * MIB}}, 70.0),
        ({"usage": 30 * MIB, "stats": {"inactive_file": 10 * MIB}}, 55.0),
    ],
    ids=["version 1", "version 2"],
)
def test_the_engines_report(memory: dict[str, object], peak: float) -> None:
    """For an Engine on another machine the report is read; version 2 lacks the peak, which comes from inside."""
    stats = {
        "pids_stats": {"current": 4},
        "memory_stats": memory,
        "cpu_stats": {"cpu_usage": {"total_usage": 3_000_000_000}},
    }
    assert usage_of_stats(stats, 55.0 * MIB, 2) == Usage(3.0, peak, 20.0, 2, 4)


@pytest.mark.parametrize(
    ("text", "cores"), [("", set()), ("0", {0}), ("0-2,5", {0, 1, 2, 5}), ("3,1", {1, 3})], ids=repr
)
def test_lists_of_cores(text: str, cores: set[int]) -> None:
    """The kernel's format for sets of cores."""
    assert parse_cores(text) == cores


def test_the_client_takes_a_core_that_no_server_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last of the others, or none at all where there are too few."""
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 1, 2, 3})
    assert placement_beside((0, 3)) == Placement((0, 3), (2,))
    assert placement_beside((0,), client_cores=2) == Placement((0,), (2, 3))
    assert placement_beside((0, 1, 2, 3)) == UNPINNED
    assert placement_beside(()) == UNPINNED
