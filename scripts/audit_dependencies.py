"""Looks up the pinned packages of a lock file in a database of advisories in the OSV format, and says how old that is.

    scripts/audit                                   OSV's own dump for PyPI, downloaded (some 30 MB)
    scripts/audit --database advisory-database/     a checkout of PyPA's database, or a dump that was fetched elsewhere

The exit code is 0 where nothing is found but what is accepted, 1 where something is, 2 where there are no data.

OSV: https://ossf.github.io/osv-schema/; names of packages: PEP 503.
"""

import argparse
import datetime
import io
import json
import sys
import tomllib
import urllib.request
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).resolve().parents[1]
DUMP = "https://osv-vulnerabilities.storage.googleapis.com/PyPI/all.zip"
ACCEPTED = ROOT / "scripts" / "audit_accepted.toml"
ECOSYSTEM = "PyPI"
DOWNLOAD_S = 120.0
OLD_DAYS = 30
"""From this age on the age of the data is a warning."""

Record = Mapping[str, Any]


class NoDataError(Exception):
    """There is nothing to compare with; the message says what to do about it."""


@dataclass(frozen=True)
class Finding:
    """An advisory that is about a pinned version.

    Attributes:
        package: Name of the package.
        version: Its pinned version.
        id: The advisory.
        aliases: Its names elsewhere, a CVE among them.
        fixed: Versions that are no longer affected.
        summary: What it is about.
    """

    package: str
    version: str
    id: str
    aliases: tuple[str, ...]
    fixed: tuple[str, ...]
    summary: str

    @property
    def names(self) -> set[str]:
        """Every name of the advisory."""
        return {self.id, *self.aliases}


