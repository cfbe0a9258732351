"""Replaying the requests a SavedModel brings along, before it takes traffic."""

import logging
import math
import time
from pathlib import Path
from typing import Any

from tf_serving.embedded import tensor_proto
from tf_serving.embedded.errors import Code, ServingError, invalid_argument
from tf_serving.embedded.metrics import Metrics, micros_since
from tf_serving.embedded.runtime import tf
from tf_serving.embedded.servable import Servable

MAX_RECORDS = 1000

log = logging.getLogger(__name__)


def replay(servable: Servable, metrics: Metrics) -> None:
    """Run every record of assets.extra/tf_serving_warmup_requests, a TFRecord file of PredictionLog.

    Raises:
        ServingError: A record cannot be read, or its request fails; the version is then not served.
    """
    file = Path(servable.path, "assets.extra", "tf_serving_warmup_requests")
    if not file.is_file():
        return
    start = time.perf_counter()
    count = 0
    try:
        for record in tf.compat.v1.io.tf_record_iterator(str(file)):
            count += 1
            if count > MAX_RECORDS:
                raise invalid_argument(f"Number of warmup records exceeds the maximum ({MAX_RECORDS}) at {file}")
            _run(servable, record, file)
    except tf.errors.OpError as error:
        raise ServingError(Code(error.error_code), f"cannot read {file}: {error.message}") from error
    metrics.warmup_latency.observe(micros_since(start), servable.path, "OK")
    log.info("replayed %d warm-up requests for %s version %d", count, servable.name, servable.version)


def _run(servable: Servable, record: bytes, file: Path) -> None:
    from google.protobuf.message import DecodeError
    from tensorflow_serving.apis import prediction_log_pb2

    try:
        entry: Any = prediction_log_pb2.PredictionLog.FromString(record)
    except DecodeError as error:
        raise invalid_argument(f"{file} holds a record that is not a PredictionLog") from error
    kind = entry.WhichOneof("log_type")
    if kind != "predict_log":
        raise ServingError(Code.UNIMPLEMENTED, f"{file} holds a {kind}, which cannot be replayed")
    request = entry.predict_log.request
    signature = tensor_proto.predict_signature(servable, request.model_spec.signature_name)
    inputs = tensor_proto.decode_all(request.inputs, signature, max_filled=math.inf)
    servable.run(signature, signature.complete(inputs))
