"""Dynamic batching: requests that wait at the same time share one forward pass.

The scheduling is that of TensorFlow Serving's shared batch scheduler. A queue is a list of batches of which only
the last is open; a batch runs once it is full or its first request has waited for the timeout; a request that
would need one batch more than a queue may hold is turned away. Threads are shared by all queues.
"""

import collections
import dataclasses
import logging
import threading
import time
from collections.abc import Hashable
from concurrent.futures import Future
from typing import Any

import numpy as np

from tf_serving.embedded.config_files import BatchingParameters
from tf_serving.embedded.errors import Code, ServingError, invalid_argument
from tf_serving.embedded.metrics import Metrics, micros_since
from tf_serving.embedded.servable import Servable, Signature, Tensors

log = logging.getLogger(__name__)


@dataclasses.dataclass
class _Task:
    inputs: Tensors
    size: int
    enqueued: float = dataclasses.field(default_factory=time.perf_counter)
    answer: "Future[Tensors]" = dataclasses.field(default_factory=Future)


@dataclasses.dataclass
class _Batch:
    tasks: list[_Task] = dataclasses.field(default_factory=list)
    size: int = 0


class _Queue:
    """The waiting batches of one signature, of inputs that can be put together."""

    def __init__(self, servable: Servable, signature: Signature) -> None:
        self.servable = servable
        self.signature = signature
        self.batches: collections.deque[_Batch] = collections.deque()


