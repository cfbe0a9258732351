"""`python -m loadtest run` as its users have it: in a process of its own, with arguments and signals."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from loadtest.judge.method import METHOD
from loadtest.load.bursty import Gamma
from loadtest.servers.server_toml import load_servers
from tests.cli.changed_process import after
from tests.wire.programmable import RIGHT, Listening, Programmable

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "loadtest", "run"]
NUMBERS = {"mean", "p50", "p90", "p95", "p99", "p99_9", "max"}


def loadtest(*arguments: str, first: str = "", **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run the command to its end, in a process to which something is done first."""
    command = after(first, [*COMMAND, *arguments])
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, **options)


def short(port: Listening, *arguments: str) -> tuple[str, ...]:
    """Arguments of a run of half a second: 50 requests, unless others say otherwise."""
    return (port.url, "--no-pin", "--warmup", "0", "--duration", "0.5", "--schedule", "constant", *arguments)


def assert_one_line(done: "subprocess.CompletedProcess[str]", *words: str) -> None:
    """A clear message, no traceback, no result and an exit code that is not 0."""
    assert done.returncode != 0
    assert done.stdout == ""
    message = done.stderr.strip().splitlines()
    assert message, "no message"
    assert "Traceback" not in done.stderr
    # The command line's own messages begin with a usage line and a hint.
    assert len([line for line in message if not line.startswith(("Usage:", "Try "))]) <= 1 + message.count("")
    for word in words:
        assert word in done.stderr


def test_json_has_the_names_that_scripts_read(programmable: Programmable, tmp_path: Path) -> None:
    """Every documented key, exactly, on the standard output and nothing else there."""
    right = tmp_path / "right"
    right.write_bytes(RIGHT)
    port = programmable.listen("fixed")
    done = loadtest(*short(port, "--rate", "200", "--expect", str(right), "--json", "-"))
    document = json.loads(done.stdout)
    assert (document["schema_version"], document["method"]) == (3, METHOD)
    assert document["requests"] == {"scheduled": 100, "sent": 100, "ok": 100, "mismatched": 0, "errors": {}}
    assert document["throughput_rps"] == pytest.approx(200, rel=0.5)
    assert set(document["response_time_ms"]) == set(document["service_time_ms"]) == NUMBERS
    assert set(document["send_lag_ms"]) == {"p50", "p99", "max"}
    assert isinstance(document["verdict"]["valid"], bool)
    assert isinstance(document["verdict"]["reasons"], list)
    assert document["verdict"]["valid"] is not bool(document["verdict"]["reasons"])
    assert done.returncode == (0 if document["verdict"]["valid"] else 1)
    times = document["response_time_ms"]
    assert 0 < times["p50"] <= times["p90"] <= times["max"]
    assert times["p99"] is times["p99_9"] is None, "100 answers are too few for p99"
    assert port.counts["requests"] == 100


def test_json_to_a_file_leaves_the_table_on_the_screen(programmable: Programmable, tmp_path: Path) -> None:
    """The file has the whole result, and the screen says in words whether it is valid."""
    out = tmp_path / "result.json"
    done = loadtest(*short(programmable.listen("fixed"), "--json", str(out)))
    document = json.loads(out.read_text(encoding="utf-8"))
    assert ("INVALID" in done.stdout) is not document["verdict"]["valid"]
    assert "VALID" in done.stdout
    assert "50 of 50 answered correctly" in done.stdout


def test_kernel_stamps_are_told_or_refused(programmable: Programmable, tmp_path: Path) -> None:
    """The result says who told the receive lag, the table has its row, and TLS is refused in one line."""
    port = programmable.listen("fixed", delay_ms=1)
    out = tmp_path / "result.json"
    for options, by, words in (
        ((), "loop", "receive lag ≤"),
        (("--kernel-stamps",), "kernel", "the client's share by the kernel's time stamps: "),
    ):
        done = loadtest(*short(port, "--json", str(out), *options))
        document = json.loads(out.read_text(encoding="utf-8"))
        assert document["receive_lag_by"] == by
        assert 0 <= document["receive_lag_ms"]["p50"] <= document["receive_lag_ms"]["max"]
        assert words in done.stdout
    assert_one_line(loadtest("https://127.0.0.1:1/", "--kernel-stamps"), "no TLS")


