"""Weighted sums, with the reader's weights and nobody else's."""

from pathlib import Path
from typing import Any

import pytest

from loadtest.errors import UsageError
from loadtest.setup.weighted_sum import figures, read_weights, weigh


def _server(median: float | None, grpc: bool | None) -> dict[str, Any]:
    return {
        "timeline": {"warm": median and {"median": median}, "cold": None},
        "written": {"lines": 100, "files": [1, 2]},
        "capabilities": [{"capability": "grpc", "supported": grpc}],
    }


def test_the_sum_is_that_of_the_weights_given(tmp_path: Path) -> None:
    """Every part is shown with its weight and value, and what is not known counts nothing and is named."""
    path = tmp_path / "weights.toml"
    path.write_text("[capabilities]\ngrpc = 5\n[figures]\nfirst_correct_s = -2\nlines_written = -0.01\n")
    document = {"servers": {"a": _server(1.5, True), "b": _server(None, None), "c": _server(1.0, False)}}
    result = weigh(document, read_weights(path))
    assert result["servers"]["a"]["sum"] == 5 - 3 - 1
    assert result["servers"]["a"]["parts"]["figures.first_correct_s"] == {"value": 1.5, "weight": -2.0, "product": -3.0}
    assert result["servers"]["b"]["sum"] == -1
    assert result["servers"]["b"]["unknown"] == ["capabilities.grpc", "figures.first_correct_s"]
    assert result["servers"]["c"]["sum"] == 0 - 2 - 1
    assert result["servers"]["c"]["unknown"] == []


def test_every_figure_is_unknown_for_a_server_of_which_nothing_is_known() -> None:
    """No figure is invented."""
    assert set(figures({}).values()) == {None}


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
