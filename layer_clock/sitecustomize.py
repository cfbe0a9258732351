"""Python runs this at its start where the folder is on PYTHONPATH: it wraps the calls that a server.toml names.

    LAYER_CLOCK          the server.toml; `[layers.calls]` has the calls of each layer, as ``module:path``
    LAYER_CLOCK_FOLDER   where each process that runs one of them keeps its counters

In a path, ``*`` stands for every value of a mapping. A path that leads nowhere fails the import: its time would be
counted as another layer's without a word.

Nothing of the project imports this. A server that is measured is started without the folder on its PYTHONPATH, and one
whose CPU time is to be told layer by layer with it (`[layers]` of its server.toml).
"""

import importlib.machinery
import os
import sys
import tomllib
from collections import defaultdict
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from layer_counting import LayerClock  # type: ignore[import-not-found]  # lies beside this file on PYTHONPATH


def switch_on() -> None:
    """Wrap what LAYER_CLOCK names; nothing without it."""
    if "LAYER_CLOCK" not in os.environ:
        return
    table = tomllib.loads(Path(os.environ["LAYER_CLOCK"]).read_text(encoding="utf-8"))["layers"]
    clock = LayerClock(Path(os.environ["LAYER_CLOCK_FOLDER"]), list(table["calls"]), table.get("pools", ""))
    sys.meta_path.insert(0, _WrapsCalls(clock, table["calls"]))


class _WrapsCalls(MetaPathFinder):
    """Finds the modules that hold these calls as they would be found without it, and wraps the calls in them."""

    def __init__(self, clock: Any, calls: dict[str, list[str]]) -> None:
        self._clock = clock
        self._waiting: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for layer, targets in calls.items():
            for target in targets:
                module, _, path = target.partition(":")
                self._waiting[module].append((path, layer))

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`; a module that is not named is left to the other finders."""
        if fullname not in self._waiting:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return spec
        loader = spec.loader
        run = loader.exec_module

        def run_and_wrap(module: ModuleType) -> None:
            run(module)
            for place, layer in self._waiting[fullname]:
                self._wrap(module, place, layer)

        loader.exec_module = run_and_wrap  # type: ignore[method-assign]
        return spec

    def _wrap(self, module: ModuleType, place: str, layer: str) -> None:
        *way, name = place.split(".")
        owners: list[Any] = [module]
        try:
            for part in way:
                owners = [
                    found for owner in owners for found in (owner.values() if part == "*" else [getattr(owner, part)])
                ]
            for owner in owners:
                timed = self._clock.timed(getattr(owner, name), layer)
                # A frozen dataclass refuses setattr.
                (type.__setattr__ if isinstance(owner, type) else object.__setattr__)(owner, name, timed)
        except AttributeError as error:
            raise ImportError(
                f"[layers.calls] names {module.__name__}:{place}, which does not exist: {error}"
            ) from error


switch_on()
