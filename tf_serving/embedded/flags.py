"""The command line of `tensorflow_model_server`: same names, same defaults, same `--flag=value` syntax.

Any flag that this server does not honour is an error, so that none is lost without notice.
"""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

Value = bool | int | str

INT32 = range(-(2**31), 2**31)
INT64 = range(-(2**63), 2**63)


class FlagError(Exception):
    """The command line is wrong; the message is one line."""


def schedulable_cpus() -> int:
    """Return the number of CPUs this process may run on (its affinity mask, not the machine's size)."""
    return len(os.sched_getaffinity(0))


def _flag(default: Any, text: str, *, bits: int = 32) -> Any:
    allowed = INT32 if bits == 32 else INT64
    return dataclasses.field(default=default, metadata={"text": text, "range": allowed})


@dataclasses.dataclass(frozen=True)
class Options:
    """The flags; a field's name is the flag's name."""

    port: int = _flag(8500, "gRPC port")
    rest_api_port: int = _flag(0, "REST port; 0 for none")
    rest_api_num_threads: int = _flag(4 * schedulable_cpus(), "threads that work on REST requests")
    rest_api_timeout_in_ms: int = _flag(30_000, "time a REST request may spend in the model; 0 for no limit")
    model_name: str = _flag("default", "model name, unless --model_config_file is given")
    model_base_path: str = _flag("", "folder of the version folders, unless --model_config_file is given")
    model_config_file: str = _flag("", "text ModelServerConfig: the models to serve")
    model_config_file_poll_wait_seconds: int = _flag(0, "re-read --model_config_file this often; 0 for never")
    file_system_poll_wait_seconds: int = _flag(1, "look for new versions this often; 0 for once at the start")
    allow_version_labels_for_unavailable_models: bool = _flag(False, "let a label name a version not yet loaded")
    max_num_load_retries: int = _flag(5, "further attempts after a failed load")
    load_retry_interval_micros: int = _flag(60_000_000, "pause between attempts to load", bits=64)
    enable_model_warmup: bool = _flag(True, "replay assets.extra/tf_serving_warmup_requests before serving")
    enable_batching: bool = _flag(False, "run concurrent requests in one forward pass")
    batching_parameters_file: str = _flag("", "text BatchingParameters")
    monitoring_config_file: str = _flag("", "text MonitoringConfig: Prometheus on the REST port")
    tensorflow_intra_op_parallelism: int = _flag(0, "threads inside one operation; 0 chooses", bits=64)
    tensorflow_inter_op_parallelism: int = _flag(0, "operations run at the same time; 0 chooses", bits=64)
    grpc_max_threads: int = _flag(4 * schedulable_cpus(), "gRPC calls at a time; more are RESOURCE_EXHAUSTED")
    version: bool = _flag(False, "print the version and exit")


_FIELDS = {field.name: field for field in dataclasses.fields(Options)}


def _convert(name: str, default: object, text: str | None, allowed: range) -> Value:
    """Read a value as tensorflow::Flags does: only a bool may go without `=`, and then it is true."""
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
        number = int(text)
    except ValueError:
        raise FlagError(f"--{name} takes a number, not {text!r}") from None
    if number not in allowed:
        raise FlagError(f"--{name} is out of range: {text}")
    return number


def parse(argv: Sequence[str]) -> Options:
    """Read the arguments after the program's name.

    Raises:
        FlagError: An unknown argument, a malformed value, or flags that contradict each other.
    """
    values: dict[str, Any] = {}
    for argument in argv:
        name, equals, text = argument.removeprefix("--").partition("=")
        value = text if equals else None
        if not argument.startswith("--") or name not in _FIELDS:
            raise FlagError(f"unknown argument: {argument}")
        field = _FIELDS[name]
        values[name] = _convert(name, field.default, value, field.metadata["range"])
    options = Options(**values)
    _check(options)
    return options


def _check(options: Options) -> None:
    if options.version:
        return
    for name, lowest in (("port", 1), ("rest_api_port", 0)):
        if getattr(options, name) not in range(lowest, 65536):
            raise FlagError(f"--{name} is not a port: {getattr(options, name)}")
    if options.port == options.rest_api_port:
        raise FlagError("--port and --rest_api_port must differ")
    for name in ("rest_api_num_threads", "grpc_max_threads"):
        if getattr(options, name) < 1:
            raise FlagError(f"--{name} must be at least 1")
    if not options.model_base_path and not options.model_config_file:
        raise FlagError("one of --model_base_path and --model_config_file must be set")
    if options.batching_parameters_file and not options.enable_batching:
        raise FlagError("--batching_parameters_file needs --enable_batching")


def usage() -> str:
    """Return the help text: every flag with its default."""
    lines = ["usage: python -m tf_serving.embedded --model_base_path=FOLDER [--flag=value ...]", "", "Flags:"]
    for field in _FIELDS.values():
        default = str(field.default).lower() if isinstance(field.default, bool) else field.default
        lines.append(f"  --{field.name}={default}".ljust(56) + field.metadata["text"])
    return "\n".join(lines)
