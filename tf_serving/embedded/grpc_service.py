"""The gRPC API: PredictionService and ModelService."""

import functools
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    predict_pb2,
)

from tf_serving.embedded import tensor_proto
from tf_serving.embedded.config_files import check_models
from tf_serving.embedded.core import Core, ModelSpec
from tf_serving.embedded.errors import Code, ServingError, invalid_argument
from tf_serving.embedded.flags import Options
from tf_serving.embedded.memory import MAX_BODY, MAX_WORKING, Budget
from tf_serving.embedded.metrics import micros_since

log = logging.getLogger(__name__)

MAX_ANSWER = 2**31 - 1  # what the real server sets, for both directions
MAX_RECEIVING = 500  # calls whose message is not there yet, beside those that are worked on
MAX_DETAILS = 1024  # characters; more than 8 KiB of headers is an error of its own at the client

# Parsed and as arrays, the inputs in a message take at most this many times its size (strings of two bytes each).
_EXPANSION = 32

Method = Callable[[Any, Any, grpc.ServicerContext], Any]


def _call(kind: Any, api: str = "") -> Callable[[Method], Method]:
    """Wrap a method: limit the calls at a time, parse the message, count the call, turn an error into a status.

    Args:
        kind: The class of the request's message.
        api: The name under which its latency is counted; "" for calls that are not inference.
    """

    def decorate(method: Method) -> Method:
        @functools.wraps(method)
        def wrapped(self: "_Service", message: bytes, context: grpc.ServicerContext) -> Any:
            start = time.perf_counter()
            # Code and text only: a kept exception would refer to this frame, and so keep the message in memory.
            name, code, details = "", Code.OK, ""
            try:
                # Parsed here and not by gRPC, so that it happens only once there is room for it.
                with self.call_limit, self.budget.hold(min(_EXPANSION * len(message), MAX_WORKING)):
                    request = _parse(kind, message)
                    name = request.model_spec.name if api else ""
                    response = method(self, request, context)
            except ServingError as error:
                code, details = error.code, error.message
            except Exception:  # a fault of this server; the traceback goes to the log
                log.exception("%s failed", method.__name__)
                code, details = Code.INTERNAL, "internal error; the server's log has more"
            if api:
                self.core.metrics.requests.increment(name, code.name)
                if code is Code.OK:
                    self.core.metrics.request_latency.observe(micros_since(start), name, api, "GRPC")
            if code is not Code.OK:
                context.abort(grpc.StatusCode[code.name], details[:MAX_DETAILS])
            return response

        return wrapped

    return decorate


class _CallLimit:
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
    name: str
    methods: tuple[str, ...]

    def __init__(self, core: Core, call_limit: _CallLimit, budget: Budget) -> None:
        self.core = core
        self.call_limit = call_limit
        self.budget = budget

    def handler(self) -> Any:
        """Return the handler of this service; messages reach it unparsed."""
        methods = {
            method: grpc.unary_unary_rpc_method_handler(getattr(self, method), response_serializer=_serialize)
            for method in self.methods
        }
        return grpc.method_handlers_generic_handler(self.name, methods)


def _parse(kind: Any, message: bytes) -> Any:
    try:
        return kind.FromString(message)
    except DecodeError as error:
        raise invalid_argument(f"the message is no {kind.DESCRIPTOR.name}") from error


def _serialize(response: Any) -> bytes:
    message: bytes = response.SerializeToString()
    return message


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
    """prediction_service.proto, without Classify, Regress and MultiInference: gRPC answers those UNIMPLEMENTED."""

    name = "tensorflow.serving.PredictionService"
    methods = ("Predict", "GetModelMetadata")

    @_call(predict_pb2.PredictRequest, "Predict")
    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 -- the RPC's name
        """Run one forward pass over named tensors."""
        with self.core.acquire(_spec(request)) as servable:
            signature = tensor_proto.predict_signature(servable, request.model_spec.signature_name)
            wanted = _filter(request.output_filter, signature.outputs)
            inputs = signature.complete(tensor_proto.decode_all(request.inputs, signature))
            outputs = self.core.run(servable, signature, inputs, _milliseconds_left(context))
            response = predict_pb2.PredictResponse()
            _fill_spec(response, servable.name, servable.version, signature.name)
        for alias in wanted:
            response.outputs[alias].CopyFrom(tensor_proto.encode(outputs[alias]))
        return response

    @_call(get_model_metadata_pb2.GetModelMetadataRequest)
    def GetModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 -- the RPC's name
        """Return the signatures of a version."""
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


class ModelService(_Service):
    """model_service.proto."""

    name = "tensorflow.serving.ModelService"
    methods = ("GetModelStatus", "HandleReloadConfigRequest")

    @_call(get_model_status_pb2.GetModelStatusRequest)
    def GetModelStatus(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 -- the RPC's name
        """Return the state of a model's versions."""
        return self.core.status(_spec(request))

    @_call(model_management_pb2.ReloadConfigRequest)
    def HandleReloadConfigRequest(self, request: Any, context: Any) -> Any:  # noqa: N802 -- the RPC's name
        """Replace the configuration; answers once the new models serve."""
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
    """Return the time until the client's deadline, rounded up to a power of two; 0 for no deadline."""
    seconds = context.time_remaining()
    if seconds is None or seconds > 3600:
        return 0
    return 1 << max(0, int(seconds * 1000)).bit_length()


def start(core: Core, options: Options, host: str, budget: Budget) -> grpc.Server:
    """Start the gRPC server on `host`.

    Raises:
        ServingError: The port cannot be bound.
    """
    arguments = [
        ("grpc.max_receive_message_length", MAX_BODY),
        ("grpc.max_send_message_length", MAX_ANSWER),
        ("grpc.so_reuseport", 0),  # or a second server could share the port unnoticed
    ]
    # A call takes a thread before its message is there: slow clients would keep all of them from the others. With more
    # threads than calls are allowed, a call beyond the limit is refused at once.
    workers = ThreadPoolExecutor(options.grpc_max_threads + MAX_RECEIVING, thread_name_prefix="grpc")
    server = grpc.server(workers, options=arguments)
    parts = (core, _CallLimit(options.grpc_max_threads), budget)
    server.add_generic_rpc_handlers((PredictionService(*parts).handler(), ModelService(*parts).handler()))
    host = f"[{host}]" if ":" in host else host
    address = f"{host}:{options.port}"
    try:
        server.add_insecure_port(address)
    except RuntimeError as error:
        raise ServingError(Code.UNAVAILABLE, f"cannot serve gRPC on {address}: is it in use?") from error
    server.start()
    log.info("gRPC on %s", address)
    return server
