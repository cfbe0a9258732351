"""How a running server comes to serve another version: by itself, or told as its server.toml declares."""

from collections.abc import Sequence

from loadtest.servers.server_folder import Server, fill
from loadtest.setup.declared import ProcedureRequest, read_declared


def how_to_tell(server: Server, workload: str, serves: int, to_serve: int) -> str:
    """What a person does with a running server after a push or a rollback, in a line.

    Args:
        server: The server.
        workload: Name of the model.
        serves: The version that it serves now.
        to_serve: The one that it is to serve.
    """
    swap = read_declared(server).hot_swap
    if swap is None:
        return f"{server.label}: start it anew"
    back = to_serve < serves
    context = {"workload": workload, "version": min(serves, to_serve), "next": max(serves, to_serve)}
    steps = _steps(server, swap.back if back else swap.change.requests, context)
    if swap.signal:
        steps.append(f"{swap.signal} to its main process")
    return f"{server.label}: {', then '.join(steps) or 'looks for it by itself'}"


def _steps(server: Server, requests: Sequence[ProcedureRequest], context: dict[str, object]) -> list[str]:
    return [f"{one.method} :{server.ports[one.port]}{fill(one.path, context)}" for one in requests]
