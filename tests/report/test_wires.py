"""A comparison over several wire formats: names, remarks, the figure, and what is the same over each of them."""

import copy
import math
from dataclasses import replace

import pytest

from loadtest.judge.comparison_result import ComparisonResult
from loadtest.judge.intervals import Estimate
from loadtest.judge.server_result import MessageBytes, contender_key
from loadtest.judge.summary import ratios, summarise
from loadtest.machine.placement import Placement
from loadtest.report.answer import conditions
from loadtest.report.figures import draw, wires
from loadtest.report.headline import headline
from loadtest.report.reading import Document, Results
from loadtest.report.starts import start_times
from loadtest.report.table import notes
from loadtest.report.thresholds import read_thresholds

FASTER = 2.0


@pytest.fixture
def over_two(comparison: ComparisonResult) -> ComparisonResult:
    """The sample, in which the Flask service was asked over npy too, and has twice the ceiling there."""
    found = copy.deepcopy(comparison)
    for one in found.servers:
        one.server, one.message = one.key, MessageBytes(800.0, 200.0)
    npy = copy.deepcopy(found.of("flask_server"))
    npy.key, npy.wire, npy.message = contender_key("flask_server", "npy"), "npy", MessageBytes(400.0, 100.0)
    npy.rounds = [
        replace(each, closed_loop=replace(each.closed_loop, throughput_rps=FASTER * each.closed_loop.throughput_rps))
        for each in npy.rounds
    ]
    found.servers.insert(1 + [one.key for one in found.servers].index("flask_server"), npy)
    found.placement = Placement((0,), (1,))
    found.summary, found.ratios = summarise(found.servers, found.plan.batch), ratios(found.servers)
    return found


def test_names_tell_the_wire_where_there_are_several(comparison: ComparisonResult, over_two: ComparisonResult) -> None:
    """With a single one the labels are as they were."""
    assert comparison.names["flask_server"] == "Flask + granian (torch)"
    assert over_two.names["flask_server"] == "Flask + granian (torch) over rest"
    assert over_two.names["flask_server+npy"] == "Flask + granian (torch) over npy"
    assert over_two.server_names["flask_server"] == "Flask + granian (torch)"
    assert "flask_server+npy" not in over_two.server_names
    assert "wire formats rest and npy, " in conditions(over_two)
    assert "wire format" not in conditions(comparison)


def test_two_servers_of_one_label_keep_their_keys(over_two: ComparisonResult) -> None:
    """Over several wire formats as over one."""
    for one in over_two.servers:
        one.label = "the same"
    assert over_two.server_names["flask_server"] == "the same (flask_server)"
    assert over_two.names["flask_server+npy"] == "the same over npy"
    assert len(set(over_two.names.values())) == len(over_two.servers)
    assert len(set(over_two.server_names.values())) == len(over_two.server_names)


def test_what_a_server_does_not_speak_is_stated(over_two: ComparisonResult) -> None:
    """Once for each server, as are its facts."""
    told = notes(over_two)
    silent = [line for line in told if "does not speak" in line]
    others = [name for key, name in over_two.server_names.items() if key != "flask_server"]
    assert silent == [f"{name} does not speak npy" for name in others]
    facts = [line for line in told if "archived by its maintainers" in line]
    assert len(facts) == 1


def test_the_figure_holds_each_wire_of_each_server(over_two: ComparisonResult) -> None:
    """Bytes as they were counted, and CPU time less the forward pass."""
    figure = wires.figure(over_two)
    columns = [column.title for column in figure.tables[0].columns]
    rows = {str(row[0]): dict(zip(columns, row, strict=True)) for row in figure.tables[0].rows}
    assert list(rows) == list(over_two.names.values())
    npy = rows["Flask + granian (torch) over npy"]
    assert (npy["request, bytes"], npy["answer, bytes"]) == (400.0, 100.0)
    (forward,) = [one.typical_ms for one in over_two.forward_pass if one.runtime == "torch"]
    cpu = npy["CPU for a prediction at the ceiling, ms"]
    assert isinstance(cpu, float)
    assert npy["of it not the forward pass, ms"] == pytest.approx(cpu - forward)


def test_a_gain_is_told_where_it_is_established(over_two: ComparisonResult) -> None:
    """That is where the interval of the ratio leaves out 1."""
    told = "Requests per second at the ceiling: Flask + granian (torch) 3,000 over npy and 1,000 over rest"
    assert wires.figure(over_two).finding == f"{told} (2.00 times as many as over rest)."
    pair = ("flask_server", "flask_server+npy")
    over_two.ratios = [
        replace(one, ratio=Estimate(0.5, 0.2, 1.25)) if (one.one, one.two) == pair else one for one in over_two.ratios
    ]
    assert wires.figure(over_two).finding == f"{told}."


def test_without_a_second_wire_there_is_no_such_figure(comparison: ComparisonResult) -> None:
    """Nor where several threads keep the forward pass from being told in CPU time is it subtracted."""
    assert "wires" not in draw(Results([Document(comparison)])).of[comparison.name]


def test_several_threads_keep_the_forward_pass_apart(over_two: ComparisonResult) -> None:
    """Its time is then no CPU time."""
    over_two.placement = Placement((0, 2), (1,))
    assert all(math.isnan(one.forward_ms) for one in wires.over_wires(over_two))


def test_a_server_starts_alike_over_every_wire(over_two: ComparisonResult) -> None:
    """Its starts are told once, from all rounds, and so is its ease of setup."""
    document = Document(over_two)
    assert list(start_times(document)) == list(over_two.server_names)
    assert all("over npy" not in sentence for sentence in headline(document)[2:])


def test_a_threshold_names_the_wire(over_two: ComparisonResult) -> None:
    """By the key that results have too."""
    keys = [server.key for server in over_two.servers]
    (one,) = read_thresholds(["flask_server+npy.p99<20ms"], {"digits": keys}, searched=False)
    assert one.server == "flask_server+npy"
