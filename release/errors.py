"""What keeps a model from being released; each message is one line for a person."""

from models.errors import ModelsError


class ReleaseError(ModelsError):
    """Base of every error of this package; the command line prints it as one line and ends with exit code 1."""


class TargetError(ReleaseError):
    """A push target cannot be used as it is: it holds something else, is in use, or has nothing to go back to."""


class RefusedError(ReleaseError):
    """A model is not pushed, for the reasons that the text lists; what was pushed before stays as it is."""
