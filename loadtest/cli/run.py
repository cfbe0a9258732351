"""``loadtest run``: put one endpoint under load."""

import contextlib
import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from loadtest.cli.common import (
    LaunchOptions,
    batch_option,
    check_writable,
    following,
    launch_options,
    reachable,
    seed_option,
    status,
    workload_option,
    write_record,
)
from loadtest.cli.numbers import CONNECTIONS, COUNT_OR_NONE, CV, RATE, SECONDS, SECONDS_OR_NONE, STRETCH, Several
from loadtest.cli.run_table import print_run
from loadtest.cli.schedules import KINDS, ONE_CONNECTION, SCENARIOS, STREAMS, choose_schedule, named
from loadtest.errors import UsageError
from loadtest.experiments.measured_run import measure, resolve
from loadtest.launch.launcher import Launcher
from loadtest.load.plan import Load
from loadtest.machine.files import read_bytes
from loadtest.machine.placement import choose_placement
from loadtest.servers.artifact import Artifact, load_artifact
from loadtest.servers.bearer_token import read_bearer
from loadtest.servers.expectation import Anything, Exactly, Expectation
from loadtest.servers.server_folder import DEFAULT_WIRE
from loadtest.servers.server_toml import load_servers, select_server
from loadtest.wire.address import Address, for_refusal, without_credentials
from loadtest.wire.formats import asked_over, check_takes, find_wire, wire_names
from loadtest.wire.golden_target import build_target
from loadtest.wire.grpc.target import FORM, SCHEMES, is_grpc
from loadtest.wire.stamped_transport import stamps_are_given
from loadtest.wire.wire_format import Message, golden_requests


