"""What both APIs serve from: the models, the way a forward pass is run, the metrics, and what is told of a model."""

import dataclasses
import time
from typing import Any

from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2

from tf_serving.embedded.batch_scheduler import BatchScheduler
from tf_serving.embedded.manager import Handle, Manager
from tf_serving.embedded.metrics import Metrics, micros_since
from tf_serving.embedded.servable import Servable, Signature, Tensors


@dataclasses.dataclass(frozen=True)
class ModelSpec:
    """The model a request is for: a version, a label, or neither for the latest."""

    name: str
    version: int | None = None
    label: str = ""


@dataclasses.dataclass(frozen=True)
class Core:
    """Shared by the REST and the gRPC API.

    Attributes:
        manager: The models.
        scheduler: Batches requests, unless it is None.
        metrics: What is counted.
    """

    manager: Manager
    scheduler: BatchScheduler | None
    metrics: Metrics

    def acquire(self, spec: ModelSpec) -> Handle:
        """Return the version a request is for; see `Manager.acquire`."""
        return self.manager.acquire(spec.name, spec.version, spec.label)

    def run(self, servable: Servable, signature: Signature, inputs: Tensors, timeout_ms: int) -> Tensors:
        """Run one request's forward pass, alone or in a batch.

        Args:
            servable: The loaded version.
            signature: One of its signatures.
            inputs: Every input, as `Signature.complete` returns them.
            timeout_ms: Give up after so long; 0 for no limit.

        Raises:
            ServingError: Time is up, the queue is full, or the model failed.
        """
        start = time.perf_counter()
        if self.scheduler is None:
            outputs = servable.run(signature, inputs, timeout_ms)
        else:
            outputs = self.scheduler.run(servable, signature, inputs, timeout_ms)
        self.metrics.runtime_latency.observe(micros_since(start), servable.name, "Predict", "TF1")
        return outputs

    def status(self, spec: ModelSpec) -> Any:
        """Return a GetModelStatusResponse; see `Manager.status`."""
        response = get_model_status_pb2.GetModelStatusResponse()
        for status in self.manager.status(spec.name, spec.version, spec.label):
            entry = response.model_version_status.add(version=status.version, state=int(status.state))
            if status.error is not None:
                entry.status.error_code = int(status.error.code)
                entry.status.error_message = status.error.message
            else:
                entry.status.SetInParent()
        return response

    def metadata(self, spec: ModelSpec) -> tuple[Any, Any]:
        """Return the ModelSpec message of the version that would answer, and its SignatureDefMap.

        Raises:
            ServingError: No such model, version or label.
        """
        with self.acquire(spec) as servable:
            found = model_pb2.ModelSpec(name=servable.name)
            found.version.value = servable.version
            signatures = get_model_metadata_pb2.SignatureDefMap()
            for name, definition in servable.definitions.items():
                signatures.signature_def[name].CopyFrom(definition)
                signatures.signature_def[name].ClearField("defaults")  # the real server does not tell them either
        return found, signatures
