"""Weighted sums, with the reader's weights and nobody else's."""

from pathlib import Path

import pytest

from loadtest.errors import UsageError
from loadtest.setup.disk_size import ArtifactSize, DiskSize
from loadtest.setup.probes.capability import Exchange, judged, unknown
from loadtest.setup.server_setup import ServerSetup, TimeToCorrect
from loadtest.setup.setup_finding import SetupCode, finding
from loadtest.setup.start_times import StartTimes, WarmStarts
from loadtest.setup.weighted_sum import FIGURES, WeightedPart, read_weights, weigh
from loadtest.setup.written_files import WrittenByHand


def _server(median: float | None, grpc: bool | None) -> ServerSetup:
    cell = (
        unknown("grpc", finding(SetupCode.NOT_PROBED))
        if grpc is None
        else judged("grpc", grpc, [Exchange("asked", "told")])
    )
    starts = [StartTimes(1.0, 1.0, median)] if median else []
    return ServerSetup(
        label="Server",
        runtime="torch",
        timeline=TimeToCorrect(warm=WarmStarts.of(starts, "setup") if starts else None),
        size=DiskSize(None, ArtifactSize(("*",), 1, 2**20)),
        written=WrittenByHand((), {}, 100, 0, 0, (), (), ()),
        idle_processes=None,
        capabilities=(cell,),
        facts=(),
    )


def test_the_sum_is_that_of_the_weights_given(tmp_path: Path) -> None:
    """Every part is shown with its weight and value, and what is not known counts nothing and is named."""
    path = tmp_path / "weights.toml"
    path.write_text("[capabilities]\ngrpc = 5\n[figures]\nfirst_correct_s = -2\nlines_written = -0.01\n")
    servers = {"a": _server(1.5, True), "b": _server(None, None), "c": _server(1.0, False)}
    result = weigh(servers, read_weights(path)).servers
    assert result["a"].sum == 5 - 3 - 1
    assert result["a"].parts["figures.first_correct_s"] == WeightedPart(value=1.5, weight=-2.0, product=-3.0)
    assert result["b"].sum == -1
    assert result["b"].unknown == ("capabilities.grpc", "figures.first_correct_s")
    assert result["c"].sum == 0 - 2 - 1
    assert result["c"].unknown == ()


def test_every_figure_is_unknown_for_a_server_of_which_nothing_is_known() -> None:
    """No figure is invented: what is left is counted from files, which are always there."""
    known = {name: figure(_server(None, None)) for name, figure in FIGURES.items()}
    counted = ("artifact_mib", "files_written", "lines_written", "keys_set", "keys_changed", "commands")
    assert {name for name, value in known.items() if value is not None} == set(counted)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[capabilities]\ngrcp = 1\n", "no 'grcp'; there are: .*grpc"),
        ("[figures]\nspeed = 1\n", "no 'speed'; there are: .*first_correct_s"),
        ("[score]\ngrpc = 1\n", r"there is no \[score\]"),
        ("grpc = 1\n", r"there is no \[grpc\]"),
        ('[capabilities]\ngrpc = "much"\n', "must be a number, not 'much'"),
        ("[capabilities]\ngrpc = true\n", "must be a number"),
        ("[capabilities]\ngrpc = inf\n", "must be a number"),
        ("", "holds no weights"),
        ("[[", "cannot be read"),
    ],
)
def test_a_file_of_weights_that_makes_no_sense_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """The text says what may stand there."""
    path = tmp_path / "weights.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        read_weights(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """The text names the file."""
    with pytest.raises(UsageError, match=r"gone\.toml"):
        read_weights(tmp_path / "gone.toml")
