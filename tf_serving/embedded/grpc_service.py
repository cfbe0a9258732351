"""The gRPC API: PredictionService and ModelService."""

import functools
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from tf_serving.embedded import examples, tensor_proto
from tf_serving.embedded.config_files import check_models
from tf_serving.embedded.core import Core, ModelSpec
from tf_serving.embedded.errors import Code, ServingError, invalid_argument
from tf_serving.embedded.flags import Options
from tf_serving.embedded.metrics import micros_since

log = logging.getLogger(__name__)

MAX_MESSAGE_BYTES = 2**31 - 1  # what the real server sets

Method = Callable[[Any, Any, grpc.ServicerContext], Any]


def _call(api: str = "") -> Callable[[Method], Method]:
    """Wraps a method: takes one of the places, counts the call, and turns a ServingError into a status.

    Args:
        api: the name under which its latency is counted; "" for calls that are not inference.
    """

    def decorate(method: Method) -> Method:
        @functools.wraps(method)
        def wrapped(self: "_Service", request: Any, context: grpc.ServicerContext) -> Any:
            start = time.perf_counter()
            failure = None
            try:
                with self.places:
                    response = method(self, request, context)
            except ServingError as error:
                failure = error
            if api:
                name = request.model_spec.name
                self.core.metrics.requests.increment(name, failure.code.name if failure else Code.OK.name)
                if failure is None:
                    self.core.metrics.request_latency.observe(micros_since(start), name, api, "GRPC")
            if failure is not None:
                context.abort(grpc.StatusCode[failure.code.name], failure.message)
            return response

        return wrapped

    return decorate


class _Places:
    """At most so many calls at a time; one more is refused, not queued."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._free = threading.Semaphore(count)

    def __enter__(self) -> None:
        if not self._free.acquire(blocking=False):
            raise ServingError(Code.RESOURCE_EXHAUSTED, f"all {self._count} gRPC threads are busy")

    def __exit__(self, *_: object) -> None:
        self._free.release()


class _Service:
    def __init__(self, core: Core, places: _Places, as_content: bool) -> None:
        self.core = core
        self.places = places
        self.as_content = as_content


def _spec(request: Any) -> ModelSpec:
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")
    spec = request.model_spec
    if not spec.name:
        raise invalid_argument("ModelSpec has no name specified.")
    version = spec.version.value if spec.HasField("version") else None
    return ModelSpec(spec.name, version, spec.version_label)


def _fill_spec(response: Any, name: str, version: int, signature: str) -> None:
    response.model_spec.name = name
    response.model_spec.version.value = version
    response.model_spec.signature_name = signature


class PredictionService(_Service):
    """prediction_service.proto."""

    @_call("Predict")
    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 -- the RPC's name
        """One forward pass over named tensors."""
        with self.core.acquire(_spec(request)) as servable:
            signature = tensor_proto.predict_signature(servable, request.model_spec.signature_name)
            wanted = _filter(request.output_filter, signature.outputs)
            inputs = signature.complete(tensor_proto.decode_all(request.inputs))
            outputs = self.core.run(servable, signature, inputs, _milliseconds_left(context), "Predict")
            response = predict_pb2.PredictResponse()
            _fill_spec(response, servable.name, servable.version, signature.name)
        for alias in wanted:
            response.outputs[alias].CopyFrom(tensor_proto.encode(outputs[alias], self.as_content))
        return response

    @_call("Classify")
    def Classify(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 -- the RPC's name
        """Labels and scores of tf.train.Examples."""
        response = classification_pb2.ClassificationResponse()
        for pairs in self._examples(examples.CLASSIFY, request, response, context, examples.classes):
            row = response.result.classifications.add()
            for label, score in pairs:
                row.classes.add(label=label, score=score)
        return response

    @_call("Regress")
    def Regress(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 -- the RPC's name
        """One value per tf.train.Example."""
        response = regression_pb2.RegressionResponse()
        for value in self._examples(examples.REGRESS, request, response, context, examples.values):
            response.result.regressions.add(value=value)
        return response

    @_call()
    def MultiInference(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 -- the RPC's name
        """Not available."""
        raise ServingError(Code.UNIMPLEMENTED, "MultiInference is not available in the embedded server")

    @_call()
    def GetModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 -- the RPC's name
        """The signatures of a version."""
        spec = _spec(request)
        if not request.metadata_field:
            raise invalid_argument("GetModelMetadataRequest must specify at least one metadata_field")
        for field in request.metadata_field:
            if field != "signature_def":
                raise invalid_argument(f"Metadata field {field} is not supported")
        found, signatures = self.core.metadata(spec)
        response = get_model_metadata_pb2.GetModelMetadataResponse(model_spec=found)
        response.metadata["signature_def"].Pack(signatures)
        return response

    def _examples(
        self, task: examples.Task, request: Any, response: Any, context: Any, read: Callable[..., list[Any]]
    ) -> list[Any]:
        with self.core.acquire(_spec(request)) as servable:
            name = request.model_spec.signature_name
            signature = task.signature(servable, name, self.core.check_method_names)
            batch = examples.from_proto(request.input)
            inputs = task.inputs(signature, batch)
            api = task.name.capitalize()
            outputs = self.core.run(servable, signature, inputs, _milliseconds_left(context), api)
            _fill_spec(response, servable.name, servable.version, name)
        return read(outputs, len(batch))


class ModelService(_Service):
    """model_service.proto."""

    @_call()
    def GetModelStatus(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 -- the RPC's name
        """The state of a model's versions."""
        return self.core.status(_spec(request))

    @_call()
    def HandleReloadConfigRequest(self, request: Any, context: Any) -> Any:  # noqa: N802 -- the RPC's name
        """Replaces the configuration; answers once the new models serve."""
        if request.config.WhichOneof("config") != "model_config_list":
            raise invalid_argument(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. "
                "Only ModelConfigList is currently supported"
            )
        new = self.core.manager.configure(check_models(request.config))
        log.info("configuration reloaded by a gRPC call")
        self.core.manager.wait_until_available(new)
        response = model_management_pb2.ReloadConfigResponse()
        response.status.SetInParent()
        return response


