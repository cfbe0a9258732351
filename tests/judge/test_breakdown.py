"""CPU time is divided among layers without loss, or not at all."""

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from loadtest.judge.breakdown import Breakdown, divide
from loadtest.judge.findings import (
    COUNTED_OTHERWISE,
    LAYERS_BEYOND_CPU,
    LAYERS_NOT_ALL,
    NO_COUNTERS,
    STEAL,
    Finding,
)
from loadtest.judge.verdict import Verdict
from loadtest.machine.layer_counters import Spent
from loadtest.machine.usage import Usage
from loadtest.report.wording import words
from loadtest.servers.layer_table import LayerTable

TABLE = LayerTable({}, {"parsing": (), "forward pass": ()}, "parsing", "hand-over", "HTTP server", "forward pass")
FRONT, WORKER = 10, 11
BEFORE = {
    FRONT: Spent(7.0),
    WORKER: Spent(5.0, {"parsing": 40, "forward pass": 41}, {"parsing": 1.0, "forward pass": 2.0}),
}
AFTER = {
    FRONT: Spent(8.0),
    WORKER: Spent(9.0, {"parsing": 1_040, "forward pass": 1_041}, {"parsing": 1.5, "forward pass": 3.0}, 1.5),
}


def divided(after: dict[int, Spent] = AFTER, ok: int = 1_000, used_s: float = 5.0, **other: Any) -> Breakdown:
    """What becomes of readings of which 5 s were used for 1,000 answers."""
    run: Any = SimpleNamespace(
        tally=SimpleNamespace(ok=ok, errors=Counter()), verdict=other.pop("verdict", Verdict(True))
    )
    return divide(BEFORE, after, run, Usage(used_s, 0.0, 0.0, 2, 2), TABLE)


def test_layers_add_up_to_the_process_tree() -> None:
    """Processes without counters are one layer, a pool's threads are its layer's, and what is left is the rest."""
    found = divided()
    assert found.faults == []
    assert found.requests == 1_000
    assert found.layers_us == pytest.approx(
        {"HTTP server": 1_000, "hand-over": 1_000, "parsing": 500, "forward pass": 2_500}
    )
    assert found.remainders == ["HTTP server", "hand-over"]
    assert sum(found.layers_us.values()) == pytest.approx(found.cpu_us) == pytest.approx(5_000)


def test_a_process_that_began_meanwhile_counts_from_nothing() -> None:
    """A worker that was started anew has no earlier reading."""
    found = divide({FRONT: Spent(7.0)}, AFTER, _run(1_040), Usage(10.0, 0, 0, 2, 2), TABLE)
    assert found.faults == []
    assert sum(found.layers_us.values()) * 1_040 == pytest.approx(10.0e6)


def _run(ok: int) -> Any:
    return SimpleNamespace(tally=SimpleNamespace(ok=ok), verdict=Verdict(True))


def _worker(**changed: Any) -> dict[int, Spent]:
    return {**AFTER, WORKER: replace(AFTER[WORKER], **changed)}


@pytest.mark.parametrize(
    ("code", "found"),
    [
        (COUNTED_OTHERWISE, divided(ok=999)),
        (LAYERS_BEYOND_CPU, divided(_worker(pool_s=4.0))),
        (LAYERS_NOT_ALL, divided(used_s=5.5)),
        (LAYERS_NOT_ALL, divided(used_s=float("nan"))),
        (NO_COUNTERS, divided({FRONT: Spent(8.0), WORKER: Spent(9.0)})),
        (STEAL, divided(verdict=Verdict(False, [Finding(STEAL, {"share": 0.1})]))),
    ],
)
def test_what_cannot_be_believed_is_said_and_not_shown(code: str, found: Breakdown) -> None:
    """No layer is told; the reason is, in words."""
    assert found.layers_us == {}
    assert [fault.code for fault in found.faults] == [code]
    assert words(found.faults[0])
    assert code not in words(found.faults[0])
