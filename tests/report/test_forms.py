"""Sentences about a comparison with tuned servers: defaults among themselves, tuned ones among themselves."""

from dataclasses import replace

from loadtest.judge.comparison_result import ComparisonResult
from loadtest.report.answer import answer
from loadtest.report.forms import by_form
from loadtest.report.headline import speed
from loadtest.report.reading import Document
from loadtest.report.table import notes


def with_tuned(comparison: ComparisonResult) -> ComparisonResult:
    """The sample, in which the last two servers are tuned forms of the first two."""
    keys = [server.key for server in comparison.servers]
    renamed = dict(zip(keys[2:4], (f"{key}:tuned" for key in keys[:2]), strict=True))

    def name(key: str) -> str:
        return renamed.get(key, key)

    return replace(
        comparison,
        servers=[replace(one, key=name(one.key), server=name(one.server_key)) for one in comparison.servers],
        summary=[replace(row, key=name(row.key)) for row in comparison.summary],
        ratios=[replace(one, one=name(one.one), two=name(one.two)) for one in comparison.ratios],
    )


def test_no_sentence_ranks_a_tuned_server_among_defaults(document: Document) -> None:
    """Each sentence begins with the form that it is about, and names no server of the other one."""
    result = with_tuned(document.comparison)
    (_, defaults), (_, tuned) = by_form(result)
    names = result.names
    for sentence in (*speed(replace(document, comparison=result, setup=None)), *answer(result)):
        ours, others = (tuned, defaults) if sentence.startswith("Tuned: ") else (defaults, tuned)
        assert sentence.startswith(("Tuned: ", "As they are by default: "))
        assert any(names[server.key] in sentence for server in ours.servers)
        assert not any(names[server.key] in sentence for server in others.servers)
    for line in notes(result):
        if line.startswith("ties in"):
            for pair in line.partition(": ")[2].split("; "):
                assert not (
                    any(names[one.key] in pair for one in tuned.servers)
                    and any(names[one.key] in pair for one in defaults.servers)
                )


def test_without_tuned_servers_nothing_changes(document: Document) -> None:
    """One part, the comparison itself."""
    assert by_form(document.comparison) == [("", document.comparison)]
