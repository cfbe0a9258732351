"""The batch scheduler by itself, where a server would need a configuration of its own."""

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tf_serving.embedded.batch_scheduler import BatchScheduler
from tf_serving.embedded.config_files import BatchingParameters
from tf_serving.embedded.errors import Code, ServingError
from tf_serving.embedded.metrics import Metrics


class _Doubler:
    """Stands for a servable: y = 2 x, and remembers the sizes it was run with."""

    name = "doubler"

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.opened = threading.Event()
        self.opened.set()

    def run(self, signature: Any, inputs: dict[str, Any], timeout_ms: int = 0) -> dict[str, Any]:
        self.sizes.append(len(inputs["x"]))
        self.opened.wait()
        return {"y": 2 * inputs["x"]}


class _Signature:
    name = "serving_default"


@pytest.fixture
def doubler() -> _Doubler:
    """A model that always answers."""
    return _Doubler()


def scheduler(**parameters: Any) -> Iterator[BatchScheduler]:
    """A scheduler that ends with the test."""
    made = BatchScheduler(BatchingParameters(**parameters), Metrics())
    yield made
    made.close()


@pytest.fixture
def single() -> Iterator[BatchScheduler]:
    """One thread, batches of one row."""
    yield from scheduler(max_batch_size=1, threads=1)


def run(scheduler: BatchScheduler, model: Any, count: int, timeout_ms: int = 0) -> Any:
    """The answer for 0, 1, ... count - 1."""
    inputs = {"x": np.arange(count, dtype=np.float32)}
    signature: Any = _Signature()
    return scheduler.run(model, signature, inputs, timeout_ms)["y"]


def test_a_request_of_no_rows_is_answered(single: BatchScheduler, doubler: _Doubler) -> None:
    """It runs as a batch of its own size."""
    assert run(single, doubler, 0).tolist() == []


def test_time_spent_waiting_for_a_batch_counts(single: BatchScheduler, doubler: _Doubler) -> None:
    """A request whose time is up in the queue is RESOURCE_EXHAUSTED and never runs; the next one does."""
    doubler.opened.clear()
    busy = threading.Thread(target=run, args=(single, doubler, 1))
    busy.start()
    while not doubler.sizes:
        pass
    with pytest.raises(ServingError) as caught:
        run(single, doubler, 1, timeout_ms=50)
    assert caught.value.code is Code.RESOURCE_EXHAUSTED
    doubler.opened.set()
    busy.join()
    assert run(single, doubler, 1).tolist() == [0]
    assert doubler.sizes == [1, 1]


def test_an_unforeseen_fault_is_answered_and_survived(single: BatchScheduler, doubler: _Doubler) -> None:
    """Whatever the model raises becomes INTERNAL for its request, and the thread takes the next batch."""

    class _Broken(_Doubler):
        def run(self, signature: Any, inputs: dict[str, Any], timeout_ms: int = 0) -> dict[str, Any]:
            raise MemoryError("no more")

    with pytest.raises(ServingError) as caught:
        run(single, _Broken(), 1)
    assert caught.value.code is Code.INTERNAL
    assert run(single, doubler, 1).tolist() == [0]
