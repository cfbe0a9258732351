"""The caching audit against a server that caches by body, and one that does not."""

import numpy as np
import pytest

from loadtest.experiments.caching_audit import LOOKS, PAIRS, audit_caching, different_inputs, turns
from loadtest.judge.caching import Caching
from loadtest.machine.placement import UNPINNED
from loadtest.servers.examples import Examples
from tests.wire.programmable import Listening, Programmable

CONNECTIONS, DELAY_MS = 4, 5.0
CEILING_RPS = CONNECTIONS / DELAY_MS * 1e3


@pytest.fixture
def fresh() -> Examples:
    """Examples to which the programmable server's answer is the right one."""
    inputs = np.random.default_rng(1).random((12_288, 2), dtype=np.float32)
    outputs = np.tile([0.25, 0.75], (len(inputs), 1))
    return Examples({"point": inputs}, {"scores": outputs}, 1e-6)


def audit(port: Listening, fresh: Examples) -> Caching:
    """Audit this port."""
    found = audit_caching(port.url, fresh, UNPINNED, ceiling_rps=CEILING_RPS, connections=CONNECTIONS)
    assert found is not None
    return found


def test_a_server_that_caches_by_body_is_found_out(programmable: Programmable, fresh: Examples) -> None:
    """Its answers to a repeated body come at once; those to different bodies never do, run after run."""
    port = programmable.listen("caching", delay_ms=DELAY_MS)
    found = audit(port, fresh)
    assert found.verdict == "cached"
    assert len(found.pairs) == PAIRS
    assert sum(pair.failed for pair in found.pairs) == 0
    # One input of each pair is the repeated one, which is among the different ones too unless its run is first.
    different = sum(pair.inputs for pair in found.pairs)
    assert different <= port.counts["different"] <= different + PAIRS


def test_a_server_that_computes_each_answer_is_not_accused(programmable: Programmable, fresh: Examples) -> None:
    """Both sides take as long."""
    port = programmable.listen("forgetful", delay_ms=DELAY_MS)
    found = audit(port, fresh)
    assert found.verdict != "cached"
    assert found.ratio.low < 1.1
    assert port.counts["different"] >= sum(pair.inputs for pair in found.pairs) > 20 * PAIRS


def test_a_server_of_unknown_speed_is_not_audited(fresh: Examples) -> None:
    """There is no length of a run for it."""
    for unknown in (float("nan"), 0.0):
        assert audit_caching("http://127.0.0.1:9/", fresh, UNPINNED, ceiling_rps=unknown) is None


def test_no_input_is_in_two_pairs(fresh: Examples) -> None:
    """One instance a request: each pair has inputs of its own."""
    parts = [different_inputs(fresh, 1, pair, 10_000, 1) for pair in range(PAIRS * LOOKS)]
    sent = [row.tobytes() for part in parts for row in part.inputs["point"]]
    assert len(set(sent)) == len(sent) == fresh.size


def test_batches_are_grouped_anew_in_each_pair(fresh: Examples) -> None:
    """Several instances a request: no body is in two pairs, and no more of them are made than are needed."""
    bodies = [body for pair in range(3) for body in different_inputs(fresh, 32, pair, 20, 1).bodies(32)]
    assert len(set(bodies)) == len(bodies) == 60


def test_both_sides_have_as_many_requests(fresh: Examples) -> None:
    """The client looks an answer up by its request's number: one number would spare it the check on one side."""
    different = different_inputs(fresh, 3, 0, 20, 1)
    repeated = different.repeated(3)
    assert len(repeated.bodies(3)) == len(different.bodies(3)) == 20
    assert set(repeated.bodies(3)) == {different.bodies(3)[0]}
    np.testing.assert_array_equal(repeated.outputs["scores"][:3], different.outputs["scores"][:3])


def test_the_sides_take_turns() -> None:
    """Every run once, and each side is first in half of the pairs."""
    order = turns(100)
    assert sorted(order) == list(range(0, 2 * PAIRS * 100, 100))
    firsts = [first // 100 % 2 for first in order[::2]]
    assert firsts == [0, 1] * (PAIRS // 2)
    assert all(first // 200 == second // 200 for first, second in zip(order[::2], order[1::2], strict=True))
