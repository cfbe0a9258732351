"""The bare forward pass of the real models in both frameworks, and what each way of writing it gains.

    python -m models build
    python benchmarks/forward_pass.py --write benchmarks/forward_pass.md

Every way runs in processes of its own, on one thread and one core; the ways take turns in each round.
"""

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.figures import machine, spread, write_figures
from models import example_files, read_back, weights_file
from models.artifact_manifest import Manifest, read, root
from models.examples import Forward
from models.tensors import Tensors

BATCHES = (1, 8)
SECONDS = 1.0
LENGTH = 24
"""About how many tokens the sentence has."""

WAYS = {
    # workload -> name -> what is told of it; the first of each framework is the one that is shipped
    "imagenet": {
        "torch": "PyTorch, as shipped: eager, batch normalisation folded, channels last, no padded copies",
        "torch_padded": "the same with a padded copy of the image before each convolution of stride 2",
        "torch_planes": "the same with channels first in memory (PyTorch's default)",
        "torch_upstream": "upstream's network: batch normalisation apart, padded copies, channels first",
        "torch_compiled": "as shipped, through torch.compile with frozen weights (needs a compiler where it is served)",
        "tensorflow": "TensorFlow, as shipped: the SavedModel's signature",
        "tensorflow_plain": "the same without oneDNN (TF_ENABLE_ONEDNN_OPTS=0)",
    },
    "minilm": {
        "torch": "PyTorch, as shipped: eager, one matrix for query, key and value, fused attention",
        "torch_upstream": "sentence-transformers, the authors' own library",
        "torch_compiled": "as shipped, through torch.compile with frozen weights (needs a compiler where it is served)",
        "tensorflow": "TensorFlow, as shipped: the SavedModel's signature",
        "tensorflow_plain": "the same without oneDNN (TF_ENABLE_ONEDNN_OPTS=0)",
    },
}


def folder_of(workload: str) -> Path:
    """Where the artifact of a workload is."""
    return root() / workload / "1"


def way(workload: str, name: str, manifest: Manifest) -> Forward:
    """A forward pass, loaded."""
    folder = folder_of(workload)
    if name.startswith("tensorflow"):
        tf = read_back.cpu_tensorflow()
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        return read_back.saved_model(folder / "saved_model" / "1", manifest.inputs, manifest.outputs)
    import torch

    torch.set_num_threads(1)
    if name == "torch":
        return read_back.torch_form(folder / "torch")
    if name == "torch_upstream":
        call = _upstream_imagenet() if workload == "imagenet" else _upstream_minilm()
    else:
        call = _changed(workload, name)
    output = manifest.outputs[0].name

    def forward(inputs: Tensors) -> Tensors:
        with torch.inference_mode():
            answer = call(*(torch.from_numpy(inputs[spec.name]) for spec in manifest.inputs))
        return {output: answer.numpy()}

    return forward


def _changed(workload: str, name: str) -> Callable[..., Any]:
    """The network that is shipped, in one thing otherwise."""
    import torch
    from torch.nn import functional

    from models import imagenet, minilm

    network: Any = (imagenet if workload == "imagenet" else minilm).network()
    stored = weights_file.read(folder_of(workload) / "weights.safetensors")
    network.load_state_dict({key: torch.from_numpy(value) for key, value in stored.items()})
    network.eval().requires_grad_(False)
    if name == "torch_compiled":
        import torch._inductor.config

        torch._inductor.config.freezing = True
        compiled: Callable[..., Any] = torch.compile(network)
        return compiled
    if name == "torch_planes":
        network.to(memory_format=torch.contiguous_format)
        # A picture that is not laid out like an image with channels last: the layers follow its layout.
        return lambda image: network(image.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1))

    def padded(layer: Any, x: Any) -> Any:
        before = layer.kernel_size[0] // 2 - 1
        image = functional.pad(x, (before, before + 1, before, before + 1))
        return functional.conv2d(image, layer.weight, layer.bias, 2, 0, 1, layer.groups)

    type(network.stem).forward = padded
    call: Callable[..., Any] = network
    return call


