"""What `python -m models devices` does: the exports of some artifacts, as tables and as files."""

import json
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path

from devices import environment, kept, measure
from devices.all_exports import select
from loadtest.report.exports_table import markdown_exports
from models.artifact_manifest import check_files, read


def run(
    artifacts: Iterable[Path],
    *,
    exports: str | None,
    rounds: int,
    out: Path | None,
    keep: Path | None,
    command: str,
    say: Callable[[str], None],
) -> None:
    """Try the exports of each artifact and tell what was found.

    Args:
        artifacts: Folders of the artifacts.
        exports: Names of the exports, with commas; None for all.
        rounds: Times that each is timed.
        out: Folder for WORKLOAD.json and WORKLOAD.md.
        keep: Folder in which WORKLOAD/ gets the exported files and WORKLOAD.json.
        command: What the user typed, for the record.
        say: Receives lines of text.

    Raises:
        DevicesError: An export is unknown, or the exporters are not installed.
        BrokenArtifactError: An artifact is missing or damaged.
    """
    chosen, python = select(exports), environment.python()
    for artifact in artifacts:
        manifest = read(artifact)
        check_files(artifact, manifest)
        with tempfile.TemporaryDirectory(prefix="devices-") as temporary:
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
                say=say,
            )
            if keep:
                kept.describe(folder, files, findings, manifest)
        say(f"\n{markdown_exports(findings)}".rstrip("\n"))
        if out:
            out.mkdir(parents=True, exist_ok=True)
            written = out / f"{manifest.workload}.json"
            written.write_text(json.dumps(asdict(findings), indent=2) + "\n", encoding="utf-8")
            written.with_suffix(".md").write_text(markdown_exports(findings), encoding="utf-8")
