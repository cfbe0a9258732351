"""Defaults and tuned forms apart: neither is ranked among the others, since nobody tuned those as well."""

from dataclasses import replace

from loadtest.judge.comparison_result import ComparisonResult
from loadtest.servers.configured_server import is_tuned


def by_form(comparison: ComparisonResult) -> list[tuple[str, ComparisonResult]]:
    """The comparison of what is in its default form and, where there are tuned servers, of those.

    Returns:
        Each with what its sentences begin with.
    """
    tuned = {server.key for server in comparison.servers if is_tuned(server.server_key)}
    if not tuned:
        return [("", comparison)]
    defaults = {server.key for server in comparison.servers} - tuned
    return [("As they are by default: ", _only(comparison, defaults)), ("Tuned: ", _only(comparison, tuned))]


def _only(comparison: ComparisonResult, keys: set[str]) -> ComparisonResult:
    return replace(
        comparison,
        servers=[server for server in comparison.servers if server.key in keys],
        summary=[row for row in comparison.summary if row.key in keys],
        ratios=[ratio for ratio in comparison.ratios if {ratio.one, ratio.two} <= keys],
    )
