"""Which PyTorch form to ship: load time, forward time, size and needs of the four there are.

    python -m models build digits
    python benchmarks/torch_form.py --write benchmarks/torch_form.md

Every form is made and then loaded in processes of its own, on one thread, the forms taking turns in each round.
"""

import argparse
import io
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.figures import machine, spread, write_figures

ROOT = Path(__file__).resolve().parent.parent
ARTIFACT = Path(os.environ.get("BAKEOFF_ARTIFACTS", ROOT / "artifacts")) / "digits" / "1"
FORMS = {  # name -> title and file in the folder of all forms
    "eager": ("eager module + safetensors", "torch"),
    "export": ("torch.export (.pt2)", "export.pt2"),
    "aoti": ("AOTInductor (.pt2)", "aoti.pt2"),
    "script": ("TorchScript (.pt)", "script.pt"),
}
BATCHES = (1, 32)
CALLS = 1000


def load(form: str, path: Path) -> Any:
    """Loads `path` as a server would."""
    import torch

    if form == "eager":
        sys.path.insert(0, str(path))
        from load import load as load_eager  # type: ignore[import-not-found]  # lies in the artifact

        return load_eager(path)
    if form == "export":
        return torch.export.load(path).module()
    if form == "aoti":
        return torch._inductor.aoti_load_package(str(path))
    return torch.jit.load(path)  # type: ignore[no-untyped-call]  # torch leaves it untyped


def make(form: str, path: Path) -> None:
    """Writes `form` of the artifact's network to `path`."""
    import torch

    module = load("eager", ARTIFACT / "torch")
    example = torch.zeros(2, 8, 8)
    if form == "script":
        torch.jit.script(module).save(str(path))
        return
    batch = torch.export.Dim("batch")
    program = torch.export.export(module, (example,), dynamic_shapes=({0: batch},))
    if form == "export":
        torch.export.save(program, path)
    else:
        torch._inductor.aoti_compile_and_package(program, package_path=str(path))


def measure(form: str, path: Path) -> dict[str, Any]:
    """Returns seconds until the first answer after `import torch`, and the median forward time in microseconds."""
    import numpy as np
    import torch

    torch.set_num_threads(1)
    inputs = torch.from_numpy(np.load(ARTIFACT / "golden" / "inputs" / "image.npy", allow_pickle=False))
    expected = np.load(ARTIFACT / "golden" / "outputs" / "probabilities.npy", allow_pickle=False)
    with torch.inference_mode():
        start = time.perf_counter()
        model = load(form, path)
        model(inputs[:1])
        result: dict[str, Any] = {"first_answer_s": time.perf_counter() - start, "forward_us": {}}
        result["difference"] = float(np.abs(model(inputs).numpy() - expected).max())
        for size in BATCHES:
            batch, times = inputs[:size], []
            for _ in range(CALLS):
                start = time.perf_counter()
                model(batch)
                times.append(time.perf_counter() - start)
            result["forward_us"][size] = statistics.median(times) * 1e6
    return result


def child(action: str, form: str, path: Path, *, compiler: bool) -> dict[str, Any] | None:
    """Runs `action` in a fresh process, without a PATH if there shall be no compiler; None if it fails."""
    command = [sys.executable, __file__, "--child", action, form, str(path)]
    # A cache of its own, or AOTInductor would reuse the compiler's work of an earlier run.
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "TORCHINDUCTOR_CACHE_DIR": cache}
        environment["PATH"] = os.environ["PATH"] if compiler else ""
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        return None
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def run_child(action: str, form: str, path: Path) -> dict[str, Any]:
    """What a child process does; also notes whether torch calls the form deprecated."""
    deprecated = []

    def note(message: Warning | str, *_: Any) -> None:
        # Only what this file calls counts: torch warns of itself too. These warnings all name torch as their
        # place, so the caller is looked for on the stack.
        callers = [frame.filename for frame in traceback.extract_stack()[:-1]]
        outside = [name for name in callers if "/torch/jit/" not in name and not name.endswith("warnings.py")]
        if outside[-1] == __file__ and "deprecated" in str(message):
            deprecated.append(str(message))

    warnings.simplefilter("always")
    warnings.showwarning = note  # type: ignore[assignment]  # *_ takes what it does not use
    result: dict[str, Any] = {}
    if action == "make":
        make(form, path)
    else:
        result = measure(form, path)
    return {**result, "deprecated": bool(deprecated)}


