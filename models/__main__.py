"""Command line: python -m models build|list|verify|forward|forms|board|devices|bless|push|release [WORKLOAD]."""

import contextlib
import importlib
import json
import shlex
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path

import click

from models import export_parity, forward_timing
from models.artifact_folders import artifact_folders
from models.artifact_manifest import check_files, read, root
from models.build import build, source_sha256
from models.errors import BrokenArtifactError, ModelsError
from models.forms import deployed, measure, table
from models.forms.all_forms import FORMS, select
from models.framework_messages import silence_framework_messages
from models.recording import board
from models.recording import write as recording
from models.unwinding import unwind_on_sigterm
from models.workload import Found, discover, find

NEXT = "next"
"""Folder, in that of the artifacts, of the versions that follow the present ones: what a rollout puts on the air."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Train a workload once and export the same weights for every server."""


@cli.command("build")
@click.argument("workload", required=False)
@click.option("--forms", help=f"Forms to hold beside the eager one, with commas: {', '.join(deployed.DEPLOYABLE)}.")
@click.option(
    "--seeds",
    type=click.IntRange(1, 100),
    default=recording.SEEDS,
    show_default=True,
    help="Trainings to record for `board`; the first one is the artifact's. What is built is kept without --force.",
)
@click.option("--force", is_flag=True, help="Build even if nothing changed.")
@click.option("--next", "following", is_flag=True, help=f"Train the next version, with another seed, into {NEXT}/.")
def build_command(workload: str | None, forms: str | None, seeds: int, force: bool, following: bool) -> None:
    """Build the artifact of WORKLOAD, or of every workload whose packages are installed."""
    wanted = deployed.select(forms)
    folder = root() / NEXT if following else root()
    for found in [find(workload)] if workload else discover().values():
        missing = [file.missing for file in found.workload.packaged_files if not file.is_installed]
        if missing and not workload:
            click.echo(f"{found.workload.name} v{found.workload.version} not built: {missing[0]}")
            continue
        if following:
            found = _following(found)
        built = build(found, folder, forms=wanted, seeds=seeds, force=force, say=click.echo)
        manifest = built.manifest
        click.echo(
            f"{manifest.workload} v{manifest.version} {'built' if built.made else 'unchanged'}: {built.folder} "
            f"({manifest.quality.name} {manifest.quality.value:.4f}, "
            f"weights sha256 {manifest.files['weights.safetensors'].sha256[:12]})"
        )


@cli.command("list")
def list_command() -> None:
    """List the workloads and the state of their artifacts."""
    for name, found in discover().items():
        workload = found.workload
        try:
            manifest = read(root() / name / str(workload.version))
            current = manifest.source_sha256 == source_sha256(found)
            state = f"{'built' if current else 'outdated'}, {manifest.quality.name} {manifest.quality.value:.4f}"
        except BrokenArtifactError:
            state = "not built"
        click.echo(f"{name} v{workload.version} ({state}): {workload.description}")


@cli.command("verify")
@click.argument("workload", required=False)
def verify_command(workload: str | None) -> None:
    """Hash the artifact of WORKLOAD, or of every workload that is built, again and repeat its parity check."""
    for folder in artifact_folders(workload):
        manifest = read(folder)
        check_files(folder, manifest)
        worst = max(export_parity.check(folder, manifest).values())
        click.echo(
            f"{manifest.workload} v{manifest.version} verified: {len(manifest.files)} files unchanged, "
            f"largest difference {worst:.2g} (allowed {manifest.tolerance:g})"
        )


@cli.command("forward")
@click.argument("workload")
@click.option("--batch", type=click.IntRange(1, 100_000), default=1, show_default=True, help="Instances in a pass.")
@click.option("--threads", type=click.IntRange(1, 1_024), default=1, show_default=True)
def forward_command(workload: str, batch: int, threads: int) -> None:
    """Time the forward pass of WORKLOAD alone, in both frameworks; prints JSON."""
    found = find(workload)
    folder = root() / found.workload.name / str(found.workload.version)
    timings = forward_timing.measure(folder, read(folder), batch=batch, threads=threads)
    click.echo(json.dumps([asdict(timing) for timing in timings]))


