"""PyTorch to LiteRT in 8-bit integers, by PyTorch's quantiser of exported graphs (PT2E)."""

from pathlib import Path

from devices.source import Source


def export(source: Source, file: Path) -> None:
    """Quantise by the ranges of the calibration, or of tokens' activations while the model runs."""
    import litert_torch
    import torch
    from litert_torch.quantize import pt2e_quantizer
    from litert_torch.quantize.quant_config import QuantConfig
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    scheme = pt2e_quantizer.get_symmetric_quantization_config(is_per_channel=True, is_dynamic=source.takes_tokens)
    quantizer = pt2e_quantizer.PT2EQuantizer().set_global(scheme)
    example = source.tensors(source.longest)
    observed = prepare_pt2e(torch.export.export(source.torch_module(), example).module(), quantizer)
    for one in source.calibration_longest:
        observed(*source.tensors(one))
    quantized = convert_pt2e(observed, fold_quantize=False)
    litert_torch.convert(quantized, example, quant_config=QuantConfig(pt2e_quantizer=quantizer)).export(str(file))
