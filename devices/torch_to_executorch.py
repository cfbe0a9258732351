"""PyTorch to ExecuTorch, computed by XNNPACK."""

from pathlib import Path
from typing import Any

from devices.source import Source


def export(source: Source, file: Path) -> None:
    """Write the model with a batch of one and free lengths; raises whatever the exporter raises."""
    save(program(source), file)


def program(source: Source) -> Any:
    """The exported graph, its constants folded."""
    import torch
    from executorch.exir.passes.constant_prop_pass import constant_prop_pass

    # ExecuTorch 1.5 runs no convolution whose weights lie channels last, or are computed on the device.
    module = source.torch_module().to(memory_format=torch.contiguous_format)
    example = source.tensors(source.example)
    return constant_prop_pass(torch.export.export(module, example, dynamic_shapes=source.free_lengths()))


def save(exported: Any, file: Path) -> None:
    """Lower the graph to XNNPACK and write it."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    lowered = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
    lowered.to_executorch().save(str(file))