def test_wrong_answers_end_in_exit_code_1(programmable: Programmable, tmp_path: Path) -> None:
    """INVALID, with the reason in words, and exit code 1."""
    right = tmp_path / "right"
    right.write_bytes(RIGHT)
    done = loadtest(*short(programmable.listen("wrong"), "--expect", str(right)))
    assert done.returncode == 1
    assert "INVALID" in done.stdout
    assert "50 of 50 answers were wrong" in done.stdout
    assert done.stderr == ""


def test_options_reach_the_wire(programmable: Programmable, tmp_path: Path) -> None:
    """Body, method and header are sent as given: the echo of the body is right, and a bad header is refused."""
    body = tmp_path / "body"
    body.write_bytes(b'{"instances": []}')
    port = programmable.listen("echo")
    done = loadtest(*short(port, "--body", str(body), "--expect", str(body), "--method", "PUT", "--json", "-"))
    assert json.loads(done.stdout)["requests"]["ok"] == 50
    assert_one_line(loadtest(*short(port, "--header", "no colon")), "--header 'no colon'")


@pytest.mark.parametrize("kind", ["ramp", "replay", "closed", "gamma"])
def test_schedules_and_processes_reach_the_run(programmable: Programmable, tmp_path: Path, kind: str) -> None:
    """A curve, a recording and the closed loop, each in two processes."""
    offsets = tmp_path / "offsets"
    offsets.write_text("0.0\n0.1\n0.2\n", encoding="utf-8")
    options = {
        "ramp": ["--rate", "50:150"],
        "replay": ["--replay", str(offsets)],
        "closed": [],
        "gamma": ["--cv", "3"],
    }[kind]
    port = programmable.listen("fixed", delay_ms=2)
    done = loadtest(*short(port, "--processes", "2", "--json", "-", "--schedule", kind, *options))
    document = json.loads(done.stdout)
    assert (document["run"]["schedule"], document["run"]["processes"]) == (kind, 2)
    assert document["requests"]["ok"] == document["requests"]["scheduled"] == port.counts["requests"] > 0
    assert kind != "replay" or document["requests"]["ok"] == 3


def test_a_trace_is_replayed_with_its_time_stretched(programmable: Programmable, tmp_path: Path) -> None:
    """A CSV file of dates: --replay is enough to ask for it, and half the time is twice the rate."""
    trace = tmp_path / "trace.csv"
    trace.write_text(
        "TIMESTAMP,x\n" + "".join(f"2024-05-10 00:00:0{n / 10:.1f},1\n" for n in range(9)), encoding="utf-8"
    )
    port = programmable.listen("fixed")
    runs = [
        json.loads(
            loadtest(port.url, "--no-pin", "--warmup", "0", "--json", "-", "--replay", str(trace), *options).stdout
        )
        for options in ((), ("--stretch", "0.5"), ("--rate", "45"))
    ]
    assert [run["run"]["schedule"] for run in runs] == ["replay"] * 3
    assert [round(run["run"]["duration_s"], 6) for run in runs] == [0.8, 0.4, 0.2]
    assert [run["requests"]["ok"] for run in runs] == [9, 9, 9]


def test_bursty_arrivals_in_two_processes_are_those_of_one(programmable: Programmable) -> None:
    """One draw dealt out: exactly the number of requests that one process would have sent."""
    port = programmable.listen("fixed")
    options = ("--schedule", "gamma", "--cv", "3", "--rate", "200", "--json", "-")
    one, two = (
        json.loads(loadtest(*short(port), *options, "--processes", number).stdout)["requests"]["scheduled"]
        for number in ("1", "2")
    )
    assert one == two == sum(1 for _ in Gamma(200.0, 0.5, 3.0).times(1))


