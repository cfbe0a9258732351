"""Which requests without an answer were lost, and which were refused, so that their client may ask again."""

from collections.abc import Mapping

REFUSED = ("connection_refused", "connect_failed", "http_503", "http_429", "unavailable", "resource_exhausted")
"""Kinds of errors of requests that the server did not take: nobody listened, or it said so at once."""


def lost_and_refused(errors: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """Errors by kind: of the requests that the server had taken, and of those that it did not take."""
    ordered = sorted(errors.items())
    return ({k: n for k, n in ordered if k not in REFUSED}, {k: n for k, n in ordered if k in REFUSED})
