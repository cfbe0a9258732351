"""Which data a model was judged and will be tested with, as one digest."""

import hashlib
from typing import Any

from loadtest.servers.manifest import EXAMPLES

MEANING = (
    "SHA-256 over a line 'sha256  path' for each file of inputs and labels of the golden, load and fresh examples, "
    "pictures among them, in the order of their paths. Those of load and fresh were made from held-out examples. The "
    "training examples are not in the artifact: they follow from the sources, the packages and the seed."
)


def data_sha256(manifest: dict[str, Any]) -> str:
    """The digest of an artifact's examples, see `MEANING`.

    Args:
        manifest: Of the artifact.
    """
    sets = [one[kind] for one in (manifest, *manifest["pictures"].values()) for kind in EXAMPLES]
    labels = [files["labels"] for files in sets if files["labels"] is not None]
    paths = sorted({*labels, *(path for files in sets for path in files["inputs"].values())})
    lines = [f"{manifest['files'][path]['sha256']}  {path}\n" for path in paths]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