def test_a_closed_loop_is_shown_corrected_too(programmable: Programmable) -> None:
    """Beside the uncorrected one, in the table and in the JSON, with the interval that it assumes."""
    port = programmable.listen("fixed", delay_ms=2)
    done = loadtest(*short(port), "--schedule", "closed")
    assert "corrected" in done.stdout
    assert "it assumes that each connection would have" in " ".join(done.stdout.split())
    document = json.loads(loadtest(*short(port), "--schedule", "closed", "--json", "-").stdout)
    assert document["corrected_response_time_ms"]["max"] == document["response_time_ms"]["max"]
    assert document["expected_interval_ms"] > 2
    opened = loadtest(*short(port))
    assert "corrected" not in opened.stdout
    assert "95 % from" in opened.stdout


def test_credentials_are_sent_and_not_told(programmable: Programmable) -> None:
    """The server gets those of the address; the result, the table and the messages do not."""
    port = programmable.listen("needing", field="authorization", value="Basic dXNlcjpzZWNyZXQ=")
    command = short(port, "--rate", "100")
    command = (command[0].replace("://", "://user:secret@"), *command[1:])
    document = json.loads(loadtest(*command, "--json", "-").stdout)
    assert document["requests"]["ok"] == 50
    assert document["run"]["target"] == port.url
    done = loadtest(*command)
    assert "50 of 50 answered correctly" in done.stdout
    assert "secret" not in done.stdout + done.stderr


def test_timeout_holds_for_every_answer(programmable: Programmable) -> None:
    """A limit that no server can keep: not one answer is right, and the run is invalid."""
    done = loadtest(*short(programmable.listen("fixed"), "--timeout", "1e-9", "--json", "-"))
    requests = json.loads(done.stdout)["requests"]
    assert requests["ok"] == 0
    assert sum(requests["errors"].values()) == requests["scheduled"] == 50
    assert set(requests["errors"]) == {"timeout"}
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rate", "0"], ["rate must be above 0"]),
        (["--rate", "-1"], ["rate must be above 0"]),
        (["--rate", "1000001"], ["at most 1,000,000"]),
        (["--rate", "nan"], ["rate must be above 0"]),
        (["--rate", "fast"], ["--rate must be above 0", "not 'fast'"]),
        (["--rate", "1:2"], ["several rates are for"]),
        (["--connections", "0"], ["--connections must be a whole number from 1 to 10,000"]),
        (["--connections", "1000000"], ["--connections must be a whole number from 1 to 10,000"]),
        (["--processes", "0"], ["--processes must be a whole number from 1"]),
        (["--duration", "0"], ["duration must be above 0"]),
        (["--duration", "inf"], ["duration must be above 0"]),
        (["--duration", "1e300"], ["duration must be above 0"]),
        (["--timeout", "nan"], ["timeout must be above 0"]),
        (["--warmup", "-1"], ["--warmup must be from 0"]),
        (["--seed", "-1"], ["--seed must be a whole number from 0"]),
        (["--body", "/no/such/file"], ["cannot read /no/such/file"]),
        (["--expect", "/no/such/file"], ["cannot read /no/such/file"]),
        (["--schedule", "replay"], ["--replay FILE"]),
        (["--schedule", "gamma", "--cv", "0"], ["--cv must be above 0"]),
        (["--cv", "2"], ["--cv is for --schedule gamma"]),
        (["--stretch", "2"], ["--stretch is for --schedule replay"]),
        (["--replay", "/no/such/file"], ["cannot read the replay file /no/such/file"]),
        (["--schedule", "constant", "--replay", "/no/such/file"], ["--replay is for --schedule replay"]),
        (["--replay", "/no/such/file", "--rate", "5", "--stretch", "2"], ["leave one out"]),
        (["--schedule", "steady"], ["'steady' is not one of"]),
        (["--method", "two words"], ["method must be one word"]),
    ],
    ids=" ".join,
)
def test_bad_arguments_end_in_one_line(arguments: list[str], words: list[str]) -> None:
    """Nothing is sent, and the line says which argument it is."""
    assert_one_line(loadtest("http://127.0.0.1:9/", "--warmup", "0", *arguments), *words)


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("http://no-such-host.invalid/", "cannot resolve the host"),
        ("http://a..b/", "cannot resolve the host"),
        ("http://127.0.0.1:99999/", "not a usable address"),
        ("gopher://127.0.0.1/", "gopher"),
        ("no_such_server", "no_such_server"),
    ],
)
def test_bad_targets_end_in_one_line(url: str, word: str) -> None:
    """An address that cannot be used, and a name that is no server's."""
    assert load_servers(), "there are servers to name"
    assert_one_line(loadtest(url, "--warmup", "0"), word)


