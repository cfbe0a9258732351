"""The files of the playground's page, and of the models that it answers with."""

import json
from collections.abc import Iterator
from pathlib import Path

from loadtest.errors import UsageError
from loadtest.servers.artifact import ROOT

PAGE = ROOT / "docs" / "playground"
MODELS = "models"
INDEX = f"{MODELS}/index.json"
RUNTIME = "vendor/ort-wasm-simd-threaded.wasm"
SERVED = "served.json"
"""What the page reads of the servers; the file of this name says that there are none, for a static host."""

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".onnx": "application/octet-stream",
    ".wasm": "application/wasm",
}
"""Media types; no other file is given out."""


class PageFiles:
    """What may be read of the page's folder, and of a folder with more models.

    A path is looked up in a list of the files that are there, so that none leads out of the folders.

    Args:
        models: A folder with ``NAME/NAME.json`` and ``NAME/onnx.onnx`` beside those of the page, whose place they take.
        page: The page's folder.

    Raises:
        UsageError: If the page or a model is not there.
    """

    def __init__(self, models: Path | None = None, page: Path = PAGE) -> None:
        self._page, self._models = page, models
        if not (page / "index.html").is_file():
            raise UsageError(f"the playground's page is not in {page}: run this in a clone of the repository")
        if models is not None and not any(_described(models)):
            raise UsageError(
                f"--models {models} holds no NAME/onnx.onnx with its NAME/NAME.json: "
                f"python -m models devices --exports onnx --keep {models}"
            )

    def find(self, path: str) -> Path | None:
        """The file at a path such as ``page/main.mjs``, or None."""
        return self._all().get(path)

    def has_runtime(self) -> bool:
        """Whether the runtime is there that the page's own model needs."""
        return self.find(RUNTIME) is not None

    def models(self) -> list[str]:
        """Names of the models that the page can answer with itself, in alphabetical order."""
        folders = [self._page / MODELS, *([self._models] if self._models else [])]
        return sorted({name for folder in folders for name in _described(folder)})

    def index(self) -> bytes:
        """`models` as the page reads them."""
        return json.dumps(self.models()).encode()

    def _all(self) -> dict[str, Path]:
        found = {path.relative_to(self._page).as_posix(): path for path in _files(self._page, "**/*")}
        if self._models:
            more = {path.relative_to(self._models).as_posix(): path for path in _files(self._models, "*/*")}
            found |= {f"{MODELS}/{name}": path for name, path in more.items()}
        return found


def _files(folder: Path, pattern: str) -> Iterator[Path]:
    """Files of the known types that lie in the folder: not links out of it, nor what a package manager leaves there."""
    whole = folder.resolve()
    for path in folder.glob(pattern):
        inside = path.relative_to(folder).parts
        hidden = any(part.startswith(".") or part == "node_modules" for part in inside)
        if path.suffix in TYPES and not hidden and path.is_file() and path.resolve().is_relative_to(whole):
            yield path


def _described(folder: Path) -> Iterator[str]:
    """Names of the models that a folder holds with their descriptions."""
    for path in folder.glob("*/onnx.onnx"):
        if (path.parent / f"{path.parent.name}.json").is_file():
            yield path.parent.name