def _filter(names: Any, outputs: dict[str, Any]) -> list[str]:
    for alias in names:
        if alias not in outputs:
            raise invalid_argument(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in the set "
                f"{{{','.join(outputs)}}}."
            )
    if len(set(names)) < len(names):
        repeated = next(alias for index, alias in enumerate(names) if alias in names[:index])
        raise invalid_argument(f"duplicate output tensor alias: {repeated}")
    return list(names) or list(outputs)


def _milliseconds_left(context: grpc.ServicerContext) -> int:
    """Until the client's deadline, rounded up to a power of two; 0 for no deadline."""
    seconds = context.time_remaining()
    if seconds is None or seconds > 3600:
        return 0
    return 1 << max(0, int(seconds * 1000)).bit_length()


def start(core: Core, options: Options, host: str) -> grpc.Server:
    """Starts the gRPC server on `host` and on the socket path, as the flags say.

    Raises:
        ServingError: the port or the path cannot be bound.
    """
    arguments: list[tuple[str, Any]] = [
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.so_reuseport", 0),  # or a second server would share the port without a word
    ]
    for pair in filter(None, options.grpc_channel_arguments.split(",")):
        key, _, value = pair.partition("=")
        arguments.append((key, int(value) if value.lstrip("-").isdigit() else value))
    # Two threads more than places, so that a call too many hears so at once.
    workers = ThreadPoolExecutor(options.grpc_max_threads + 2, thread_name_prefix="grpc")
    server = grpc.server(workers, options=arguments)
    parts = (core, _Places(options.grpc_max_threads), options.enable_serialization_as_tensor_content)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionService(*parts), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(*parts), server)
    host = f"[{host}]" if ":" in host else host
    addresses = [f"{host}:{options.port}"] if options.port else []
    addresses += [f"unix:{options.grpc_socket_path}"] if options.grpc_socket_path else []
    for address in addresses:
        try:
            server.add_insecure_port(address)
        except RuntimeError as error:
            raise ServingError(Code.UNAVAILABLE, f"cannot serve gRPC on {address}: is it in use?") from error
    server.start()
    log.info("gRPC on %s", " and ".join(addresses))
    return server