@cli.command("forms")
@click.argument("workload", required=False)
@click.option("--forms", help=f"Forms to try, with commas: {', '.join(FORMS)}. Without it all of them.")
@click.option("--rounds", type=click.IntRange(1, 100), default=1, show_default=True, help="Times that each is timed.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for WORKLOAD.json and WORKLOAD.md."
)
def forms_command(workload: str | None, forms: str | None, rounds: int, out: Path | None) -> None:
    """Try every form of WORKLOAD, or of every workload that is built: what it needs, how fast it is, what it keeps."""
    chosen = select(forms)
    command = shlex.join(["python", "-m", "models", *sys.argv[1:]])
    for folder in artifact_folders(workload):
        manifest = read(folder)
        check_files(folder, manifest)
        findings = measure.measure(folder, manifest, chosen, rounds=rounds, command=command, say=click.echo)
        click.echo(f"\n{table.render(findings)}", nl=False)
        if out:
            out.mkdir(parents=True, exist_ok=True)
            written = out / f"{manifest.workload}.json"
            written.write_text(json.dumps(asdict(findings), indent=2) + "\n", encoding="utf-8")
            written.with_suffix(".md").write_text(table.render(findings), encoding="utf-8")


@cli.command("board")
@click.argument("workload", required=False)
@click.option("--port", type=click.IntRange(0, 65_535), default=6006, show_default=True, help="0 for any.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
def board_command(workload: str | None, port: int, host: str) -> None:
    """Show in TensorBoard what was recorded of WORKLOAD, or of every one that is built; Ctrl-C ends it."""
    recorded: contextlib.AbstractContextManager[Path] = (
        contextlib.nullcontext(board.runs_of(root(), find(workload).workload.name))
        if workload
        else board.runs_of_all(root(), [place for name in discover() for place in (name, f"{NEXT}/{name}")])
    )
    with recorded as folder, contextlib.suppress(KeyboardInterrupt):
        address = board.start(folder, host, port)
        click.echo(f"TensorBoard shows {folder if workload else root()} at {address}\nCtrl-C ends it.")
        threading.Event().wait()


def _add_later(name: str, module: str, told: str) -> None:
    """Add a command of a package above this one, which is imported when it is called: an image may lack it."""

    @cli.command(name, help=told, add_help_option=False, context_settings={"ignore_unknown_options": True})
    @click.argument("words", nargs=-1, type=click.UNPROCESSED)
    def call(words: tuple[str, ...]) -> None:
        try:
            command: click.Command = getattr(importlib.import_module(module), f"{name}_command")
        except ModuleNotFoundError as error:
            remedy = "run it in a checkout, with pip install -e '.[loadtest,models]'"
            raise ModelsError(f"{name} needs {error.name}, which is not here: {remedy}") from error
        sys.exit(command.main(list(words), prog_name=f"python -m models {name}", standalone_mode=False))


_add_later(
    "devices",
    "devices.command",
    "Export WORKLOAD, or every workload that is built, to phones and browsers; check and time what converts.",
)
_add_later("bless", "release.cli.bless", "Start each real server on WORKLOAD: is it fit to be served?")
_add_later("push", "release.cli.push", "Push WORKLOAD, where it is blessed, to the folder that servers read.")
_add_later(
    "release", "release.cli.release", "Build, check, bless, measure and push WORKLOAD: the whole line, with a page."
)


def _following(found: Found) -> Found:
    """The next version of a workload, which differs in nothing but its seed."""
    present = found.workload
    return replace(found, workload=replace(present, version=present.version + 1, seed=present.seed + 1))


def main() -> None:
    """Run the command line; a failure that can be foreseen is one line and exit code 1."""
    unwind_on_sigterm()  # so that a half-made build is removed
    silence_framework_messages()
    try:
        cli(prog_name="python -m models")
    except (ModelsError, OSError) as error:
        sys.exit(f"error: {error}")
    except ModuleNotFoundError as error:
        sys.exit(f"error: package {error.name} is missing: pip install -e '.[models]'")


if __name__ == "__main__":
    main()
