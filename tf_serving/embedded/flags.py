"""The command line of `tensorflow_model_server`: same names, same defaults, same `--flag=value` syntax.

Three kinds of flag: honoured (the fields of `Options`), known but without effect here (`NOT_HONOURED`, a
warning), and those whose silent loss would be unsafe (`REFUSED`, an error).
"""

import dataclasses
import math
import os
from collections.abc import Sequence
from typing import Any

Value = bool | int | float | str

INT32 = range(-(2**31), 2**31)
INT64 = range(-(2**63), 2**63)


class FlagError(Exception):
    """The command line is wrong; the message is one line."""


def schedulable_cpus() -> int:
    """The number of CPUs this process may run on (its affinity mask, not the machine's size)."""
    return len(os.sched_getaffinity(0))


def _flag(default: Any, text: str, *, bits: int = 32) -> Any:
    allowed = INT32 if bits == 32 else INT64
    return dataclasses.field(default=default, metadata={"text": text, "range": allowed})


@dataclasses.dataclass(frozen=True)
class Options:
    """The honoured flags; a field's name is the flag's name."""

    port: int = _flag(8500, "gRPC port; 0 for none, which then needs --grpc_socket_path")
    grpc_socket_path: str = _flag("", "path of a UNIX socket that also serves gRPC")
    rest_api_port: int = _flag(0, "REST port; 0 for none")
    rest_api_num_threads: int = _flag(4 * schedulable_cpus(), "threads that work on REST requests")
    rest_api_timeout_in_ms: int = _flag(30_000, "time a REST request may spend in the model; 0 for no limit")
    rest_api_enable_cors_support: bool = _flag(False, "send CORS headers")
    model_name: str = _flag("default", "model name, unless --model_config_file is given")
    model_base_path: str = _flag("", "folder of the version folders, unless --model_config_file is given")
    model_config_file: str = _flag("", "text ModelServerConfig: the models to serve")
    model_config_file_poll_wait_seconds: int = _flag(0, "re-read --model_config_file this often; 0 for never")
    file_system_poll_wait_seconds: int = _flag(1, "look for new versions this often; 0 for once at the start")
    allow_version_labels_for_unavailable_models: bool = _flag(False, "let a label name a version not yet loaded")
    max_num_load_retries: int = _flag(5, "further attempts after a failed load")
    load_retry_interval_micros: int = _flag(60_000_000, "pause between attempts to load", bits=64)
    saved_model_tags: str = _flag("serve", "comma-separated tags of the graph to load")
    enable_model_warmup: bool = _flag(True, "replay assets.extra/tf_serving_warmup_requests before serving")
    num_request_iterations_for_warmup: int = _flag(0, "times each warm-up request is replayed; 0 means once")
    enable_signature_method_name_check: bool = _flag(False, "insist on the signature's method name")
    enable_batching: bool = _flag(False, "run concurrent requests in one forward pass")
    batching_parameters_file: str = _flag("", "text BatchingParameters")
    monitoring_config_file: str = _flag("", "text MonitoringConfig: Prometheus on the REST port")
    tensorflow_session_parallelism: int = _flag(0, "threads of both kinds below; 0 chooses", bits=64)
    tensorflow_intra_op_parallelism: int = _flag(0, "threads inside one operation; 0 chooses", bits=64)
    tensorflow_inter_op_parallelism: int = _flag(0, "operations run at the same time; 0 chooses", bits=64)
    grpc_max_threads: int = _flag(4 * schedulable_cpus(), "gRPC calls at a time; more are RESOURCE_EXHAUSTED")
    grpc_channel_arguments: str = _flag("", "comma-separated key=value arguments of the gRPC server")
    enable_serialization_as_tensor_content: bool = _flag(False, "gRPC answers in tensor_content")
    version: bool = _flag(False, "print the version and exit")


# Flags of the real server without effect here, each with the value that describes what this server does anyway.
NOT_HONOURED: dict[str, Value] = {
    "enable_grpc_healthcheck_service": False,
    "enable_per_model_batching_parameters": False,
    "enable_profiler": False,
    "flush_filesystem_caches": False,
    "mixed_precision": "",
    "num_load_threads": 0,
    "num_tflite_interpreters_per_pool": 1,
    "num_tflite_pools": 0,
    "num_unload_threads": 0,
    "per_process_gpu_memory_fraction": 0.0,
    "platform_config_file": "",
    "prefer_tflite_model": False,
    "remove_unused_fields_from_bundle_metagraph": False,
    "skip_initialize_tpu": False,
    "tensorflow_session_config_file": "",
    "thread_pool_factory_config_file": "",
    "xla_cpu_compilation_enabled": False,
    "xla_gpu_compilation_enabled": False,
}

