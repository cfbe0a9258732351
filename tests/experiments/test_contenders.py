"""Who is compared with whom: servers, each over the wire formats that it speaks."""

from collections.abc import Mapping

import pytest

from loadtest.errors import UsageError
from loadtest.experiments.contender import contenders
from loadtest.servers.server_folder import Server


def test_each_server_is_measured_over_what_it_speaks(servers: Mapping[str, Server]) -> None:
    """In the order of the servers, then of the formats; over JSON, row by row, the key is the server's own."""
    entered = contenders([servers["flask_server"], servers["tf_serving"]], ["grpc", "rest", "npy"])
    assert [one.key for one in entered] == ["flask_server", "flask_server+npy", "tf_serving+grpc", "tf_serving"]
    assert [one.no_result().server_key for one in entered] == ["flask_server"] * 2 + ["tf_serving"] * 2


def test_a_comparison_in_which_somebody_or_something_is_left_out_is_refused(servers: Mapping[str, Server]) -> None:
    """A server without any of the formats, and a format without any server: the line says what can be done."""
    both = [servers["flask_server"], servers["tf_serving"]]
    with pytest.raises(UsageError, match=r"flask_server speaks none of the wire formats grpc: .* rest, octets, npy"):
        contenders(both, ["grpc"])
    with pytest.raises(UsageError, match="none of flask_server speaks grpc"):
        contenders(both[:1], ["rest", "grpc"])


def test_flask_speaks_no_grpc(servers: Mapping[str, Server]) -> None:
    """It is a difference between the servers, which every comparison over gRPC states."""
    assert not [name for name in servers["flask_server"].wires if name.startswith("grpc")]
    assert "grpc" in servers["tf_serving"].wires
    assert "grpc" in servers["torchserve"].wires
