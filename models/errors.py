"""Everything `models` can refuse to do, as one tree; each message is one sentence for a person."""


class ModelsError(Exception):
    """Base of every error that the command line prints as one line and ends with exit code 1."""


class WorkloadError(ModelsError):
    """A workload is unknown, or its file breaks the contract of `models.workload`."""


class PackagedFileError(ModelsError):
    """A package that brings weights or data is missing or of another version, or its file is damaged."""


class QualityError(ModelsError):
    """The trained weights are worse on the held-out examples than the workload promises."""


class ExportError(ModelsError):
    """An export (SavedModel, PyTorch form, .mar) could not be written or read back."""


class ExportParityError(ModelsError):
    """An export answers differently from the float64 reference."""


class BrokenArtifactError(ModelsError):
    """An artifact on disk is missing, altered, incomplete or unreadable."""


class FormError(ModelsError):
    """A form of a model is unknown, or what it needs is missing."""


class BoardError(ModelsError):
    """There are no recorded runs, or TensorBoard cannot show them."""
