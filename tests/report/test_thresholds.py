"""Thresholds pass where the number is known and on the right side, and in no other case."""

import math
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.errors import UsageError
from loadtest.judge.comparison_result import ComparisonResult
from loadtest.judge.condition import Condition
from loadtest.judge.findings import FAILED, SENT_LATE, Finding
from loadtest.judge.summary import summarise
from loadtest.judge.verdict import Verdict
from loadtest.report.reading import Document, Results
from loadtest.report.thresholds import EXAMPLE, check_thresholds, junit, read_thresholds

NAMES = ("digits",)
KEYS = ("flask_server", "flask_server:tensorflow")


def parsed(text: str) -> Condition:
    """A threshold as it is read, on the only comparison."""
    return replace(Condition.parse(text, called="threshold", example=EXAMPLE), comparison="digits")


def alone(comparison: ComparisonResult) -> Results:
    """A result with this comparison only."""
    return Results([Document(comparison)])


@pytest.mark.parametrize(
    ("text", "server", "name", "operator", "limit"),
    [
        ("flask_server.p99<20ms", "flask_server", "p99", "<", 20),
        (" flask_server.p99.9 <= 1.5s ", "flask_server", "p99.9", "<=", 1500),
        ("flask_server:tensorflow.p50<800us", "flask_server:tensorflow", "p50", "<", 0.8),
        ("flask_server.throughput>=100/s", "flask_server", "throughput", ">=", 100),
        ("flask_server.ceiling>1000", "flask_server", "ceiling", ">", 1000),
        ("flask_server.errors<0.1%", "flask_server", "errors", "<", 0.1),
        ("flask_server.cpu<2s", "flask_server", "cpu", "<", 2),
        ("flask_server.memory<1GiB", "flask_server", "memory", "<", 1024),
        ("flask_server.start<1500ms", "flask_server", "start", "<", 1.5),
    ],
)
def test_thresholds_are_read_with_their_units(text: str, server: str, name: str, operator: str, limit: float) -> None:
    """Each metric is read in the units that people write it in, and kept in its own."""
    found = parsed(text)
    assert (found.server, found.name, found.operator) == (server, name, operator)
    assert found.limit == pytest.approx(limit)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("flask_server", "write one like"),
        ("p99<20ms", "write one like 'flask_server.p99<20ms'"),
        ("flask_server.p99=20ms", "write one like"),
        ("flask_server.p99<", "write one like"),
        ("flask_server.p99<-1ms", "write one like"),
        ("flask_server.p99<20", "written in us or ms or s"),
        ("flask_server.p99<20%", "written in us or ms or s"),
        ("flask_server.errors<1", "written in %"),
        ("flask_server.p0<20ms", "no metric 'p0'"),
        ("flask_server.speed<20ms", "no metric 'speed'"),
        ("nobody.p99<20ms", "nobody is not in this comparison"),
        ("flask_server.capacity>10", "only searched with --slo"),
    ],
)
def test_thresholds_that_cannot_be_kept_are_refused(text: str, told: str) -> None:
    """What cannot be read, or will not be measured, is refused in one line that says what to write."""
    with pytest.raises(UsageError) as caught:
        read_thresholds([text], dict.fromkeys(NAMES, KEYS), searched=False)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=40))
def test_any_text_is_a_threshold_or_a_usage_error(text: str) -> None:
    """No text makes the reader fail in another way."""
    try:
        found = read_thresholds([text], dict.fromkeys(NAMES, KEYS), searched=True)
    except UsageError:
        return
    assert all(threshold.server in KEYS for threshold in found)


def test_blank_lines_and_comments_are_left_out() -> None:
    """A file of thresholds may have comments, at the end of a line too."""
    found = read_thresholds(
        ["", "  # limits", "flask_server.p99<20ms  # of the contract"], dict.fromkeys(NAMES, KEYS), searched=False
    )
    assert [threshold.text for threshold in found] == ["flask_server.p99<20ms"]


