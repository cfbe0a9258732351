"""The forms that an artifact may hold beside the eager one, for variants of the servers."""

from pathlib import Path

from models.artifact_manifest import Manifest
from models.errors import ExportError, FormError
from models.examples import Forward
from models.forms import sources
from models.forms.all_forms import FORMS
from models.forms.form import Source, told

FOLDER = "forms"
DEPLOYABLE = ("aotinductor",)
"""Eager is always there, and torch.compile needs no files of its own."""


def select(names: str | None) -> tuple[str, ...]:
    """The forms named in a list with commas, each once.

    Raises:
        FormError: One of them is none that an artifact may hold.
    """
    chosen = tuple(dict.fromkeys(name.strip() for name in names.split(","))) if names else ()
    for name in chosen:
        if name not in DEPLOYABLE:
            raise FormError(f"an artifact can hold no form {name!r} beside the eager one, only {', '.join(DEPLOYABLE)}")
    return chosen


def build(name: str, source: Source, artifact: Path) -> None:
    """Build a form into its folder of an artifact.

    Raises:
        ExportError: The framework refuses to make this form of the model.
        FormError: There is no C++ compiler.
    """
    folder = artifact / FOLDER / name
    folder.mkdir(parents=True)
    try:
        FORMS[name].build(source, folder)
    except FormError:
        raise
    except Exception as error:  # the framework may raise anything over code that it cannot translate
        raise ExportError(f"there is no {name} form of this model: {told(error)}") from error


def load(artifact: Path, manifest: Manifest) -> dict[str, Forward]:
    """The forms that lie in an artifact, by their names, ready to answer."""
    held = [name for name in DEPLOYABLE if in_artifact(name, manifest)]
    if not held:
        return {}
    source = sources.of_artifact("torch", artifact, manifest)
    return {name: FORMS[name].load(source, artifact / FOLDER / name) for name in held}


def in_artifact(name: str, manifest: Manifest) -> bool:
    """Whether an artifact holds this form."""
    return any(file.startswith(f"{FOLDER}/{name}/") for file in manifest.files)
