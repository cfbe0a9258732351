"""PyTorch to ONNX, for ONNX Runtime on phones and in the browser."""

from pathlib import Path

from devices.source import Source

FOLDED_BYTES = 2**30
"""Constants of any size are computed when the model is exported, not on the device."""


def export(source: Source, file: Path) -> None:
    """Write the model with a batch of one and free lengths; raises whatever the exporter raises."""
    import onnxscript
    import torch
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass

    program = torch.onnx.export(
        source.torch_module(),
        source.tensors(source.example),
        dynamo=True,
        dynamic_shapes=source.free_lengths(),
        input_names=[spec.name for spec in source.inputs],
        output_names=[spec.name for spec in source.outputs],
        verbose=False,
    )
    assert program is not None  # it is None only without dynamo
    # ONNX Runtime 1.32 loads no model in which a weight passes through a Pad on its way into a convolution.
    onnxscript.optimizer.optimize(program.model, input_size_limit=FOLDED_BYTES, output_size_limit=FOLDED_BYTES)
    ClearMetadataAndDocStringPass()(program.model)  # it names files of this machine
    program.save(file, external_data=False)
