"""``loadtest compare``: the comparison."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from loadtest.cli.common import (
    ALL_WIRES,
    LaunchOptions,
    chosen,
    chosen_wires,
    chosen_workloads,
    launch_options,
    servers_option,
    stderr,
    stdout,
    wires_option,
    workloads_option,
)
from loadtest.cli.comparison_screen import ComparisonScreen
from loadtest.cli.comparison_words import SETUP_TIME, say_what_comes, say_what_next, tell
from loadtest.cli.gate import Gate, gate_options, report_folder
from loadtest.cli.measured_models import MeasuredModels
from loadtest.cli.numbers import CONNECTIONS, COUNT, MINUTES, RATE, SECONDS, SECONDS_OR_NONE, SEED, Several
from loadtest.cli.resume_option import Origin, resume_option
from loadtest.cli.sitting import Asked
from loadtest.cli.tuned_option import add_tuned, tuned_option
from loadtest.errors import UsageError
from loadtest.experiments.comparison import check_batch
from loadtest.experiments.contender import Contender, contenders
from loadtest.experiments.surroundings import surroundings
from loadtest.judge.comparison_plan import ComparisonPlan
from loadtest.judge.comparison_result import comparison_name
from loadtest.launch.launcher import LOCAL
from loadtest.report import write_report
from loadtest.report.reading import read_results
from loadtest.servers.server_folder import Server
from loadtest.setup.setup_plan import Probes
from loadtest.setup.software_versions import software_versions
from loadtest.wire.formats import asked_over, check_takes, takes

DEFAULT = ComparisonPlan(stretch_s=40.0, layers=True)
QUICK = ComparisonPlan(rounds=1, duration_s=4.0, warmup_s=5.0, stretch_s=8.0)
THOROUGH = ComparisonPlan(
    rounds=5,
    duration_s=6.0,
    warmup_s=20.0,
    curve=(0.1, 0.3, 0.5, 0.7, 0.8, 0.9),
    slo="p99<50ms",
    tries=3,
    stretch_s=40.0,
    layers=True,
)


@click.command()
@resume_option
@servers_option
@workloads_option
@wires_option
@click.option("--rounds", type=COUNT, help=f"Rounds per server; default: {DEFAULT.rounds}.")
@click.option(
    "--duration",
    type=SECONDS,
    help=f"Seconds of a round's open-loop run; default: {DEFAULT.duration_s:g}, or up to {DEFAULT.stretch_s:g} where "
    "the common rate is so low that p99, or p95, needs them.",
)
@click.option(
    "--warmup",
    type=SECONDS_OR_NONE,
    help="Longest warm-up before each run, seconds; it ends when the server is steady. "
    f"Default: {DEFAULT.warmup_s:g}, quick {QUICK.warmup_s:g}, thorough {THOROUGH.warmup_s:g}.",
)
@click.option("--until", default="", help="Go on with rounds until every interval is so narrow, such as 'p99 ±10%'.")
@click.option(
    "--within", type=MINUTES, default=DEFAULT.within_s / 60, show_default=True, help="Minutes that --until may take."
)
@click.option("--rate", type=RATE, help="Common offered rate; default: half of the slowest server's ceiling.")
@click.option("--connections", type=CONNECTIONS, default=8, show_default=True)
@click.option(
    "--batch-sizes",
    "--batch",
    type=Several(COUNT),
    default="1",
    show_default=True,
    metavar="A,B",
    help="Instances in one request; a comparison for each.",
)
@click.option(
    "--timeout",
    type=SECONDS,
    default=DEFAULT.timeout_s,
    show_default=True,
    help="Seconds until a request counts as failed.",
)
@click.option(
    "--seed", type=SEED, default=1, show_default=True, help="Of the schedules and of the order of the rounds."
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the result; default: results/<timestamp>.")
@click.option("--slo", help="Search the capacity under this objective too, such as 'p99<50ms'.")
@click.option(
    "--setup/--no-setup", default=True, show_default=True, help="Measure the ease of setup after the rounds too."
)
@click.option(
    "--layers/--no-layers",
    default=None,
    help="Start each server once more, after the rounds, to tell where its CPU time goes, layer by layer. "
    "Default: yes; with --quick, no.",
)
@click.option("--open", "show", is_flag=True, help="Open the page in the browser.")
@click.option("--quick", is_flag=True, help="One short round: it establishes no difference.")
@click.option("--thorough", is_flag=True, help="Five longer rounds with load curves and capacities: for publication.")
@tuned_option
@gate_options
@launch_options
def compare(
    servers: str | None,
    workloads: str,
    wires: str,
    rounds: int | None,
    duration: float | None,
    warmup: float | None,
    until: str,
    within: float,
    rate: float | None,
    connections: int,
    batch_sizes: Sequence[int],
    timeout: float,
    seed: int,
    out: Path | None,
    slo: str | None,
    setup: bool,
    layers: bool | None,
    quick: bool,
    thorough: bool,
    show: bool,
    tuned: bool,
    tuned_room: Path | None,
    assertions: Sequence[str],
    assert_file: Path | None,
    junit_file: Path | None,
    launch: LaunchOptions,
    origin: Origin,
) -> None:
    """Check that the servers agree, measure latency and ease of setup in turn, and write the report."""
    if quick and thorough:
        raise UsageError("--quick and --thorough exclude each other")
    local = launch.how == LOCAL
    if layers and not local:
        raise UsageError(
            f"--layers tells the servers' processes where to count, which --launcher {launch.how} cannot: "
            "use --launcher local"
        )
    default = QUICK if quick else THOROUGH if thorough else DEFAULT
    plan = ComparisonPlan(
        rounds=default.rounds if rounds is None else rounds,
        duration_s=default.duration_s if duration is None else duration,
        # What was asked for is not stretched.
        stretch_s=default.stretch_s if duration is None else 0.0,
        warmup_s=default.warmup_s if warmup is None else warmup,
        rate=rate or 0.0,
        connections=connections,
        timeout_s=timeout,
        seed=seed,
        curve=default.curve,
        slo=default.slo if slo is None else slo,
        tries=default.tries,
        until=until,
        within_s=within * 60,
        layers=local and (default.layers if layers is None else layers),
    )
    models = chosen_workloads(workloads)
    wanted = chosen(servers)
    if tuned or tuned_room:
        wanted = add_tuned(wanted, tuned_room, models, launch)
    launchers = launch.launchers(models)
    names = chosen_wires(wires, wanted)
    if wires == ALL_WIRES and local:
        names = [wire for wire in names if all(takes(wire, one.artifact) for one in launchers.values())]
    entered = contenders(wanted, names)
    plans = _plans(plan, batch_sizes, entered)
    compared = {
        comparison_name(model, one.batch, pictures=one.pictures): [
            each.key for each in entered if each.pictures == one.pictures
        ]
        for model in models
        for one in plans
    }
    gate = Gate.read(assertions, assert_file, junit_file, compared, searched=bool(plan.slo))
    if local:  # elsewhere the models may have to be built first
        for launcher, one, each in itertools.product(launchers.values(), plans, entered):
            if each.pictures == one.pictures:
                check_takes(each.wire, launcher.artifact, one.batch)
                check_batch(asked_over(each.wire, launcher.artifact), one.batch)
    around = surroundings(launch.how, wanted, _software(wanted) if local else {})
    sitting = origin.sitting(out, Asked(list(compared), plans, [one.key for one in entered], setup, around))
    probes: Probes = "none" if not setup or launch.how == "network" else "quick" if quick else "full"
    say_what_comes(list(compared), plans, entered, SETUP_TIME[probes])
    with sitting:
        screen = ComparisonScreen(
            stderr, sitting, more_stages=setup, say=lambda line: stdout.print(line, soft_wrap=True, markup=False)
        )
        with sitting.kept_when_ended(), screen:
            MeasuredModels(entered, plans, screen, sitting, probes if setup else None).measure(launchers)
            sitting.save()
        results = read_results(sitting.folder)
        tell(results)
        with report_folder(sitting.folder):
            page, _ = write_report(results, sitting.folder)
    stdout.print(f"written: {page}, and report.md, result.json and runs.jsonl beside it", soft_wrap=True, markup=False)
    say_what_next(page)
    passed = gate.passed(results)
    if show:
        click.launch(page.absolute().as_uri())
    file = sitting.file
    faults = [fault for one in file.comparisons for server in one.servers for fault in server.faults]
    if not passed or faults or file.failures:
        raise click.exceptions.Exit(1)


def _plans(plan: ComparisonPlan, batch_sizes: Sequence[int], entered: Sequence[Contender]) -> list[ComparisonPlan]:
    """A comparison for each batch size: of those that are asked with tensors, then of those with encoded pictures.

    A server that answers from a cache does so with any batch size, but it may keep decoded pictures and nothing else:
    each of the two is audited once.
    """
    return [
        replace(plan, batch=batch, audit=number == 0, pictures=pictures)
        for pictures in sorted({one.pictures for one in entered})
        for number, batch in enumerate(dict.fromkeys(batch_sizes))
    ]


def _software(servers: Sequence[Server]) -> dict[str, str]:
    """Versions of what the servers run on here."""
    return {name: version for server in servers for name, version in software_versions(server).items()}
