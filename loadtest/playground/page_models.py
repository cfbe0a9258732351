"""The models whose inputs a person can make on the playground's page."""

from dataclasses import dataclass

from loadtest.servers.artifact import Artifact, built_workloads, load_artifact


@dataclass(frozen=True)
class PageModel:
    """A model that the page has inputs for.

    Attributes:
        name: Of the workload.
        version: Of the model, where it was built here.
        labels: Names of its classes; none where it was not built here.
        tolerance: Largest difference between two answers that counts as none.
        max_request_bytes: The longest request that the artifact allows.
    """

    name: str
    version: int = 1
    labels: tuple[str, ...] = ()
    tolerance: float = 1e-5
    max_request_bytes: int = 32 * 1024 * 1024

    @classmethod
    def of(cls, artifact: Artifact) -> "PageModel":
        """What the artifact's manifest says of it."""
        manifest = artifact.manifest
        return cls(
            artifact.workload,
            int(artifact.version),
            tuple(manifest["labels"] or ()),
            artifact.tolerance,
            int(manifest["max_request_bytes"]),
        )


WORKLOADS = ("digits", "imagenet")
"""A drawing, and a photograph."""


def page_models() -> dict[str, PageModel]:
    """The models of the page by name; a server may serve one of them without its artifact being here.

    Raises:
        ArtifactError: If an artifact is damaged.
    """
    built = built_workloads()
    return {name: PageModel.of(load_artifact(name)) if name in built else PageModel(name) for name in WORKLOADS}
