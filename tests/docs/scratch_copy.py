"""A copy of the repository that a test may add to, and the account of what was touched in it."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ADDITIONS = Path(__file__).parent / "additions"
CACHES = ("__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis")


class ScratchCopy:
    """What a clone of the repository holds, in a folder of its own.

    Args:
        root: Where the copy is made; must not exist.
        artifacts: The folder of built models that commands in the copy read and write.
    """

    def __init__(self, root: Path, artifacts: Path) -> None:
        ignored = [line.strip("/") for line in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()]
        shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(*ignored, ".git"))
        self.root = root
        self.artifacts = artifacts
        self._before = self._files()

    def add(self, name: str) -> None:
        """Lay the files of ``additions/<name>`` into the copy, each at its own path; pieces of files stay behind."""
        folder = ADDITIONS / name
        for part in (path for path in folder.iterdir() if path.is_dir()):
            shutil.copytree(
                part, self.root / part.name, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
            )

    def insert(self, file: str, after: str, text: str) -> None:
        """Insert text behind the only place where a file has the words `after`."""
        path = self.root / file
        content = path.read_text(encoding="utf-8")
        assert content.count(after) == 1, f"{file} does not hold {after!r} once"
        path.write_text(content.replace(after, after + text), encoding="utf-8")

    def touched(self) -> set[str]:
        """Paths of the files that were added, changed or removed since the copy was made, as in `git status`."""
        return {path for path, _ in self._before ^ self._files()}

    def run(self, *words: str, timeout_s: float = 120.0) -> str:
        """Run ``python -m`` with these words at the top of the copy.

        Returns:
            What it printed.
        """
        return self._run([sys.executable, "-m", *words], timeout_s)

    def run_tool(self, name: str, *words: str, timeout_s: float = 120.0) -> str:
        """Run a program that is installed beside this Python, in the same way."""
        return self._run([str(Path(sys.executable).with_name(name)), *words], timeout_s)

    @property
    def environment(self) -> dict[str, str]:
        """What programs run with in the copy."""
        return {**os.environ, "BAKEOFF_ARTIFACTS": str(self.artifacts), "PYTHONDONTWRITEBYTECODE": "1"}

    def _run(self, command: list[str], timeout_s: float) -> str:
        done = subprocess.run(
            command, cwd=self.root, env=self.environment, capture_output=True, text=True, check=False, timeout=timeout_s
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _files(self) -> set[tuple[str, str]]:
        return {
            (path.relative_to(self.root).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest())
            for path in self.root.rglob("*")
            if path.is_file() and not set(CACHES) & set(path.parts)
        }
