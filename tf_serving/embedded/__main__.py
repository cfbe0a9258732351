"""`python -m tf_serving.embedded --flag=value ...`, with the flags of `tensorflow_model_server`.

TF_SERVING_EMBEDDED_HOST is the address to bind, 127.0.0.1 by default. The real server has no flag for it: it binds
every interface, as this one does with 0.0.0.0.
"""

import importlib.metadata
import logging
import os
import signal
import socket
import sys

from tf_serving.embedded.errors import ServingError
from tf_serving.embedded.flags import FlagError, Options, parse, usage


def main(argv: list[str]) -> int:
    """Run the server until it is told to stop, and return the exit code."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))  # until the server has its own handlers
    if "--help" in argv:
        sys.stdout.write(f"{usage()}\n")
        return 0
    try:
        options = parse(argv)
    except FlagError as error:
        sys.stderr.write(f"{error}\n{usage()}\n")
        return 1
    if options.version:
        api, library = map(importlib.metadata.version, ("tensorflow-serving-api", "tensorflow"))
        sys.stdout.write(f"TensorFlow ModelServer: embedded, API of {api}\nTensorFlow Library: {library}\n")
        return 0
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    try:
        _serve(options)
    except (ServingError, OSError) as error:
        sys.stderr.write(f"Failed to start server. Error: {error}\n")
        return 1
    return 0


def _serve(options: Options) -> None:
    host = os.environ.get("TF_SERVING_EMBEDDED_HOST", "127.0.0.1")
    # Bound before TensorFlow is imported, so that a port in use is reported at once. Nothing is answered yet.
    listener = _bind(host, options.rest_api_port) if options.rest_api_port else None
    _bind(host, options.port).close()

    from tf_serving.embedded import server

    server.run(options, host, listener)


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise OSError(f"cannot bind {host}:{port}: {error.strerror}") from error
    return listener


if __name__ == "__main__":
    code = main(sys.argv[1:])
    logging.shutdown()
    sys.stdout.flush()
    # A thread may still be inside TensorFlow, with a load or a late request; the process does not wait for it.
    os._exit(code)
