"""The counters of a process, and the calls that they are put around from outside."""

import _thread
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from layer_clock.layer_counting import LayerClock
from loadtest.machine.layer_counters import Spent, read_spent
from loadtest.servers.artifact import ROOT

SPIN_S = 0.05


def spin() -> None:
    """Use CPU time of the calling thread."""
    end = time.thread_time() + SPIN_S
    while time.thread_time() < end:
        pass


def here(folder: Path) -> Spent:
    """What this process has counted."""
    return read_spent(os.getpid(), folder)[os.getpid()]


def test_a_layer_has_what_no_inner_layer_has(tmp_path: Path) -> None:
    """Nested calls share their time without an overlap, a wait counts nothing, and a call within its layer is one."""
    clock = LayerClock(tmp_path, ["outer", "inner", "unused"])
    inner = clock.timed(spin, "inner")

    def work() -> None:
        inner()
        time.sleep(2 * SPIN_S)
        spin()

    outer = clock.timed(clock.timed(work, "outer"), "outer")
    outer()
    outer()
    found = here(tmp_path)
    assert found.calls == {"outer": 2, "inner": 2, "unused": 0}
    assert found.layers_s["unused"] == 0
    for layer in ("outer", "inner"):
        assert 2 * SPIN_S <= found.layers_s[layer] < 3 * SPIN_S


def test_a_call_that_raises_is_counted_and_ends(tmp_path: Path) -> None:
    """The error reaches the caller, and what comes after it is another layer's."""
    clock = LayerClock(tmp_path, ["parsing", "encoding"])

    def refuse() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        clock.timed(refuse, "parsing")()
    clock.timed(spin, "encoding")()
    found = here(tmp_path)
    assert found.calls == {"parsing": 1, "encoding": 1}
    assert found.layers_s["encoding"] >= SPIN_S


def test_threads_add_up(tmp_path: Path) -> None:
    """No call of any thread is lost, however they take turns."""
    clock = LayerClock(tmp_path, ["work"])
    call = clock.timed(lambda: None, "work")
    threads = [threading.Thread(target=lambda: [call() for _ in range(2_000)]) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert here(tmp_path).calls == {"work": 12_000}


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="the kernel does not list a process's threads")
@pytest.mark.parametrize(("pools", "shared"), [("forward pass", 1.0), ("", 0.0)])
def test_threads_of_a_pool_belong_to_the_layer_that_began_them(tmp_path: Path, pools: str, shared: float) -> None:
    """What a thread that no Python code knows of spends later is told; that of Python's own threads is not."""
    clock = LayerClock(tmp_path, ["forward pass"], pools)
    go, end, spun = threading.Event(), threading.Event(), threading.Semaphore(0)

    def later() -> None:
        go.wait()
        spin()
        spun.release()
        end.wait()  # the kernel forgets a thread that has ended

    def forward() -> None:
        _thread.start_new_thread(later, ())  # unknown to `threading`, like a framework's own
        threading.Thread(target=later, daemon=True).start()

    clock.timed(forward, "forward pass")()
    before = here(tmp_path).pool_s
    go.set()
    for _ in range(2):
        spun.acquire()
    spent = here(tmp_path).pool_s - before
    end.set()
    assert shared * 0.9 * SPIN_S <= spent <= shared * 1.9 * SPIN_S


def test_a_forked_child_counts_for_itself(tmp_path: Path) -> None:
    """Its file begins at nothing, and its parent's goes on."""
    script = """
import os, sys
from pathlib import Path
from layer_counting import LayerClock
clock = LayerClock(Path(sys.argv[1]), ["work"])
call = clock.timed(lambda: None, "work")
call(); call()
child = os.fork()
if not child:
    call()
    os._exit(0)
os.waitpid(child, 0)
from loadtest.machine.layer_counters import _with_counters
for pid in (os.getpid(), child):
    print(_with_counters(pid, 0.0, Path(sys.argv[1]) / f"{pid}.counters").calls["work"])
"""
    path = os.pathsep.join((str(ROOT / "layer_clock"), str(ROOT)))
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.stdout.split() == ["2", "1"], done.stderr


MODULE = """
class Form:
    def __init__(self, read):
        self.read = read

FORMS = {"a": Form(lambda: 1), "b": Form(lambda: 2)}

class Service:
    def answer(self):
        return [form.read() for form in FORMS.values()]
"""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Let a Python process import a module, with the clock on its path and these calls in its server.toml."""
    (tmp_path / "served.py").write_text(MODULE)
    path = os.pathsep.join((str(ROOT / "layer_clock"), str(tmp_path)))

    def run(calls: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        (tmp_path / "server.toml").write_text(f"[layers.calls]\n{calls}\n")
        return subprocess.run(
            [sys.executable, "-c", "import served; print(served.Service().answer())"],
            env={**os.environ, "PYTHONPATH": path, "LAYER_CLOCK_FOLDER": str(tmp_path), **variables},
            capture_output=True,
            text=True,
        )

    return run


def test_calls_are_wrapped_from_outside(run: Run, tmp_path: Path) -> None:
    """Methods, and what stands in every value of a mapping; the answers are the same."""
    calls = 'framework = ["served:Service.answer", "not_imported:f"]\nparsing = ["served:FORMS.*.read"]'
    done = run(calls, LAYER_CLOCK=str(tmp_path / "server.toml"))
    assert done.stdout == "[1, 2]\n", done.stderr
    (file,) = tmp_path.glob("*.counters")
    assert b'"framework", "parsing"' in file.read_bytes()
    assert [int.from_bytes(file.read_bytes()[at : at + 8], sys.byteorder) for at in (6144, 6160)] == [1, 2]


def test_a_call_that_does_not_exist_ends_the_server(run: Run, tmp_path: Path) -> None:
    """Its time would be another layer's otherwise; the error names it."""
    done = run('parsing = ["served:Service.asnwer"]', LAYER_CLOCK=str(tmp_path / "server.toml"))
    assert done.returncode == 1
    assert "[layers.calls] names served:Service.asnwer, which does not exist" in done.stderr


def test_nothing_is_counted_unless_it_is_asked_for(run: Run, tmp_path: Path) -> None:
    """The folder on the path alone does nothing."""
    assert run('parsing = ["served:Service.asnwer"]').stdout == "[1, 2]\n"
    assert not list(tmp_path.glob("*.counters"))
