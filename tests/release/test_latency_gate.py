"""A result is held against limits only where it is of this very artifact."""

import json
import shutil
from pathlib import Path

import pytest

from loadtest.errors import UsageError
from loadtest.experiments.surroundings import artifact_sha256
from loadtest.report.runs_file import RUNS
from release.candidate import read_candidate
from release.errors import RefusedError, ReleaseError
from release.latency_gate import check_limits, judge
from release.push import push
from release.push_target import open_target
from tests.experiments.virtual_record import PLAN, whole
from tests.release.conftest import blessed, seal
from tests.report.samples import SAMPLE


def test_limits_are_read_before_anything_is_measured() -> None:
    """Those that can be kept name the servers to measure; the others are refused in the words of `loadtest compare`."""
    servers = ["flask_server", "tf_serving"]
    assert check_limits(["flask_server.p99<20ms", "flask_server.errors<1%"], "digits", servers) == ["flask_server"]
    for limit, told in (("p99<20ms", "is no threshold"), ("torchserve.p99<20ms", "torchserve is not in this")):
        with pytest.raises(UsageError, match=told):
            check_limits([limit], "digits", servers)


def test_a_result_of_an_unknown_build_is_refused(folder: Path, tmp_path: Path) -> None:
    """A result.json alone says which weights, and not which exports, were measured."""
    shutil.copy(SAMPLE, tmp_path / "result.json")
    with pytest.raises(ReleaseError, match=r"runs.jsonl is missing, .*: measure again"):
        judge(["flask_server.p99<20ms"], read_candidate("digits", folder), tmp_path)


def test_a_comparison_opens_or_closes_the_gate(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit that is kept lets the push pass and stands in its record; one that is not keeps it back."""
    candidate, target = blessed(folder, "flask_server"), tmp_path / "served"
    measured = artifact_sha256(candidate.artifact)
    result = written(tmp_path / "result", whole(PLAN, monkeypatch)[1], measured)
    kept, missed = (judge([f"one.throughput{limit}"], candidate, result) for limit in (">1/s", ">1000000/s"))
    with open_target(target, "digits") as opened:
        record = push(candidate, opened, ["flask_server"], gate=lambda one: kept).record
        assert record.gate == kept.told
        assert kept.told[0].startswith("passed: one.throughput>1/s (measured ")
        seal(folder, seed=3)
        rebuilt = blessed(folder, "flask_server")
        with pytest.raises(RefusedError, match=r"one.throughput>1000000/s \(measured \d"):
            push(rebuilt, opened, ["flask_server"], gate=lambda one: missed)
        assert opened.versions == [1]
    with pytest.raises(ReleaseError, match=r"is of another build of digits than .*: measure again"):
        judge(["one.throughput>1/s"], rebuilt, result)


def written(folder: Path, lines: list[bytes], artifact: str) -> Path:
    """A folder with the runs of a comparison, as if they were measured with an artifact of this digest."""
    folder.mkdir()
    entries = [json.loads(line) for line in lines]
    changed = [entry | {"artifact_sha256": artifact} if "artifact_sha256" in entry else entry for entry in entries]
    (folder / RUNS).write_text("".join(f"{json.dumps(entry)}\n" for entry in changed))
    return folder
