"""``python -m models devices``: the exports of some artifacts, as tables and as files."""

import json
import shlex
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import click

from devices import environment, kept, measure
from devices.all_exports import EXPORTS, select
from loadtest.report.exports_table import markdown_exports
from models.artifact_folders import artifact_folders
from models.artifact_manifest import check_files, read


@click.command("devices", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("workload", required=False)
@click.option("--exports", help=f"Exports to try, with commas: {', '.join(EXPORTS)}. Without it all of them.")
@click.option("--rounds", type=click.IntRange(1, 100), default=1, show_default=True, help="Times that each is timed.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for WORKLOAD.json and WORKLOAD.md."
)
@click.option(
    "--keep", type=click.Path(file_okay=False, path_type=Path), help="Folder for the exports, as WORKLOAD/NAME.*."
)
def devices_command(
    workload: str | None, exports: str | None, rounds: int, out: Path | None, keep: Path | None
) -> None:
    """Export WORKLOAD, or every workload that is built, to phones and browsers; check and time what converts."""
    command = shlex.join(["python", "-m", "models", *sys.argv[1:]])
    artifacts, chosen, python = artifact_folders(workload), select(exports), environment.python()
    for artifact in artifacts:
        manifest = read(artifact)
        check_files(artifact, manifest)
        if out:
            out.mkdir(parents=True, exist_ok=True)  # now, since it takes minutes until there is something to write
        with tempfile.TemporaryDirectory(prefix="devices-", ignore_cleanup_errors=True) as temporary:
            folder = keep / manifest.workload if keep else Path(temporary) / "exports"
            scratch = Path(temporary) / "steps"
            for made in (folder, scratch):
                made.mkdir(parents=True, exist_ok=True)
            files = {export.name: folder / f"{export.name}.{export.suffix}" for export in chosen}
            for file in files.values():
                file.unlink(missing_ok=True)  # an earlier one must not be taken for what is made now
            findings = measure.measure(
                artifact,
                manifest,
                chosen,
                python=python,
                folder=folder,
                scratch=scratch,
                rounds=rounds,
                command=command,
                say=click.echo,
            )
            if keep:
                kept.describe(folder, files, findings, manifest)
        click.echo(f"\n{markdown_exports(findings)}".rstrip("\n"))
        if out:
            written = out / f"{manifest.workload}.json"
            written.write_text(json.dumps(asdict(findings), indent=2) + "\n", encoding="utf-8")
            written.with_suffix(".md").write_text(markdown_exports(findings), encoding="utf-8")
