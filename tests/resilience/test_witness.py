import math

import numpy as np
import orjson

from loadtest.load.recorder import Window
from loadtest.resilience.overload import recovery_s
from loadtest.resilience.version_witness import NEXT, PRESENT, VersionWitness
from loadtest.servers.expectation import Golden


def witness() -> VersionWitness:
    """Two versions of a model of one output, asked for two instances."""
    versions = (np.array([[0.1, 0.9], [0.3, 0.7]]), np.array([[0.2, 0.8], [0.4, 0.6]]))
    present, following = (Golden({"p": [one]}, 1e-6) for one in versions)
    return VersionWitness((present, following))


def body(*rows: list[float]) -> bytes:
    """An answer."""
    return orjson.dumps({"predictions": list(rows)})


def test_every_answer_is_of_one_version_in_full() -> None:
    """An answer with an instance of each version is of neither, as is one with an instance missing."""
    seen = witness()
    assert seen.matches(0, body([0.1, 0.9], [0.3, 0.7]))
    assert seen.matches(0, body([0.2, 0.8], [0.4, 0.6]))
    assert not seen.matches(0, body([0.1, 0.9], [0.4, 0.6]))
    assert not seen.matches(0, body([0.1, 0.9]))
    assert [version for _, version in seen.seen] == [PRESENT, NEXT]


def test_first_and_last_answers_after_a_moment() -> None:
    """What came before the change does not count."""
    seen = witness()
    seen.seen += [(1.0, NEXT), (2.0, PRESENT), (5.0, PRESENT), (5.5, NEXT), (6.0, PRESENT), (7.0, NEXT)]
    assert seen.first(NEXT, 4.0) == 1.5
    assert seen.last(PRESENT, 4.0) == 2.0
    assert seen.first(PRESENT, 6.5) is None


def window(end_s: float, failed: int = 0, max_ms: float = 5.0) -> Window:
    """A stretch of a time line."""
    return Window(end_s, 100, failed, 1.0, 2.0, max_ms, 0)


def test_recovery_is_the_end_of_the_last_bad_stretch_after_the_drop() -> None:
    """Failed and late requests are bad; what was before the drop, and after the load's end, does not count."""
    assert recovery_s([window(1, failed=5), window(2), window(3)], 1.0, 1.0, 3.0) == 0.0
    assert recovery_s([window(1), window(2, failed=1), window(3)], 1.0, 1.0, 3.0) == 1.0
    assert recovery_s([window(1), window(2, max_ms=1_500), window(3), window(4, failed=9)], 1.0, 1.0, 3.0) == 1.0
    assert math.isinf(recovery_s([window(1), window(2), window(3, failed=1)], 1.0, 1.0, 3.0))
