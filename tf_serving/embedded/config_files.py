"""The files the flags point at: protocol buffers in text form.

`tensorflow-serving-api` ships ModelServerConfig but neither BatchingParameters nor MonitoringConfig, so those two
are described here field by field (session_bundle_config.proto and monitoring_config.proto).
"""

import dataclasses
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2

from tf_serving.embedded.errors import invalid_argument
from tf_serving.embedded.flags import Options, schedulable_cpus

DEFAULT_METRICS_PATH = "/monitoring/prometheus/metrics"

_PACKAGE = "bakeoff.tf_serving"  # a text file names no package, and the real name may be registered already
_Field = descriptor_pb2.FieldDescriptorProto


def _describe(message: str, fields: dict[str, int | str]) -> Any:
    """Return a message type whose fields, numbered in order, are scalars (a type code) or messages (a full name)."""
    description = descriptor_pb2.DescriptorProto(name=message)
    for number, (name, kind) in enumerate(fields.items(), start=1):
        field = description.field.add(name=name, number=number, label=_Field.LABEL_OPTIONAL)
        if isinstance(kind, str):
            field.type, field.type_name = _Field.TYPE_MESSAGE, kind
        else:
            field.type = kind
        if name == "allowed_batch_sizes":
            field.label = _Field.LABEL_REPEATED
    return description


def _message_classes() -> tuple[Any, Any]:
    int64 = ".google.protobuf.Int64Value"
    file = descriptor_pb2.FileDescriptorProto(
        name="bakeoff/tf_serving_config.proto",
        package=_PACKAGE,
        syntax="proto3",
        dependency=[wrappers_pb2.DESCRIPTOR.name],
    )
    file.message_type.extend(
        [
            _describe(
                "BatchingParameters",
                {
                    "max_batch_size": int64,
                    "batch_timeout_micros": int64,
                    "max_enqueued_batches": int64,
                    "num_batch_threads": int64,
                    "allowed_batch_sizes": _Field.TYPE_INT64,
                    "pad_variable_length_inputs": _Field.TYPE_BOOL,
                },
            ),
            _describe("PrometheusConfig", {"enable": _Field.TYPE_BOOL, "path": _Field.TYPE_STRING}),
            _describe("MonitoringConfig", {"prometheus_config": f".{_PACKAGE}.PrometheusConfig"}),
        ]
    )
    pool = descriptor_pool.Default()
    pool.Add(file)
    get = message_factory.GetMessageClass
    find = pool.FindMessageTypeByName
    return get(find(f"{_PACKAGE}.BatchingParameters")), get(find(f"{_PACKAGE}.MonitoringConfig"))


_BatchingProto, _MonitoringProto = _message_classes()


def read_text_proto(path: str, message: Any) -> Any:
    """Fill a message from a text file and return it.

    Raises:
        ServingError: The file cannot be read or parsed.
    """
    try:
        return text_format.Parse(Path(path).read_text(encoding="utf-8"), message)
    except (OSError, UnicodeDecodeError) as error:
        raise invalid_argument(f"cannot read {path}: {error}") from error
    except text_format.ParseError as error:
        raise invalid_argument(f"cannot parse {path}: {error}") from error


@dataclasses.dataclass(frozen=True)
class BatchingParameters:
    """The parameters of the batch scheduler, with the real server's defaults.

    Attributes:
        max_batch_size: Rows in one forward pass, and in one request.
        timeout_micros: How long the first request of a batch waits for others.
        max_enqueued_batches: Batches that may wait; a request that would start another is turned away.
        threads: Batches that run at the same time.
        allowed_sizes: Ascending; a batch is padded up to the next of them. Empty for any size.
        pads_lengths: Whether requests of different shapes share a batch, the smaller ones filled up.
    """

    max_batch_size: int = 1000
    timeout_micros: int = 0
    max_enqueued_batches: int = 10
    threads: int = dataclasses.field(default_factory=schedulable_cpus)
    allowed_sizes: tuple[int, ...] = ()
    pads_lengths: bool = False


def read_batching(options: Options) -> BatchingParameters | None:
    """Read the batching parameters that the flags ask for; None without --enable_batching.

    Raises:
        ServingError: The file cannot be read, has a field that is not known here, or a value out of range.
    """
    if not options.enable_batching:
        return None
    if not options.batching_parameters_file:
        return BatchingParameters()
    path = options.batching_parameters_file
    proto = read_text_proto(path, _BatchingProto())
    given = {
        "max_batch_size": "max_batch_size",
        "batch_timeout_micros": "timeout_micros",
        "max_enqueued_batches": "max_enqueued_batches",
        "num_batch_threads": "threads",
    }
    values = {ours: getattr(proto, theirs).value for theirs, ours in given.items() if proto.HasField(theirs)}
    batching = BatchingParameters(
        **values, allowed_sizes=tuple(proto.allowed_batch_sizes), pads_lengths=proto.pad_variable_length_inputs
    )
    _check_batching(batching, path)
    return batching


def _check_batching(batching: BatchingParameters, path: str) -> None:
    for name in ("max_batch_size", "max_enqueued_batches", "threads"):
        if getattr(batching, name) < 1:
            raise invalid_argument(f"{path}: {name} must be positive; was {getattr(batching, name)}")
    if batching.timeout_micros < 0:
        raise invalid_argument(f"{path}: batch_timeout_micros must not be negative; was {batching.timeout_micros}")
    sizes = batching.allowed_sizes
    if sizes and (sorted(set(sizes)) != list(sizes) or sizes[0] < 1):
        raise invalid_argument(f"{path}: allowed_batch_sizes must be positive and ascending")
    if sizes and sizes[-1] != batching.max_batch_size:
        raise invalid_argument(
            f"{path}: Last entry in allowed_batch_sizes must match max_batch_size; "
            f"last entry was {sizes[-1]}; expected {batching.max_batch_size}"
        )


def read_metrics_path(options: Options) -> str | None:
    """Read the URL path of the Prometheus page, or None when there is to be none."""
    if not options.monitoring_config_file:
        return None
    prometheus = read_text_proto(options.monitoring_config_file, _MonitoringProto()).prometheus_config
    return (prometheus.path or DEFAULT_METRICS_PATH) if prometheus.enable else None


def read_models(options: Options) -> Any:
    """Read the ModelServerConfig of --model_config_file, or one model made of --model_name and --model_base_path."""
    from tensorflow_serving.config import model_server_config_pb2

    config = model_server_config_pb2.ModelServerConfig()
    if options.model_config_file:
        read_text_proto(options.model_config_file, config)
    else:
        config.model_config_list.config.add(
            name=options.model_name, base_path=options.model_base_path, model_platform="tensorflow"
        )
    return check_models(config)


def check_models(config: Any) -> Any:
    """Return a ModelServerConfig that can be served.

    Raises:
        ServingError: A custom config, a repeated name, a relative path or another platform than tensorflow.
    """
    if config.WhichOneof("config") == "custom_model_config":
        raise invalid_argument("only model_config_list is supported, not custom_model_config")
    names = set()
    for model in config.model_config_list.config:
        if not model.name:
            raise invalid_argument("every model needs a name")
        if model.name in names:
            raise invalid_argument(f"Illegal to list model {model.name} multiple times in config list")
        names.add(model.name)
        if not model.base_path.startswith("/"):
            raise invalid_argument(
                f"Expected model {model.name} to have an absolute path or URI; got base_path()={model.base_path}"
            )
        if model.model_platform != "tensorflow":
            raise invalid_argument(
                f"model {model.name} needs model_platform: 'tensorflow', not {model.model_platform!r}"
            )
    return config
