"""Requests of different lengths in one batch of a server: padding must not change an answer."""

import contextlib
from collections.abc import Mapping

import pytest

from loadtest.launch.launcher import LocalLauncher, running
from loadtest.load.schedule import Closed
from loadtest.machine.placement import UNPINNED
from loadtest.servers.artifact import Artifact
from loadtest.servers.server_folder import Server
from loadtest.setup.declared import read_declared
from loadtest.setup.probes.batching_probe import count_batches
from loadtest.setup.probes.probe_load import put_load
from loadtest.wire.golden_target import golden_target


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tf_serving", "torchserve"])
@pytest.mark.parametrize("wire", ["rest", "grpc"])
def test_sentences_of_many_lengths_share_batches(
    minilm: Artifact, servers: Mapping[str, Server], name: str, wire: str
) -> None:
    """No two requests in a row have the same length, fewer batches than requests are run, and every answer is right."""
    declared = read_declared(servers[name])
    assert declared.batching is not None
    lengths = minilm.load.lengths
    assert lengths is not None
    assert (lengths[1:] != lengths[:-1]).mean() > 0.8
    variant = servers[f"{name}:{declared.batching.variant}"]
    with contextlib.ExitStack() as stack:
        (server,) = stack.enter_context(running(LocalLauncher(minilm, UNPINNED, any_port=True), [variant]))
        before = count_batches(server, declared.batching, declared.metrics)
        target = golden_target(wire, server.url_over(wire), minilm.workload, minilm.load)
        tally = put_load(target, Closed(2.0, min_requests=200), connections=16)
        batches = count_batches(server, declared.batching, declared.metrics) - before
    assert (tally.mismatched, tally.failed) == (0, 0)
    assert tally.ok > 100
    assert 0 < batches < tally.ok / 2
