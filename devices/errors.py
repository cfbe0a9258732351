"""What `devices` refuses to do; each message is one sentence for a person."""

from models.errors import ModelsError


class DevicesError(ModelsError):
    """An export is unknown, or the packages that make exports are missing."""
