"""A framework's callable over tensors, as a forward pass over NumPy arrays by their names."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.examples import Forward
from models.forms.form import Source
from models.tensors import Tensors
from models.workload import by_name


def over_torch(call: Callable[..., Any], source: Source) -> Forward:
    """Wrap what takes and returns PyTorch's tensors."""
    import torch

    from models.shipped.load import to_numpy, to_torch

    def forward(tensors: Tensors) -> Tensors:
        with torch.inference_mode():
            returned = call(*(to_torch(tensors[spec.name]) for spec in source.inputs))
        returned = tuple(returned) if isinstance(returned, list) else returned
        return {name: to_numpy(value) for name, value in by_name(source.outputs, returned).items()}

    return forward


def over_tensorflow(call: Callable[..., Any], source: Source) -> Forward:
    """Wrap what takes and returns TensorFlow's tensors."""
    import tensorflow as tf

    def forward(tensors: Tensors) -> Tensors:
        returned = call(*(tf.constant(tensors[spec.name]) for spec in source.inputs))
        return {name: value.numpy() for name, value in by_name(source.outputs, returned).items()}

    return forward


def copy_files(source: Source, folder: Path) -> None:
    """Copy the code of the model and its weights: all that a form needs which is Python code."""
    for file in source.files:
        shutil.copyfile(file, folder / file.name)
