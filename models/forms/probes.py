"""What becomes of a print, a breakpoint and an `if` over the input in each form: tried with models of a few lines."""

import importlib
import itertools
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from models.forms.finding import REFUSED, RIGHT, WRONG, Branch, Calls, Probes
from models.forms.form import Form, Source, told
from models.tensors import Tensors, TensorSpec

MARK = b"the model's print"
CALLS = 3
SPECS = ((TensorSpec("x", "float32", (4,)),), (TensorSpec("y", "float32", (4,)),))
POSITIVE: Tensors = {"x": np.full((2, 4), 3, np.float32)}
NEGATIVE: Tensors = {"x": np.full((2, 4), -3, np.float32)}
BRANCHES = ((POSITIVE, 6.0), (NEGATIVE, -4.0))
"""Inputs that take either branch, and the right answer to each. The form is made with the first."""


def probe(form: Form, folder: Path) -> Probes:
    """Make the small models in this form and try them.

    Args:
        form: The form.
        folder: Where their files go; empty.
    """
    with _printed() as count:
        prints = _calls(form, _source(form, "Printing"), _made(folder / "print"), count)
    with _stopped() as count:
        breakpoints = _calls(form, _source(form, "Stopping"), _made(folder / "breakpoint"), count)
    return Probes(prints, breakpoints, _branch(form, _made(folder / "branch")))


def _source(form: Form, model: str) -> Source:
    module = f"models.forms.probe_{form.framework}"

    def make() -> Any:
        made = getattr(importlib.import_module(module), model)()
        return made.eval() if form.framework == "torch" else made

    return Source(make, *SPECS, POSITIVE)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _calls(form: Form, source: Source, folder: Path, count: Callable[[], int]) -> Calls:
    counts = []
    try:
        form.build(source, folder)
        forward = form.load(source, folder)
        counts.append(count())
        for _ in range(CALLS):
            forward(POSITIVE)
            counts.append(count())
    except Exception as error:  # a framework may raise anything over code that it cannot translate
        return Calls(refused=told(error))
    return Calls(counts[0], tuple(after - before for before, after in itertools.pairwise(counts)))


def _branch(form: Form, folder: Path) -> Branch:
    source = _source(form, "Branching")
    try:
        form.build(source, folder)
    except Exception as error:  # as above
        return Branch(REFUSED, "build", told(error))
    try:
        forward = form.load(source, folder)
        right = [bool((forward(given)["y"] == answer).all()) for given, answer in BRANCHES]
    except Exception as error:  # as above
        return Branch(REFUSED, "call", told(error))
    return Branch(RIGHT if all(right) else WRONG)


@contextmanager
def _printed() -> Iterator[Callable[[], int]]:
    """Count what reaches this process's standard output, from Python and from the frameworks' C++ alike."""
    with tempfile.TemporaryFile() as file:
        sys.stdout.flush()
        kept = os.dup(1)
        os.dup2(file.fileno(), 1)

        def count() -> int:
            sys.stdout.flush()
            return os.pread(file.fileno(), 1_000_000, 0).count(MARK)

        try:
            yield count
        finally:
            sys.stdout.flush()
            os.dup2(kept, 1)
            os.close(kept)


@contextmanager
def _stopped() -> Iterator[Callable[[], int]]:
    """Count calls of `breakpoint()`, which do not stop here."""
    reached = []
    before = sys.breakpointhook
    sys.breakpointhook = lambda *_, **__: reached.append(1)
    try:
        yield lambda: len(reached)
    finally:
        sys.breakpointhook = before
