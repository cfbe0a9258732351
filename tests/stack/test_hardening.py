"""The fences of the stack, looked at from inside and from outside of the running containers."""

import socket

import pytest

from tests.stack.stack import SERVERS, Stack

pytestmark = [pytest.mark.stack, pytest.mark.slow]
SERVICES = pytest.mark.parametrize("service", SERVERS)


@SERVICES
def test_nobody_is_root(stack: Stack, service: str) -> None:
    """Every process of the container belongs to the same plain user and group."""
    assert stack.inside(service, "id -u; id -g; id -G") == "10001\n10001\n10001"
    owners = stack.inside(service, "stat -c %u /proc/[0-9]*").split()
    assert set(owners) == {"10001"}


@SERVICES
def test_no_capabilities_and_no_way_to_new_ones(stack: Stack, service: str) -> None:
    """All capability sets are empty, setuid programs give nothing, and system calls are filtered."""
    lines = stack.inside(service, "cat /proc/self/status").splitlines()
    status = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[capabilities], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"


@SERVICES
@pytest.mark.parametrize("folder", ["/", "/usr/bin", "/app", "/etc"])
def test_the_root_file_system_is_read_only(stack: Stack, service: str, folder: str) -> None:
    """Nothing can be written beside the program."""
    assert _write(stack, service, folder) == "Read-only file system"


@SERVICES
def test_the_artifacts_are_read_only(stack: Stack, service: str) -> None:
    """A server cannot alter the model that its neighbours serve."""
    assert _write(stack, service, "/models" if service == "tf_serving" else "/artifacts") == "Read-only file system"


@SERVICES
def test_scratch_space_is_limited_and_runs_no_programs(stack: Stack, service: str) -> None:
    """/tmp is in memory, of a set size, and nothing in it can be executed."""
    options = stack.inside(service, "grep ' /tmp ' /proc/mounts").split()[3].split(",")
    assert {"noexec", "nosuid", "nodev"} <= set(options)
    assert any(option.startswith("size=") for option in options)


@SERVICES
def test_ports_are_published_on_loopback_alone(stack: Stack, service: str) -> None:
    """What is published is bound to 127.0.0.1 and cannot be reached at another address of this machine."""
    bindings = [one for ports in stack.container(service).attrs["NetworkSettings"]["Ports"].values() for one in ports]
    assert bindings
    assert {one["HostIp"] for one in bindings} == {"127.0.0.1"}
    network = next(iter(stack.container(service).attrs["NetworkSettings"]["Networks"].values()))
    assert not _listens(network["Gateway"], stack.port(service))
    assert _listens("127.0.0.1", stack.port(service))


@pytest.mark.parametrize("port", [8081, 7071])
def test_torchserve_is_managed_from_its_own_loopback_alone(stack: Stack, port: int) -> None:
    """Management is not published and a neighbour cannot reach it, though it listens inside."""
    assert not _is_published(stack, "torchserve", port)
    connect = "exec 3<>/dev/tcp/{host}/{port} && echo yes || echo no"
    assert stack.inside("torchserve", connect.format(host="127.0.0.1", port=port)).endswith("yes")
    assert stack.inside("flask_server", f"({connect.format(host='torchserve', port=port)}) 2>/dev/null") == "no"
    assert stack.inside("flask_server", connect.format(host="torchserve", port=8080)) == "yes"


def test_where_torchserve_tells_its_metrics_nothing_can_be_managed(stack: Stack) -> None:
    """Prometheus, a neighbour, reads them; they are not published, and there is nothing else at that port."""
    assert not _is_published(stack, "torchserve", 8082)
    ask = """
exec 3<>/dev/tcp/torchserve/8082
printf '{request} HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n' >&3
timeout 5 head -c 12 <&3"""
    for request, status in (
        ("GET /metrics", 200),
        ("GET /models", 404),
        ("POST /models?url=x.mar", 404),
        ("DELETE /models/digits", 404),
        ("PUT /models/digits?min_worker=0", 404),
        ("POST /predictions/digits", 404),
    ):
        assert stack.inside("flask_server", ask.format(request=request)) == f"HTTP/1.1 {status}", request


def test_every_server_has_the_same_resources(stack: Stack) -> None:
    """CPU quota, cores, memory without swap and number of processes are equal and are set."""
    limits = []
    for service in SERVERS:
        host = stack.container(service).attrs["HostConfig"]
        limits.append([host[name] for name in ("NanoCpus", "CpusetCpus", "Memory", "MemorySwap", "PidsLimit")])
    assert limits[0] == limits[1] == limits[2]
    assert all(limits[0])


@SERVICES
def test_docker_is_out_of_reach(stack: Stack, service: str) -> None:
    """No container has the Engine's socket or more privileges than the default."""
    attributes = stack.container(service).attrs
    assert not attributes["HostConfig"]["Privileged"]
    assert not [mount for mount in attributes["Mounts"] if "docker.sock" in mount["Source"]]


def _is_published(stack: Stack, service: str, port: int) -> bool:
    """Whether a port of a container can be reached from this machine's addresses."""
    return bool(stack.container(service).attrs["NetworkSettings"]["Ports"].get(f"{port}/tcp"))


def _write(stack: Stack, service: str, folder: str) -> str:
    """What the system says to a new file in a folder."""
    said = stack.inside(service, f"touch {folder}/new 2>&1 || true")
    return said.rpartition(": ")[2]


def _listens(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=2.0):
            return True
    except OSError:
        return False