def _upstream_imagenet() -> Callable[..., Any]:
    from efficientnet_lite_pytorch import EfficientNet

    from models import imagenet

    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=str(imagenet.WEIGHTS.find())).eval()
    return lambda image: network(((image * 255 - 127) / 128).permute(0, 3, 1, 2).contiguous()).softmax(1)


def _upstream_minilm() -> Callable[..., Any]:
    from sentence_transformers import SentenceTransformer

    from models import minilm

    network = SentenceTransformer(str(minilm.WEIGHTS.find().parent), device="cpu").eval()
    return lambda ids, mask: network({"input_ids": ids, "attention_mask": mask})["sentence_embedding"]


def measure(workload: str, name: str) -> dict[str, Any]:
    """Median times of a pass by batch, in milliseconds, and the largest difference from the reference."""
    manifest = read(folder_of(workload))
    forward = way(workload, name, manifest)
    golden, right = example_files.read(folder_of(workload), manifest.golden)
    # A photograph, or the sentence of about so many tokens.
    row = 0 if golden.lengths is None else int(np.abs(golden.lengths - LENGTH).argmin())
    (output,) = right
    difference = float(np.abs(forward(golden.repeated(row, manifest.inputs))[output] - right[output][row]).max())
    times: dict[int, float] = {}
    for size in BATCHES:
        batch, taken = golden.repeated(row, manifest.inputs, size), []
        for _ in range(5):
            forward(batch)
        end = time.perf_counter() + SECONDS
        while time.perf_counter() < end:
            start = time.perf_counter()
            forward(batch)
            taken.append((time.perf_counter() - start) * 1e3)
        times[size] = statistics.median(taken)
    return {"ms": times, "difference": difference}


def child(workload: str, name: str) -> dict[str, Any] | None:
    """Measure in a fresh process; None where it cannot run here."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    environment["TF_ENABLE_ONEDNN_OPTS"] = "0" if name == "tensorflow_plain" else "1"
    command = [sys.executable, __file__, "--child", workload, name]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.stderr.write(f"{workload}, {name}: {(done.stderr.strip().splitlines() or ['no message'])[-1]}\n")
        return None
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def table(workload: str, rounds: int) -> list[str]:
    """Every way of a workload in turn; lines of a Markdown table."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in WAYS[workload]}
    for _ in range(rounds):
        for name, runs in found.items():
            if result := child(workload, name):
                runs.append(result)
    lines = [f"| {workload} |" + "".join(f" batch {size}, ms an instance | over PyTorch's |" for size in BATCHES)]
    lines[0] += " largest difference |"
    lines.append("|---|" + "---:|" * (2 * len(BATCHES) + 1))
    for name, runs in found.items():
        cells = [WAYS[workload][name]]
        for size in BATCHES if runs else ():
            mine = [run["ms"][str(size)] / size for run in runs]
            theirs = [run["ms"][str(size)] / size for run in found["torch"]]
            ratios = [one / two for one, two in zip(mine, theirs, strict=True)]
            cells += [spread(mine, 1), spread(ratios, 2)]
        cells += [f"{max(run['difference'] for run in runs):.1e}"] if runs else ["does not run on this machine"]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def main() -> None:
    """Measures and prints the tables, or writes them between the marks of a Markdown file."""
    parser = argparse.ArgumentParser(description="Time the bare forward pass of the real models.")
    parser.add_argument("--rounds", type=int, default=5, help="fresh processes for each way (default 5)")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)), help="the core to run on")
    parser.add_argument("--write", type=Path, help="Markdown file with <!-- figures --> … <!-- end --> to fill")
    parser.add_argument("--child", nargs=2, metavar=("WORKLOAD", "WAY"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        sys.stdout.write(json.dumps(measure(*arguments.child)) + "\n")
        return
    for workload in WAYS:
        if not folder_of(workload).exists():
            sys.exit(f"error: no artifact of {workload}; make it with: python -m models build {workload}")
    os.sched_setaffinity(0, {arguments.core})
    lines = [line for workload in WAYS for line in ["", *table(workload, arguments.rounds)]]
    command = shlex.join(["python", "benchmarks/forward_pass.py", *sys.argv[1:]])
    text = "\n".join([f"    {command}", "", machine(), *lines])
    sys.stdout.write(text + "\n")
    if arguments.write:
        write_figures(arguments.write, text)


if __name__ == "__main__":
    main()
