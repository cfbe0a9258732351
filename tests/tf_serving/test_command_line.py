"""The command line of tensorflow_model_server, and what a start can fail of."""

import os
import socket
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from loadtest.servers.server_toml import load_servers
from tests.tf_serving import saved_models
from tests.tf_serving.process import ROOT, command, free_port
from tf_serving.embedded.config_files import BatchingParameters, read_batching, read_metrics_path
from tf_serving.embedded.errors import ServingError
from tf_serving.embedded.flags import FlagError, Options, parse

BASE = "--model_base_path=/models/m"


def run(*flags: str) -> subprocess.CompletedProcess[str]:
    """Runs the server to its end."""
    return subprocess.run(command(*flags), capture_output=True, text=True, cwd=ROOT, timeout=120)


def test_defaults_are_the_real_servers() -> None:
    """What holds when only the model is given."""
    options = parse([BASE])
    cores = len(os.sched_getaffinity(0))
    assert options == Options(
        port=8500,
        rest_api_port=0,
        model_name="default",
        model_base_path="/models/m",
        rest_api_timeout_in_ms=30_000,
        rest_api_num_threads=4 * cores,
        grpc_max_threads=4 * cores,
        file_system_poll_wait_seconds=1,
        max_num_load_retries=5,
        load_retry_interval_micros=60_000_000,
        enable_model_warmup=True,
    )


def test_syntax_is_the_real_parsers() -> None:
    """A bool may go without a value or take true and false in any case; the last of a repeated flag counts."""
    options = parse([BASE, "--enable_batching", "--enable_model_warmup=False", "--port=1", "--port=2"])
    assert (options.enable_batching, options.enable_model_warmup, options.port) == (True, False, 2)
    assert parse([BASE, "--model_name=a=b"]).model_name == "a=b"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--no_such_flag=1"], "unknown argument: --no_such_flag=1"),
        (["word"], "unknown argument: word"),
        (["-port=1"], "unknown argument: -port=1"),
        (["--port", "1"], "--port needs a value"),
        (["--port=x"], "--port takes a number"),
        (["--port=70000"], "--port is not a port"),
        (["--port=99999999999"], "--port is out of range"),
        (["--enable_batching=1"], "--enable_batching takes true or false"),
        (["--port=0"], "--port is not a port: 0"),
        (["--port=5", "--rest_api_port=5"], "must differ"),
        (["--grpc_max_threads=0"], "must be at least 1"),
        (["--batching_parameters_file=f"], "needs --enable_batching"),
        (["--ssl_config_file=f"], "unknown argument: --ssl_config_file=f"),
        (["--use_alts_credentials"], "unknown argument: --use_alts_credentials"),
    ],
)
def test_wrong_flags(flags: list[str], message: str) -> None:
    """Each is told apart in one line."""
    with pytest.raises(FlagError) as caught:
        parse([BASE, *flags])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_batching_parameters(tmp_path: Path) -> None:
    """Text protos with the real names; what is left out has the real default."""
    file = tmp_path / "batching.config"
    flags = ["--enable_batching", f"--batching_parameters_file={file}", BASE]
    file.write_text("max_batch_size { value: 8 } allowed_batch_sizes: [4, 8]")
    assert read_batching(parse(flags)) == BatchingParameters(max_batch_size=8, allowed_sizes=(4, 8))
    file.write_text("pad_variable_length_inputs: true")
    assert read_batching(parse(flags)) == BatchingParameters(pads_lengths=True)
    for text, message in (
        ("enable_large_batch_splitting { value: true }", "cannot parse"),
        ("max_batch_size { value: 8 } allowed_batch_sizes: 4", "Last entry in allowed_batch_sizes must match"),
        ("allowed_batch_sizes: [1000, 4]", "ascending"),
        ("max_batch_size { value: 0 }", "max_batch_size must be positive"),
        ("batch_timeout_micros { value: -1 }", "must not be negative"),
        ("max_batch_sise { value: 8 }", "cannot parse"),
    ):
        file.write_text(text)
        with pytest.raises(ServingError) as caught:
            read_batching(parse(flags))
        assert message in str(caught.value)
    assert read_batching(parse([BASE])) is None


def test_monitoring_config(tmp_path: Path) -> None:
    """The path of the metrics, its default, and none when it is off."""
    file = tmp_path / "monitoring.config"
    options = parse([BASE, f"--monitoring_config_file={file}"])
    for text, path in (
        ('prometheus_config { enable: true path: "/m" }', "/m"),
        ("prometheus_config { enable: true }", "/monitoring/prometheus/metrics"),
        ('prometheus_config { path: "/m" }', None),
        ("", None),
    ):
        file.write_text(text)
        assert read_metrics_path(options) == path