@pytest.mark.parametrize(("name", "column"), [("p50", "p50_ms"), ("p95", "p95_ms"), ("p99", "p99_ms")])
def test_percentiles_are_those_of_the_table(comparison: ComparisonResult, name: str, column: str) -> None:
    """A threshold on a percentile judges the number that the table shows."""
    keys = [server.key for server in comparison.servers]
    outcomes = check_thresholds(
        read_thresholds([f"{key}.{name}<1s" for key in keys], dict.fromkeys(NAMES, keys), searched=False),
        alone(comparison),
    )
    shown = [getattr(row, column).value for row in comparison.summary]
    assert [outcome.value.value if outcome.value.known else None for outcome in outcomes] == [
        None if math.isnan(value) else pytest.approx(value, abs=1e-5) for value in shown
    ]


@pytest.mark.parametrize(
    "metric", ["p50 {} {}ms", "throughput {} {}", "ceiling {} {}", "cpu {} {}s", "memory {} {}MiB", "start {} {}s"]
)
def test_a_threshold_splits_the_numbers_at_its_limit(comparison: ComparisonResult, metric: str) -> None:
    """The same number passes below a limit above it and fails above it, and the other way round."""
    key = comparison.servers[0].key
    outcomes = check_thresholds(
        [parsed(f"{key}." + metric.format(sign, limit)) for sign in "<>" for limit in ("0.00001", "9999999")],
        alone(comparison),
    )
    assert [outcome.passed for outcome in outcomes] == [False, True, True, False]


def test_a_number_that_is_not_known_fails(comparison: ComparisonResult) -> None:
    """Invalid runs, too few answers and a server that failed each fail every threshold, and say why."""
    invalid, short, failed = comparison.servers[:3]
    late = Finding(SENT_LATE, {"percent": 99.0, "lag_ms": 4.0, "response_ms": 5.0})
    invalid.rounds = [
        replace(one, open_loop=replace(one.open_loop, verdict=Verdict(False, [late]))) for one in invalid.rounds
    ]
    failed.rounds, failed.faults = [], [Finding(FAILED, {"message": "it did not start: exit code 3"})]
    comparison.summary = summarise(comparison.servers, 1)
    told = {}
    for server, name in ((invalid, "p99"), (short, "p99.99"), (failed, "p50")):
        for sign in "<>":
            (outcome,) = check_thresholds([parsed(f"{server.key}.{name}{sign}20ms")], alone(comparison))
            assert not outcome.passed
            told[server.key] = str(outcome)
    assert "the client sent late" in told[invalid.key]
    assert "too few for p99.99" in told[short.key]
    assert "exit code 3" in told[failed.key]


def test_junit_has_a_case_for_each_threshold(comparison: ComparisonResult) -> None:
    """The XML counts and names every threshold, and tells of each failure what was measured; any text is escaped."""
    key = comparison.servers[0].key
    texts = [f"{key}.memory<1TB".replace("TB", "GB"), f"{key}.memory<1MiB", f"{key}.p99.99<1us"]
    outcomes = check_thresholds([parsed(text) for text in texts], alone(comparison))
    root = ElementTree.fromstring(junit(outcomes))
    (suite,) = root
    assert {name: suite.attrib[name] for name in ("tests", "failures", "errors")} == {
        "tests": "3",
        "failures": str(sum(not outcome.passed for outcome in outcomes)),
        "errors": "0",
    }
    assert [case.attrib["name"] for case in suite] == texts
    assert {case.attrib["classname"] for case in suite} == {f"digits.{key}"}
    for case, outcome in zip(suite, outcomes, strict=True):
        failure = case.find("failure")
        assert (failure is None) == outcome.passed
        if failure is not None:
            assert failure.attrib["message"] == str(outcome)
    assert suite[2].find("failure[@type='unknown']") is not None
