"""The real thing, in its short form: real servers, killed, overloaded and given other models."""

from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from loadtest.cli import cli
from loadtest.resilience.parts import NEXT
from loadtest.resilience.process_end import MAIN, STOP, WORKER
from loadtest.resilience.resilience_file import Resilience, read_resilience
from loadtest.resilience.rollout_result import CORRUPT, TO_NEXT
from loadtest.servers.artifact import artifacts_root


def found(tmp_path: Path, *words: str) -> Resilience:
    """Runs a command and returns what it found of the one server."""
    outcome = CliRunner().invoke(cli, [*words, "--quick", "--any-port", "--out", str(tmp_path)], catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    assert psutil.Process().children() == [] or not [
        one for one in psutil.Process().children(recursive=True) if "flask_server" in " ".join(one.cmdline())
    ]
    assert (tmp_path / "resilience.html").is_file()
    (server,) = read_resilience(tmp_path / "resilience.json").servers.values()
    return server


def check_ends(server: Resilience) -> None:
    """A stop loses no request, and nothing is ever left over."""
    assert server.crash is not None
    ends = {one.ended: one for one in server.crash}
    for one in ends.values():
        assert one.wrong == 0
        assert one.orphans == 0
    assert not ends[STOP].lost
    assert ends[MAIN].port_free


def check_rollout(server: Resilience) -> None:
    """No request is lost, no answer is of two versions, and no corrupt version answers."""
    assert server.rollout is not None
    assert server.rollout.faults == []
    steps = {step.change: step for step in server.rollout.steps}
    assert steps.keys() >= {TO_NEXT, CORRUPT}
    for step in steps.values():
        assert step.requests > 0
        assert step.mixed == 0 or step.change not in (TO_NEXT, CORRUPT)
        assert step.unwanted == 0
    assert steps[TO_NEXT].first_s >= 0


@pytest.mark.slow
def test_flask_under_fire(tmp_path: Path) -> None:
    """Every part, and the page."""
    server = found(tmp_path, "resilience", "--servers", "flask_server")
    check_ends(server)
    check_rollout(server)
    assert server.crash is not None
    assert WORKER in {one.ended for one in server.crash}
    assert server.overload is not None
    for level in server.overload.levels:
        assert level.wrong == 0
        assert level.in_time + sum(level.errors.values()) <= level.requests
    assert server.overload.levels[-1].errors["http_503"] > 0
    assert server.leave is not None
    assert all(one.right_afterwards for one in server.leave)
    assert server.hostile is not None
    (hostile,) = server.hostile
    assert (hostile.server, hostile.wire, hostile.own_code) == ("flask_server", "http", True)
    assert hostile.failures == []
    assert hostile.whole.held is not None


@pytest.mark.slow
def test_the_embedded_server_under_fire(tmp_path: Path) -> None:
    """Part by part into one file; the second command keeps what the first one found."""
    found(tmp_path, "crash", "--servers", "tf_serving")
    server = found(tmp_path, "rollout", "--servers", "tf_serving")
    check_ends(server)
    check_rollout(server)
    assert server.rollout is not None
    canary = server.rollout.canary
    assert canary is not None
    assert canary.present > canary.next > 0
    assert (canary.wrong, canary.lost) == (0, {})


@pytest.mark.slow
def test_torchserve_exchanges_its_model(tmp_path: Path) -> None:
    """By its management API, with a canary by version in between."""
    server = found(tmp_path, "rollout", "--servers", "torchserve")
    check_rollout(server)


@pytest.mark.slow
def test_clients_that_leave_bring_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that asks for one answers those that wait, so that there is a cost to compare with."""
    monkeypatch.setenv("FLASK_SERVER_BEARER_TOKEN", "a-token-of-forty-characters-0123456789ab")
    server = found(tmp_path, "leave", "--servers", "flask_server")
    assert server.leave is not None
    for one in server.leave:
        assert one.waited_cpu_s > 0
        assert one.right_afterwards


def test_a_rollout_without_the_next_version_says_how_to_build_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, before anything is started."""
    monkeypatch.setenv("BAKEOFF_ARTIFACTS", str(tmp_path))
    assert artifacts_root() / NEXT == tmp_path / NEXT
    with pytest.raises(Exception, match=r"python -m models build digits --next"):
        CliRunner().invoke(cli, ["rollout", "--out", str(tmp_path)], catch_exceptions=False)
