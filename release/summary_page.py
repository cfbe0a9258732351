"""release.html of a release, in the style of the comparison's page, with summary.json beside it."""

import math
from pathlib import Path

import jinja2

from loadtest.errors import UsageError
from loadtest.machine import files
from loadtest.records import to_json
from loadtest.report.theme import DARK, FONT, LIGHT
from release.summary import Summary

PAGE, DATA = "release.html", "summary.json"


def check_writable(folder: Path) -> None:
    """Find out before minutes of work that no summary can be written.

    Args:
        folder: Where it is to go, created.

    Raises:
        UsageError: If it cannot be.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror or error}") from error
    for name in (PAGE, DATA):
        files.check_writable(folder / name)


def write_summary(summary: Summary, folder: Path) -> Path:
    """Write the page, and what it is made of.

    Args:
        summary: Of a release that ended, however it did.
        folder: Where to.

    Returns:
        Path of the page.

    Raises:
        UsageError: If they cannot be written.
    """
    files.write_whole(folder / DATA, to_json(summary).decode())
    files.write_whole(folder / PAGE, render(summary))
    return folder / PAGE


def render(summary: Summary) -> str:
    """The page as text; it needs no other file."""
    templates = jinja2.ChoiceLoader(
        [jinja2.PackageLoader("release", "templates"), jinja2.PackageLoader("loadtest.report", "templates")]
    )
    environment = jinja2.Environment(
        loader=templates, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["seconds"] = _seconds
    return environment.get_template("release.html.j2").render(one=summary, light=LIGHT, dark=DARK, font=FONT)


def _seconds(value: float) -> str:
    return "—" if math.isnan(value) else f"{value:.1f}"