class BatchScheduler:
    """Runs requests in batches; `run` may be called from any number of threads."""

    def __init__(self, parameters: BatchingParameters, metrics: Metrics) -> None:
        self._parameters = parameters
        self._limit = parameters.max_batch_size
        self._metrics = metrics
        self._queues: dict[Hashable, _Queue] = {}  # in the order they are served; only those with work
        self._ready = threading.Condition()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"batch-{number}", daemon=True)
            for number in range(parameters.threads)
        ]
        for thread in self._threads:
            thread.start()

    def run(self, servable: Servable, signature: Signature, inputs: Tensors, timeout_ms: int = 0) -> Tensors:
        """Return one request's outputs, computed together with others'.

        Args:
            servable: The loaded version; it must stay loaded until this returns.
            signature: One of its signatures.
            inputs: Every input, as `Signature.complete` returns them; all with the same first dimension.
            timeout_ms: Give up after so long; 0 for no limit.

        Raises:
            ServingError: The request cannot be batched, the queue is full, time is up, or the model failed.
        """
        task = _Task(inputs, self._size(inputs))
        self._enqueue(servable, signature, task)
        try:
            return task.answer.result(timeout_ms / 1000 if timeout_ms > 0 else None)
        except TimeoutError:
            if task.answer.cancel():
                message = "Run() timeout exceeded while waiting in batching queue"
                raise ServingError(Code.RESOURCE_EXHAUSTED, message) from None
            raise ServingError(Code.DEADLINE_EXCEEDED, "Timed out waiting for notification") from None

    def close(self) -> None:
        """End the threads once the queues are empty."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()
        for thread in self._threads:
            thread.join()

    def _size(self, inputs: Tensors) -> int:
        if not inputs:
            raise invalid_argument("Batching Run() must have at least one input tensor")
        if any(array.ndim == 0 for array in inputs.values()):
            raise invalid_argument("Batching Run() input tensors must have at least one dimension")
        sizes = {len(array) for array in inputs.values()}
        if len(sizes) > 1:
            raise invalid_argument("Batching Run() input tensors must have equal 0th-dimension size")
        (size,) = sizes
        if size > self._limit:
            raise invalid_argument(f"Task size {size} is larger than maximum input batch size {self._limit}")
        return size

    def _enqueue(self, servable: Servable, signature: Signature, task: _Task) -> None:
        # Inputs of different shapes get batches of their own, or are padded to one shape where that is asked for. The
        # real server puts them together without padding too, and fails the batch.
        pads = self._parameters.pads_lengths
        shapes = tuple(array.ndim if pads else array.shape[1:] for array in task.inputs.values())
        key = (id(servable), signature.name, shapes)
        with self._ready:
            if self._closed:
                raise ServingError(Code.UNAVAILABLE, "the server is shutting down")
            queue = self._queues.get(key) or _Queue(servable, signature)
            opens = not queue.batches or queue.batches[-1].size + task.size > self._limit
            if opens:
                if len(queue.batches) >= self._parameters.max_enqueued_batches:
                    raise ServingError(
                        Code.UNAVAILABLE, "The batch scheduling queue to which this task was submitted is full"
                    )
                queue.batches.append(_Batch())
            queue.batches[-1].tasks.append(task)
            queue.batches[-1].size += task.size
            self._queues[key] = queue
            if opens or queue.batches[-1].size >= self._limit:
                self._ready.notify()

    def _work(self) -> None:
        while True:
            with self._ready:
                found = self._next()
                while found is None:
                    if self._closed and not self._queues:
                        return
                    self._ready.wait(self._until_timeout())
                    found = self._next()
                if self._queues:
                    self._ready.notify()  # this thread will be busy; another one waits for the rest
            queue, batch = found
            try:
                self._process(queue, batch)
            except Exception as error:  # the thread goes on to the next batch
                log.exception("a batch of %s failed", queue.servable.name)
                for task in batch.tasks:
                    if not task.answer.done():
                        task.answer.set_exception(ServingError(Code.INTERNAL, str(error)))

    def _next(self) -> tuple[_Queue, _Batch] | None:
        """Return the next batch that may run; its queue then goes to the back, so that queues take turns."""
        now = time.perf_counter()
        for key, queue in self._queues.items():
            batch = queue.batches[0]
            full = len(queue.batches) > 1 or batch.size >= self._limit
            if full or self._closed or now >= self._due(batch):
                queue.batches.popleft()
                del self._queues[key]
                if queue.batches:
                    self._queues[key] = queue
                return queue, batch
        return None

    def _due(self, batch: _Batch) -> float:
        return batch.tasks[0].enqueued + self._parameters.timeout_micros / 1e6

    def _until_timeout(self) -> float | None:
        due = [self._due(queue.batches[0]) for queue in self._queues.values()]
        return max(0.0, min(due) - time.perf_counter()) if due else None

    def _process(self, queue: _Queue, batch: _Batch) -> None:
        tasks = [task for task in batch.tasks if task.answer.set_running_or_notify_cancel()]
        for task in tasks:
            self._metrics.queuing_latency.observe(micros_since(task.enqueued), "model_server_batch_threads")
        if not tasks:
            return
        try:
            answers = self._forward(queue, tasks)
        except ServingError as error:
            if len(tasks) == 1:
                tasks[0].answer.set_exception(error)
                return
            # Each is run alone, so that only the one at fault fails.
            for task in tasks:
                try:
                    task.answer.set_result(self._forward(queue, [task])[0])
                except ServingError as own:
                    task.answer.set_exception(own)
            return
        for task, answer in zip(tasks, answers, strict=True):
            task.answer.set_result(answer)

    def _forward(self, queue: _Queue, tasks: list[_Task]) -> list[Tensors]:
        size = sum(task.size for task in tasks)
        padded = next((allowed for allowed in self._parameters.allowed_sizes if allowed >= size), size)
        inputs = {alias: _of_one_shape([task.inputs[alias] for task in tasks]) for alias in tasks[0].inputs}
        if padded > size > 0:
            for arrays in inputs.values():
                arrays.append(np.repeat(arrays[-1][:1], padded - size, axis=0))
        joined = {alias: arrays[0] if len(arrays) == 1 else np.concatenate(arrays) for alias, arrays in inputs.items()}
        outputs = queue.servable.run(queue.signature, joined)
        self._metrics.batch_runs.increment()
        for array in outputs.values():
            if array.ndim == 0:
                raise ServingError(Code.FAILED_PRECONDITION, "Batched output tensor has 0 dimensions")
            if len(array) != max(padded, size):
                raise ServingError(
                    Code.FAILED_PRECONDITION,
                    "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of "
                    "the input tensors",
                )
        answers = []
        start = 0
        for task in tasks:
            answers.append({alias: array[start : start + task.size] for alias, array in outputs.items()})
            start += task.size
        return answers


def _of_one_shape(arrays: list[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
    """Fill up the smaller ones at the end of each dimension, each with its first element, as `PadTensor` does.

    https://github.com/tensorflow/serving/blob/master/tensorflow_serving/batching/batching_util.cc
    """
    shapes = {array.shape[1:] for array in arrays}
    if len(shapes) == 1:
        return arrays
    largest = [max(sizes) for sizes in zip(*shapes, strict=True)]
    padded = []
    for array in arrays:
        filled = np.full((len(array), *largest), array.flat[0] if array.size else 0, array.dtype)
        filled[tuple(slice(size) for size in array.shape)] = array
        padded.append(filled)
    return padded