@click.command()
@click.argument("target")
@click.option("--wire", help=f"Wire format: {', '.join(wire_names())}. Default: grpc for a grpc:// address, else rest.")
@click.option("--schedule", "kind", type=click.Choice(KINDS), default="poisson", show_default=True)
@click.option(
    "--rate",
    "rates",
    type=Several(RATE, ":"),
    default=None,
    show_default="100",
    help="Requests per second; A:B:… for ramp and step; for a replay the mean rate to stretch it to.",
)
@click.option(
    "--cv",
    type=CV,
    default=None,
    show_default="2",
    help="Of gamma: standard deviation of the gaps over their mean; 1 is Poisson, above it come bursts.",
)
@click.option(
    "--replay",
    "recording",
    type=click.Path(path_type=Path),
    help="File of offsets in seconds, of time stamps, or a CSV file with a column of them.",
)
@click.option(
    "--stretch", type=STRETCH, default=None, show_default="1", help="Of replay: 0.5 plays it at twice its speed."
)
@click.option("--scenario", type=click.Choice(list(SCENARIOS)), help="As in MLPerf LoadGen; sets schedule and batch.")
@click.option(
    "--min-requests", type=COUNT_OR_NONE, default=0, help="Go on beyond the duration until so many requests have ended."
)
@click.option("--connections", type=CONNECTIONS, default=8, show_default=True)
@click.option("--processes", type=CONNECTIONS, default=1, show_default=True, help="Client processes.")
@click.option("--duration", type=SECONDS, default=10.0, show_default=True, help="Seconds.")
@click.option(
    "--warmup",
    type=SECONDS_OR_NONE,
    default=10.0,
    show_default=True,
    help="Longest warm-up, a closed loop that ends when the server is steady, seconds; 0 for none.",
)
@click.option(
    "--timeout", type=SECONDS, default=10.0, show_default=True, help="Seconds until a request counts as failed."
)
@seed_option
@batch_option
@click.option("--body", type=click.Path(path_type=Path), help="File sent as the body; default: inputs of the model.")
@click.option(
    "--kernel-stamps",
    is_flag=True,
    help="Ask the kernel when each answer came in: a slower client. Not with TLS.",
)
@click.option("--method", default=None, help="HTTP method; default: POST, or GET for an address without a body.")
@click.option("--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="May be repeated.")
@click.option(
    "--bearer-token-file",
    type=click.Path(path_type=Path),
    help="Send the token in this file; a server of this project gets the token of its own settings by itself.",
)
@click.option("--expect", default=None, help="golden, none, or a file with the right answer's bytes.")
@click.option("--json", "json_out", default=None, metavar="FILE|-", help="Write the result as JSON.")
@workload_option
@launch_options
def run(
    target: str,
    wire: str | None,
    kind: str,
    rates: tuple[float, ...] | None,
    cv: float | None,
    recording: Path | None,
    stretch: float | None,
    scenario: str | None,
    min_requests: int,
    connections: int,
    processes: int,
    duration: float,
    warmup: float,
    timeout: float,
    seed: int,
    batch: int,
    body: Path | None,
    kernel_stamps: bool,
    method: str | None,
    headers: Sequence[str],
    bearer_token_file: Path | None,
    expect: str | None,
    json_out: str | None,
    workload: str,
    launch: LaunchOptions,
) -> None:
    """Put TARGET, a server's name or an http:// or grpc:// address, under load.

    A server that is not up is started for the run. The exit code is 0 where the run is valid, else 1.
    """
    check_writable(json_out)
    is_url = "://" in target

    @functools.cache
    def launcher() -> Launcher:
        return launch.launcher(workload, client_cores=processes)

    def artifact() -> Artifact:
        return load_artifact(workload) if is_url else launcher().artifact

    if kernel_stamps and (not stamps_are_given() or target.startswith(("https://", "grpcs://"))):
        raise UsageError("--kernel-stamps needs the time stamps of a Linux kernel, and no TLS: leave it out")
    if scenario is not None:
        kind = "poisson" if scenario == "server" else "closed"
        connections = 1 if scenario in ONE_CONNECTION else connections
        batch = min(artifact().size, artifact().load.size) if scenario == "offline" else batch
        batch = STREAMS if scenario == "multi-stream" and not named("batch") else batch
    elif recording is not None and not named("kind"):
        kind = "replay"
    plan = choose_schedule(
        kind, rates, duration, recording=recording, min_requests=min_requests, cv=cv, stretch=stretch
    )
    load = Load(plan, warmup, connections, processes, seed, timeout, kernel_stamps)
    wire, path = _wire(target, wire)
    if method is not None and find_wire(wire).scheme == "grpc":
        raise UsageError("--method is for HTTP; a gRPC method is part of the address")

    def inputs() -> tuple[Sequence[Message], Expectation]:
        """As many different requests as the load needs, with the check of the answers."""
        check_takes(wire, artifact(), batch)
        form, asked = find_wire(wire).format(artifact().workload, path), asked_over(wire, artifact())
        return golden_requests(form, asked.load.for_requests(load.requests, batch), batch)

    messages, expectation = _messages(is_url, body, expect, inputs)
    token = read_bearer(bearer_token_file) if bearer_token_file else {}
    given = token | {name.lower(): value for name, value in map(_header, headers)}
    with contextlib.ExitStack() as stack:
        if is_url:
            url, fields, usage, times = target, given, None, None
            placement = choose_placement(pin=launch.pin, client_cores=processes)
        else:
            server = select_server(target, load_servers())
            running = stack.enter_context(reachable(server, launcher()))
            url, fields = running.url_over(wire), {**running.headers, **given}
            usage, placement = running.usage_if_known(), launcher().placement
            times = (server.times, running.times) if server.times else None
        method = method or ("GET" if is_url and body is None else "POST")
        endpoint = resolve(build_target(url, messages, expectation, method=method, headers=fields))
        live = following(stack.enter_context(status("waiting")), f"{kind} load on {without_credentials(url)}")
        result, _ = measure(
            endpoint,
            load,
            target=without_credentials(url),
            wire=wire,
            expectation=expectation.name,
            placement=placement,
            server_usage=usage,
            server_times=times,
            on_progress=live,
        )
    record = result.result()
    if json_out:
        write_record(json_out, record)
    if json_out != "-":
        print_run(record)
    if not result.verdict.valid:
        raise click.exceptions.Exit(1)


def _wire(target: str, wire: str | None) -> tuple[str, str]:
    """The name of the wire format, and the path at which it is spoken."""
    if "://" not in target:
        server, wire = select_server(target, load_servers()), wire or DEFAULT_WIRE
        find_wire(wire)
        return wire, server.endpoint(wire).path
    path = Address.parse(target, SCHEMES, FORM).path if is_grpc(target) else ""
    wire = wire or ("grpc" if is_grpc(target) else DEFAULT_WIRE)
    if (find_wire(wire).scheme == "grpc") != is_grpc(target):
        raise UsageError(f"--wire {wire} does not go with the address {for_refusal(target)}")
    return wire, path


def _messages(
    is_url: bool,
    body: Path | None,
    expect: str | None,
    inputs: Callable[[], tuple[Sequence[Message], Expectation]],
) -> tuple[Sequence[Message], Expectation]:
    expect = expect or ("none" if is_url or body else "golden")
    if expect == "golden":
        if body is not None:
            raise UsageError("--expect golden goes with the inputs of the model: leave --body out")
        return inputs()
    messages: Sequence[Message] = [Message(read_bytes(body) if body is not None else b"")]
    if body is None and not is_url:
        messages, _ = inputs()
    return messages, Anything() if expect == "none" else Exactly(read_bytes(Path(expect)))


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name.strip():
        raise UsageError(f"--header {line!r} is not of the form 'Name: value'")
    return name.strip(), value.strip()