def test_refused_connection_is_an_invalid_result_and_no_exception() -> None:
    """Nobody listens there: a result in JSON with its errors by kind, exit code 1."""
    done = loadtest("http://127.0.0.1:9/", "--no-pin", "--warmup", "0", "--duration", "0.3", "--json", "-")
    document = json.loads(done.stdout)
    assert done.returncode == 1
    assert set(document["requests"]["errors"]) == {"connection_refused"}
    assert done.stderr == ""


def test_out_of_file_descriptors_is_an_error_kind(programmable: Programmable) -> None:
    """A limit of 64 and 200 connections: the run ends, and says what it ran out of."""
    limit = "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))"
    port = programmable.listen("fixed", delay_ms=300)
    done = loadtest(*short(port, "--connections", "200", "--rate", "400", "--timeout", "2", "--json", "-"), first=limit)
    document = json.loads(done.stdout)
    assert done.returncode == 1
    assert document["verdict"]["reasons"][0]["code"] == "no_file_descriptors"
    requests = document["requests"]
    assert set(requests["errors"]) == {"out_of_file_descriptors"}
    assert requests["ok"] == port.counts["requests"] > 0
    assert requests["ok"] + requests["errors"]["out_of_file_descriptors"] == requests["scheduled"] == 200
    assert "Traceback" not in done.stderr


class Long:
    """A run of a minute, under way, in a session of its own."""

    def __init__(self, port: Listening, *options: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, port.url, "--no-pin", "--duration", "60", "--processes", "2", "--json", "-", *options],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        deadline = time.monotonic() + 30
        while port.counts["requests"] < 20:
            assert time.monotonic() < deadline, "the run did not begin"
            time.sleep(0.02)
        assert len(self.left()) >= 3

    def left(self) -> list[int]:
        """Processes of the session that are still there."""
        alive = []
        for process in psutil.process_iter():
            try:
                if os.getsid(process.pid) == self.process.pid and process.status() != psutil.STATUS_ZOMBIE:
                    alive.append(process.pid)
            except (ProcessLookupError, psutil.Error):
                continue
        return alive

    def assert_nothing_left(self) -> None:
        """Wait until every process of the session is gone."""
        deadline = time.monotonic() + 20
        while self.left() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert self.left() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("whole_group", [True, False], ids=["whole group", "parent alone"])
def test_interrupted_run_leaves_no_process(
    programmable: Programmable, number: signal.Signals, whole_group: bool
) -> None:
    """Ctrl-C reaches the whole group, a plain kill the parent alone: no traceback, no child, the signal's exit code."""
    run = Long(programmable.listen("fixed"))
    (os.killpg if whole_group else os.kill)(run.process.pid, number)
    out, err = run.process.communicate(timeout=20)
    assert run.process.returncode == 128 + number
    assert out == ""
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1
    run.assert_nothing_left()


@pytest.mark.parametrize("warmup", ["0", "60"])
def test_killed_run_leaves_no_client(programmable: Programmable, warmup: str) -> None:
    """Even a parent that is given no chance leaves no load behind: its clients notice that nobody listens."""
    run = Long(programmable.listen("fixed"), "--warmup", warmup)
    run.process.kill()
    out, err = run.process.communicate(timeout=20)
    assert (out, err) == ("", "")
    run.assert_nothing_left()
