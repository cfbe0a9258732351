"""PyTorch to ExecuTorch in 8-bit integers, by PyTorch's quantiser of exported graphs (PT2E)."""

from pathlib import Path

from devices import torch_to_executorch
from devices.source import Source


def export(source: Source, file: Path) -> None:
    """Quantise by the ranges of the calibration, or of tokens' activations while the model runs."""
    import torch
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    scheme = get_symmetric_quantization_config(is_per_channel=True, is_dynamic=source.takes_tokens)
    observed = prepare_pt2e(torch_to_executorch.program(source).module(), XNNPACKQuantizer().set_global(scheme))
    for one in source.calibration:
        observed(*source.tensors(one))
    example, lengths = source.tensors(source.example), source.free_lengths()
    torch_to_executorch.save(torch.export.export(convert_pt2e(observed), example, dynamic_shapes=lengths), file)