def holds_pickle(path: Path) -> bool:
    """Whether there is a pickle in `path`, a folder or a zip, or in a zip inside it."""
    if path.is_dir():
        return any(holds_pickle(file) for file in path.iterdir())
    return _zip_holds_pickle(path.read_bytes())


def _zip_holds_pickle(content: bytes) -> bool:
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return False
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return any(name.endswith(".pkl") or _zip_holds_pickle(archive.read(name)) for name in archive.namelist())


def size(path: Path) -> int:
    """Bytes of a file, or of the files in a folder."""
    files = [file for file in path.iterdir() if file.is_file()] if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)


def rows(folder: Path, rounds: int) -> list[str]:
    """Makes and measures every form; returns the lines of a Markdown table."""
    paths = {form: folder / name for form, (_, name) in FORMS.items()}
    paths["eager"] = ARTIFACT / "torch"
    made: dict[str, dict[str, Any]] = {}
    needs_compiler = {}
    for form, path in paths.items():
        without = {"deprecated": False} if form == "eager" else child("make", form, path, compiler=False)
        needs_compiler[form] = without is None
        result = without or child("make", form, path, compiler=True)
        if result:
            made[form] = result
    measured: dict[str, list[dict[str, Any]]] = {form: [] for form in made}
    for _ in range(rounds):
        for form in made:
            if result := child("measure", form, paths[form], compiler=False):
                measured[form].append(result)

    lines = ["| form | first answer after import torch | forward, batch 1 | forward, batch 32 | size |"]
    lines[0] += " compiler to make it | deprecated | pickle inside | largest difference |"
    lines.append("|---|" + "---:|" * 4 + "---|" * 3 + "---:|")
    for form, (title, _) in FORMS.items():
        if not measured.get(form):
            lines.append(f"| {title} | not made or not loaded on this machine |" + " |" * 7)
            continue
        runs = measured[form]
        cells = [title, _spread([run["first_answer_s"] * 1e3 for run in runs], "ms")]
        cells += [_spread([run["forward_us"][str(batch)] for run in runs], "us") for batch in BATCHES]
        cells.append(f"{size(paths[form]) / 1024:.0f} KiB")
        cells += ["needed" if needs_compiler[form] else "no"]
        cells += ["yes" if made[form]["deprecated"] or runs[0]["deprecated"] else "no"]
        cells += ["yes" if holds_pickle(paths[form]) else "no"]
        cells.append(f"{max(run['difference'] for run in runs):.1e}")
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _spread(values: list[float], unit: str) -> str:
    return spread(values, 1 if statistics.median(values) < 100 else 0, f" {unit}")


def main() -> None:
    """Measures and prints the table, or writes it between the marks of a Markdown file."""
    parser = argparse.ArgumentParser(description="Measure the PyTorch forms of the digits network.")
    parser.add_argument("--rounds", type=int, default=7, help="fresh processes per form (default 7)")
    parser.add_argument("--write", type=Path, help="Markdown file with <!-- figures --> … <!-- end --> to fill")
    parser.add_argument("--child", nargs=3, metavar=("ACTION", "FORM", "PATH"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        action, form, path = arguments.child
        sys.stdout.write(json.dumps(run_child(action, form, Path(path))) + "\n")
        return
    if not (ARTIFACT / "manifest.json").is_file():
        sys.exit(f"error: no artifact in {ARTIFACT}; make it with: python -m models build digits")
    with tempfile.TemporaryDirectory() as folder:
        table = rows(Path(folder), arguments.rounds)
    command = shlex.join(["python", "benchmarks/torch_form.py", *sys.argv[1:]])
    text = "\n".join([f"    {command}", "", machine(), "", *table])
    sys.stdout.write(text + "\n")
    if arguments.write:
        write_figures(arguments.write, text)


if __name__ == "__main__":
    main()