REFUSED: dict[str, bool | str] = {"ssl_config_file": "", "use_alts_credentials": False}

_FIELDS = {field.name: field for field in dataclasses.fields(Options)}


def _convert(name: str, default: object, text: str | None, allowed: range = INT32) -> Value:
    """Reads a value as tensorflow::Flags does: only a bool may go without `=`, and then it is true."""
    if isinstance(default, bool):
        if text is None:
            return True
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise FlagError(f"--{name} takes true or false, not {text!r}")
    if text is None:
        raise FlagError(f"--{name} needs a value: --{name}=VALUE")
    if isinstance(default, str):
        return text
    try:
        number = int(text) if isinstance(default, int) else float(text)
    except ValueError:
        raise FlagError(f"--{name} takes a number, not {text!r}") from None
    if (isinstance(number, int) and number not in allowed) or not math.isfinite(number):
        raise FlagError(f"--{name} is out of range: {text}")
    return number


def parse(argv: Sequence[str]) -> tuple[Options, list[str]]:
    """Reads the arguments after the program's name.

    Returns:
        the options, and one line for each known flag that has no effect here.

    Raises:
        FlagError: an unknown argument, a malformed value, or flags that contradict each other.
    """
    values: dict[str, Any] = {}
    warnings: list[str] = []
    for argument in argv:
        name, equals, text = argument.removeprefix("--").partition("=")
        value = text if equals else None
        if not argument.startswith("--") or name not in _FIELDS.keys() | NOT_HONOURED.keys() | REFUSED.keys():
            raise FlagError(f"unknown argument: {argument}")
        if name in _FIELDS:
            field = _FIELDS[name]
            values[name] = _convert(name, field.default, value, field.metadata["range"])
        elif name in REFUSED:
            if _convert(name, REFUSED[name], value) != REFUSED[name]:
                raise FlagError(f"--{name} is not supported here, and gRPC would go out in plain text without it")
        elif _convert(name, NOT_HONOURED[name], value) != NOT_HONOURED[name]:
            warnings.append(f"--{name} has no effect in the embedded server")
    options = Options(**values)
    _check(options)
    return options, warnings


def _check(options: Options) -> None:
    if options.version:
        return
    if options.port == 0 and not options.grpc_socket_path:
        raise FlagError("one of --port and --grpc_socket_path must be set")
    if options.port and options.port == options.rest_api_port:
        raise FlagError("--port and --rest_api_port must differ")
    for name in ("port", "rest_api_port"):
        if getattr(options, name) not in range(65536):
            raise FlagError(f"--{name} is not a port: {getattr(options, name)}")
    for name in ("rest_api_num_threads", "grpc_max_threads"):
        if getattr(options, name) < 1:
            raise FlagError(f"--{name} must be at least 1")
    if not options.model_base_path and not options.model_config_file:
        raise FlagError("one of --model_base_path and --model_config_file must be set")
    if options.batching_parameters_file and not options.enable_batching:
        raise FlagError("--batching_parameters_file needs --enable_batching")
    split = max(options.tensorflow_intra_op_parallelism, options.tensorflow_inter_op_parallelism)
    if split > 0 and options.tensorflow_session_parallelism > 0:
        raise FlagError("--tensorflow_session_parallelism excludes the intra-op and inter-op flags")
    for pair in filter(None, options.grpc_channel_arguments.split(",")):
        if "=" not in pair:
            raise FlagError(f"--grpc_channel_arguments takes key=value pairs, not {pair!r}")


def usage() -> str:
    """The help text: every honoured flag with its default, then the names of the rest."""
    lines = ["usage: python -m tf_serving.embedded --model_base_path=FOLDER [--flag=value ...]", "", "Flags:"]
    for field in _FIELDS.values():
        default = str(field.default).lower() if isinstance(field.default, bool) else field.default
        lines.append(f"  --{field.name}={default}".ljust(56) + field.metadata["text"])
    lines += ["", "Accepted without effect:", *(f"  --{name}" for name in NOT_HONOURED)]
    return "\n".join(lines)