def read_lock(file: Path) -> dict[str, str]:
    """Read the versions of a file of lines `name==version`, by normalised names.

    Raises:
        NoDataError: It cannot be read, or another line is in it.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise NoDataError(f"cannot read the lock file {file}: {error.strerror}") from None
    pinned: dict[str, str] = {}
    for line in (line.partition("#")[0].strip() for line in text.splitlines()):
        name, equals, version = line.partition("==")
        if line and not equals:
            raise NoDataError(f"{file}: {line!r} pins no version")
        if line:
            pinned[canonicalize_name(name.strip())] = version.strip()
    return pinned


def read_database(source: str) -> Iterator[Record]:
    """Yield the advisories of a folder of YAML or JSON files, or of a zip file of them on disk or at an address.

    Raises:
        NoDataError: There is no such place, or it holds none.
    """
    try:
        if source.startswith("https://"):
            with urllib.request.urlopen(source, timeout=DOWNLOAD_S) as answer:
                yield from _zipped(io.BytesIO(answer.read()))
        elif Path(source).is_dir():
            files = (path for path in sorted(Path(source).rglob("*")) if path.suffix in (".yaml", ".json"))
            yield from (_parse(path.suffix, path.read_bytes()) for path in files)
        else:
            yield from _zipped(Path(source))
    except (OSError, zipfile.BadZipFile, ValueError, yaml.YAMLError) as error:
        told = " ".join(str(error).split())
        raise NoDataError(
            f"no advisories from {source} ({told}): fetch {DUMP} where it can be reached, or a checkout of PyPA's "
            "advisory-database, and name it with --database"
        ) from None


def _zipped(file: Path | io.BytesIO) -> Iterator[Record]:
    with zipfile.ZipFile(file) as dump:
        yield from (_parse(Path(name).suffix, dump.read(name)) for name in dump.namelist() if name.endswith(".json"))


def _parse(suffix: str, content: bytes) -> Record:
    read = json.loads(content) if suffix == ".json" else yaml.load(content, Loader=_Loader)
    return read if isinstance(read, dict) else {}


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # whichever this PyYAML has
    """A safe loader that leaves time stamps as they are written."""


_Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: loader.construct_scalar(node))


def find(pinned: Mapping[str, str], record: Record) -> Iterator[Finding]:
    """Yield what an advisory says of the pinned versions; one that was withdrawn says nothing."""
    if record.get("withdrawn"):
        return
    for affected in record.get("affected", ()):
        package = affected.get("package", {})
        name = canonicalize_name(str(package.get("name", "")))
        version = pinned.get(name)
        if version is None or package.get("ecosystem") != ECOSYSTEM or not is_affected(version, affected):
            continue
        ranges = _ranges(affected)
        fixed = tuple(event["fixed"] for events in ranges for event in events if "fixed" in event)
        summary = record.get("summary") or str(record.get("details", "")).strip().partition("\n")[0]
        yield Finding(name, version, str(record.get("id")), tuple(record.get("aliases", ())), fixed, summary)


def is_affected(version: str, affected: Mapping[str, Any]) -> bool:
    """Return whether a version is listed, or lies in a range (https://ossf.github.io/osv-schema/#evaluation)."""
    return version in affected.get("versions", ()) or any(_within(Version(version), e) for e in _ranges(affected))


def _ranges(affected: Mapping[str, Any]) -> list[list[Mapping[str, str]]]:
    return [one["events"] for one in affected.get("ranges", ()) if one.get("type") == "ECOSYSTEM"]


def _within(version: Version, events: Iterable[Mapping[str, str]]) -> bool:
    inside = False
    for kind, at in sorted(((kind, at) for event in events for kind, at in event.items()), key=_order):
        if kind == "introduced" and (at == "0" or version >= Version(at)):
            inside = True
        elif (kind == "fixed" and version >= Version(at)) or (kind == "last_affected" and version > Version(at)):
            inside = False
    return inside


def _order(event: tuple[str, str]) -> tuple[bool, Version]:
    try:
        return event[1] != "0", Version(event[1])
    except InvalidVersion:
        raise ValueError(f"an advisory has a version that is none: {event[1]}") from None


def read_accepted(file: Path) -> dict[str, str]:
    """Read the reasons of the advisories that are accepted, by their names."""
    entries = tomllib.loads(file.read_text(encoding="utf-8")).get("accepted", [])
    return {entry["id"]: f"{entry['reason']} ({entry['date']})" for entry in entries}


def told(findings: Iterable[Finding], accepted: Mapping[str, str]) -> list[str]:
    """Return the findings as lines, and what is accepted without being found."""
    lines, used = [], set()
    for found in sorted(findings, key=lambda one: (one.package, one.id)):
        lines.append(f"{found.package} {found.version}: {', '.join([found.id, *found.aliases])}: {found.summary}")
        lines.append(f"    fixed in {', '.join(found.fixed) or 'no version that these data know'}")
        known = found.names & accepted.keys()
        lines += [f"    accepted: {accepted[name]}" for name in sorted(known)]
        used |= known
    return lines + [f"{name} is accepted, and was not found: is it mended?" for name in sorted(accepted.keys() - used)]


def age_of(records: Iterable[Record], today: datetime.date) -> str:
    """Return in words how many advisories there are, and how current they are: by the newest that was changed."""
    changed = [str(record.get("modified", ""))[:10] for record in records]
    newest = datetime.date.fromisoformat(max(changed))
    days = (today - newest).days
    warning = ": OLD, of what was found out since then nothing is known" if days >= OLD_DAYS else ""
    return f"{len(changed):,} advisories for {ECOSYSTEM}, the newest changed on {newest}, {days} days ago{warning}"


def main(words: Sequence[str] | None = None) -> int:
    """Compare and tell; see the top of this file."""
    parser = argparse.ArgumentParser(prog="scripts/audit", description="Looks up pinned packages among advisories.")
    parser.add_argument("--lock", type=Path, default=ROOT / "constraints.txt", help="lines of name==version")
    parser.add_argument("--database", default=DUMP, help="advisories in the OSV format: a folder, a zip file, https://")
    parser.add_argument("--accepted", type=Path, default=ACCEPTED, help="advisories that are accepted, with reasons")
    arguments = parser.parse_args(words)
    try:
        pinned = read_lock(arguments.lock)
        records = [record for record in read_database(arguments.database) if record.get("affected")]
        if not records:
            raise NoDataError(f"there is no advisory in {arguments.database}")
        findings = [found for record in records for found in find(pinned, record)]
    except (NoDataError, ValueError) as error:
        sys.stderr.write(f"audit: {error}\n")
        return 2
    accepted = read_accepted(arguments.accepted)
    found = len({(one.package, one.id) for one in findings})
    summary = f"{len(pinned)} packages pinned in {arguments.lock.name}: {found} advisories about them in these data"
    today = datetime.datetime.now(datetime.UTC).date()
    sys.stdout.write("\n".join([age_of(records, today), *told(findings, accepted), summary, ""]))
    return 1 if any(not one.names & accepted.keys() for one in findings) else 0


if __name__ == "__main__":
    sys.exit(main())
