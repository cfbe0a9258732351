"""PyTorch to LiteRT, without TensorFlow in between."""

from pathlib import Path

from devices.source import Source


def export(source: Source, file: Path) -> None:
    """Write the model with a batch of one of the largest length; raises whatever the converter raises."""
    import litert_torch

    litert_torch.convert(source.torch_module(), source.tensors(source.longest)).export(str(file))
