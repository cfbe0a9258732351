"""Findings in words."""

from dataclasses import replace

import pytest

from loadtest.judge.comparison_result import ComparisonResult
from loadtest.report.figures.setup_effort import starts_told
from loadtest.report.reading import Document
from loadtest.report.setup_wording import NOTES, OBSERVATIONS, evidence_of, qualification_of, sentence_of
from loadtest.setup.probes.capability import Exchange, judged
from loadtest.setup.server_setup import TimeToCorrect
from loadtest.setup.setup_file import read_setups
from loadtest.setup.setup_finding import SetupCode, SetupFinding, finding
from loadtest.setup.start_times import StartTimes, WarmStarts
from tests.report.samples import SETUP


def test_every_finding_has_its_words() -> None:
    """No code is left without a sentence, as a note or as evidence."""
    assert set(SetupCode) == set(NOTES) | set(OBSERVATIONS)


@pytest.mark.parametrize(
    ("note", "sentence"),
    [
        (finding(SetupCode.NOT_IN_QUICK_FORM), "not tried in the short form"),
        (finding(SetupCode.PROBE_FAILED, error="a {brace}"), "a {brace}"),
        (finding(SetupCode.BINARY_OVER, ways=["REST, .npy", "gRPC"]), "over REST, .npy and gRPC"),
        (finding(SetupCode.KILLED, ending="SIGABRT"), "it killed the server (SIGABRT)"),
        (finding(SetupCode.KILLED, ending="SIGABRT", requests=["a", "b"]), "a, b killed the server (SIGABRT)"),
        (
            finding(SetupCode.STOPPED_ANSWERING, answer="503: {}", requests=["a"]),
            "the server stopped answering correctly (503: {}) after: a",
        ),
    ],
)
def test_notes_are_sentences(note: SetupFinding, sentence: str) -> None:
    """Each with its own values in it."""
    assert sentence_of(note) == sentence


LOAD = {"sent": 4, "answered": 3}


@pytest.mark.parametrize(
    ("observation", "asked", "told"),
    [
        (
            finding(SetupCode.BATCHES, connections=16, counter="log", batches=2, errors={}, **LOAD),
            "16 connections, 1 instance in each request; counted by lines of its log",
            "3 of 4 answered right, in 2 batches",
        ),
        (
            finding(SetupCode.SWAP_UNDER_LOAD, rate=50.0, errors={"timeout": 1}, **LOAD),
            "50 requests a second before, meanwhile and after",
            "3 of 4 answered right, 1 timeout",
        ),
        (
            finding(
                SetupCode.SHUTDOWN_UNDER_LOAD, instances=8192, signal_s=0.25, errors={}, ending="exit code 0", **LOAD
            ),
            "4 predictions of 8,192 instances each, SIGTERM 0.25 s after they were sent",
            "3 of 4 answered right; the server ended with exit code 0",
        ),
        (
            finding(SetupCode.SHUTDOWN_UNDER_LOAD, instances=2, signal_s=0.2, errors={}, waited_s=30.0, **LOAD),
            "4 predictions of 2 instances each, SIGTERM 0.20 s after they were sent",
            "3 of 4 answered right; still running 30 s later",
        ),
        (
            finding(SetupCode.PREDICTIONS_WHEN_READY, request="GET rest:/ready", sent=8, right=7, wrong=["503: {}"]),
            "GET rest:/ready, and 8 predictions as soon as it says so",
            "ready; 7 of 8 right, 503: {}",
        ),
        (
            finding(SetupCode.COUNTING_SERIES, request="GET rest:/metrics", predictions=5, series=9, rose=[]),
            "GET rest:/metrics before and after 5 predictions",
            "9 series; rose by 5: none",
        ),
        (
            finding(SetupCode.NAMES_TOLD, told=["1"], missing=["digits"]),
            "looked for in these answers",
            "'1' is there, 'digits' is not there",
        ),
    ],
)
def test_what_was_counted_is_told_as_done_and_found(observation: SetupFinding, asked: str, told: str) -> None:
    """As an exchange is."""
    assert list(evidence_of(judged("rest", True, observations=[observation]))) == [(asked, told)]


def test_what_a_request_did_to_the_server_is_told_with_its_answer() -> None:
    """The answer stays as it came."""
    cell = judged("rest", False, [Exchange("asked", "400: no", finding(SetupCode.KILLED, ending="SIGSEGV"))])
    assert list(evidence_of(cell)) == [("asked", "400: no; it killed the server (SIGSEGV)")]


def test_a_setting_and_the_notes_belong_to_an_answer() -> None:
    """In that order, and nothing where there is neither."""
    shown = [Exchange("asked", "told")]
    notes = [finding(SetupCode.NO_SERIES_COUNTS)]
    assert qualification_of(judged("rest", True, shown)) == ""
    assert qualification_of(judged("rest", True, shown, setting="a=1", notes=notes)) == (
        "a=1; no series counts the predictions"
    )


def test_the_page_says_where_starts_were_timed(comparison: ComparisonResult) -> None:
    """Those of a comparison's rounds are not told as starts that were made for this."""
    (setup,) = read_setups(SETUP)
    assert starts_told(Document(comparison, setup)) == "5 warm starts of each server"
    rounds = WarmStarts.of([StartTimes(1.0, 1.0, 1.2)] * 3, "comparison")
    for warm, told in (
        (rounds, "3 warm starts of each server, timed in the rounds of the comparison"),
        (None, "no warm starts"),
    ):
        servers = {key: replace(one, timeline=TimeToCorrect(warm)) for key, one in setup.servers.items()}
        assert starts_told(Document(comparison, replace(setup, servers=servers))) == told
