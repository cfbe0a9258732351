"""What lies beside the modules of a package and is read by them goes into its wheel."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PATTERNS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]


@pytest.mark.parametrize("package", ["devices", "loadtest", "release"])
def test_every_file_that_is_no_module_is_named(package: str) -> None:
    """But not the image's Dockerfile, nor what a package manager installs there."""
    folder = ROOT / package
    beside = {
        path
        for path in folder.rglob("*")
        if path.is_file()
        and path.suffix not in (".py", ".pyc")
        and path.name != "Dockerfile"
        and "node_modules" not in path.parts
    }
    assert beside
    assert beside == {path for pattern in PATTERNS[package] for path in folder.glob(pattern)}
