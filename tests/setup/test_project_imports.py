"""The modules that a file imports, found in its text."""

from pathlib import Path

import pytest

from loadtest.errors import UsageError
from loadtest.setup.project_imports import imported_files

FILES = {
    "app/__init__.py": "",
    "app/start.py": "import os\nfrom app import inner\nfrom .near import thing\n",
    "app/inner.py": "def late():\n    import app.deep.core\n",
    "app/near.py": "import numpy.random\n",
    "app/deep/__init__.py": "from app.deep import twice\n",
    "app/deep/core.py": "from .. import start\nfrom ..last import thing\n",
    "app/deep/twice.py": "",
    "app/last.py": "",
    "app/typed.py": (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import app.inner\nelse:\n    import app.near\n"
    ),
    "app/named.py": "import importlib\nimportlib.import_module('app.inner')\n",
    "scripts/run.py": "import beside\n",
    "scripts/beside.py": "try:\n    from app.near import thing\nexcept ImportError:\n    pass\n",
    "other.py": "",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a package, a package in it, and scripts that lie side by side."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("start", "found"),
    [
        (
            "app/start.py",
            "app/__init__.py app/inner.py app/near.py app/last.py "
            "app/deep/__init__.py app/deep/core.py app/deep/twice.py",
        ),
        ("app/typed.py", "app/__init__.py app/near.py"),
        ("app/named.py", ""),
        ("scripts/run.py", "scripts/beside.py app/__init__.py app/near.py"),
        ("other.py", ""),
    ],
)
def test_what_is_imported_is_found(project: Path, start: str, found: str) -> None:
    """In functions, relatively, from packages and from beside, in a circle; not for types alone, and not by name."""
    files = [path.relative_to(project).as_posix() for path in imported_files([project / start], project)]
    assert files[0] == start
    assert sorted(files[1:]) == sorted(found.split())


def test_what_cannot_be_read_is_named(project: Path) -> None:
    """A file that is missing or no Python is one line with its path."""
    (project / "broken.py").write_text("def f(:\n")
    for name in ("broken.py", "gone.py"):
        with pytest.raises(UsageError, match=name.replace(".", r"\.")):
            imported_files([project / name], project)
