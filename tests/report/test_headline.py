"""The first sentences, and the digits that an interval supports."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from loadtest.judge.intervals import NOT_KNOWN, Estimate
from loadtest.report.figures import overview
from loadtest.report.headline import headline
from loadtest.report.reading import Document, read_results
from loadtest.report.supported_digits import supported

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("value", "low", "high", "told"),
    [
        (2.34, 1.89, 3.13, "2.3"),
        (4_202.0, 3_204.0, 5_015.0, "4,200"),
        (18.07, 7.45, 27.05, "18"),
        (8.36, 3.47, 11.68, "8"),
        (271.2, 271.1, 271.3, "271"),
        (0.0824, 0.0823, 0.0825, "0.0824"),
        (65.9, 0.0, 183.7, "70"),
        (2.0, 2.0, 2.0, "2.00"),
        (1_396.4, math.nan, math.nan, "1,400"),
        (0.0, 0.0, 0.0, "0.00"),
    ],
)
def test_a_number_has_the_digits_that_its_interval_supports(value: float, low: float, high: float, told: str) -> None:
    """Rounded to the place of the first digit of half of the interval, to three digits at most, to two without one."""
    assert supported(Estimate(value, low, high)) == told


def test_the_measured_result_is_told_in_plain_sentences() -> None:
    """The result in docs: who answers fastest and by how much, and who carries most."""
    said = headline(read_results(ROOT / "docs" / "measured" / "tensorflow-serving-2.17.1" / "result.json").only)
    name = "TensorFlow Serving 2.17.1 (built from source, REST)"
    assert said[:2] == [
        f"{name} answers fastest, p99 2.3 ms; Flask + granian (torch) takes 1.7 times as long; "
        "TorchServe takes 8 times as long.",
        f"{name} carries most, 4,200 requests/s with p99<50ms; Flask + granian (torch) 2,100; TorchServe 1,100.",
    ]


def test_no_winner_is_named_where_no_difference_is_established(document: Document) -> None:
    """Intervals that overlap, and fewer than three rounds, leave the order open; the sentences say so."""
    told = " ".join(headline(document))
    assert "No difference in p99 is established between" in told
    assert "fastest" not in told
    document.comparison.plan = replace(document.comparison.plan, rounds=2)
    assert "Fewer than 3 rounds establish no difference" in " ".join(headline(document))


def test_ease_of_setup_is_told_of_all_servers_or_not_at_all(document: Document) -> None:
    """Fewest lines, credentials and SIGTERM; what is unknown of one server is told of none."""
    told = headline(document)
    assert (
        "TF Serving API (embedded) takes the fewest lines to write, 64; TorchServe 202; Flask + granian (torch) 247."
        in told
    )
    assert "Only TorchServe asks for credentials by default." in told
    assert "Only TorchServe loses requests when told to end." in told
    assert told[-1] == "Ease of setup was not measured for Flask + granian (tensorflow)."
    assert document.setup is not None
    flask = document.setup.servers["flask_server"]
    untried = replace(flask, capabilities=tuple(cell for cell in flask.capabilities if cell.capability != "auth"))
    servers = {**document.setup.servers, "flask_server": untried}
    assert "credentials" not in " ".join(
        headline(Document(document.comparison, replace(document.setup, servers=servers)))
    )
    assert len(headline(Document(document.comparison))) == 2


def test_runs_too_short_for_p99_are_told_by_a_percentile_that_they_are_long_enough_for(document: Document) -> None:
    """One short round has a p95 and no p99: the sentence and the picture tell the p95, and say which it is."""
    comparison = document.comparison
    comparison.summary = [replace(row, p99_ms=NOT_KNOWN) for row in comparison.summary]
    comparison.plan = replace(comparison.plan, rounds=1)
    assert headline(document)[0].startswith("Fewer than 3 rounds establish no difference; p95: ")
    assert "p95 response time" in overview.figure(document).panels[0].title
    comparison.summary = [replace(row, p95_ms=NOT_KNOWN, p50_ms=NOT_KNOWN) for row in comparison.summary]
    assert headline(document)[0].startswith("No response time can be believed")