@pytest.mark.parametrize("shapes", ["fixed", "varying"])
def test_the_projects_own_files_can_be_read(shapes: str) -> None:
    """The configuration in tf_serving/ is valid for the flags that take it."""
    folder = ROOT / "tf_serving"
    flags = [
        f"--{kind}_file={folder / name}.config"
        for kind, name in (
            ("monitoring_config", "monitoring"),
            ("batching_parameters", f"batching.{shapes}"),
            ("model_config", "models"),
        )
    ]
    from tf_serving.embedded.config_files import read_models

    options = parse([*flags, "--enable_batching"])
    assert read_metrics_path(options) == "/monitoring/prometheus/metrics"
    expected = BatchingParameters(max_batch_size=64, timeout_micros=1000, max_enqueued_batches=64)
    assert read_batching(options) == replace(expected, pads_lengths=shapes == "varying")
    assert [model.base_path for model in read_models(options).model_config_list.config] == ["/models/digits"]


@pytest.mark.parametrize("shapes", ["fixed", "varying"])
def test_a_bounded_queue_fills_before_the_threads_do(shapes: str) -> None:
    """The variant `bounded` has REST threads to spare while a batch runs on each of two cores and the queue is full."""
    variant = load_servers()["tf_serving:bounded"]
    launch = next(one for one in variant.launches if one.own_code)
    given = [
        one.format(here=ROOT / "tf_serving", shapes=shapes)
        for one in launch.command
        if "batch" in one or "rest_api_num" in one
    ]
    options = parse([BASE, *given])
    batching = read_batching(options)
    assert batching is not None
    assert options.rest_api_num_threads > (2 + batching.max_enqueued_batches) * batching.max_batch_size
    assert batching.timeout_micros == 0, "a request that is alone waits for no other"


def test_an_unknown_flag_ends_with_the_usage() -> None:
    """One line says which, the usage follows, and the exit code is not 0."""
    done = run(BASE, "--rest_api_prot=8501")
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "unknown argument: --rest_api_prot=8501"
    assert "--rest_api_port" in done.stderr


def test_version_and_help() -> None:
    """Both go to standard output and succeed; the version never claims to be the real server's."""
    done = run("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("TensorFlow ModelServer: embedded")
    done = run("--help")
    assert (done.returncode, "--model_config_file" in done.stdout) == (0, True)


@pytest.mark.parametrize("flag", ["rest_api_port", "port"])
def test_a_port_in_use_is_one_line(flag: str) -> None:
    """At once, before TensorFlow or a model is loaded."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run(BASE, f"--port={free_port()}", f"--{flag}={port}")
    assert done.returncode == 1
    assert done.stderr == f"Failed to start server. Error: cannot bind 127.0.0.1:{port}: Address already in use\n"


def test_a_model_that_cannot_be_loaded_ends_the_start(tmp_path: Path) -> None:
    """After the attempts it was given the server says why, without a traceback, and goes."""
    saved_models.break_version(tmp_path / "m", 1)
    flags = ("--max_num_load_retries=1", "--load_retry_interval_micros=1000", f"--port={free_port()}")
    done = run(f"--model_base_path={tmp_path / 'm'}", *flags)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert "loading {name: default version: 1} failed (attempt 1 of 2)" in lines[0]
    assert "loading {name: default version: 1} failed (attempt 2 of 2)" in lines[1]
    assert lines[2].startswith("Failed to start server. Error: UNKNOWN: 1 model(s) did not become available")
    assert len(lines) == 3


def test_a_config_that_cannot_be_served_ends_the_start(tmp_path: Path) -> None:
    """A label for a version that is not loaded needs the flag that allows it."""
    file = tmp_path / "models.config"
    labels = 'version_labels { key: "stable" value: 1 }'
    entry = f'name: "m" base_path: "{tmp_path}" model_platform: "tensorflow" {labels}'
    file.write_text(f"model_config_list {{ config {{ {entry} }} }}")
    done = run(f"--model_config_file={file}", f"--port={free_port()}")
    assert done.returncode == 1
    assert done.stderr == (
        "Failed to start server. Error: FAILED_PRECONDITION: Request to assign label to version 1 of model m, "
        "which is not currently available for inference\n"
    )
