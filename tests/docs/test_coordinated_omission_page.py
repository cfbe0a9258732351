import contextlib
import io
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "coordinated-omission.md"


def test_page_shows_what_its_script_measures(tmp_path: Path) -> None:
    """The table and the picture are, to the last byte, those that the script makes now."""
    picture = tmp_path / "picture.svg"
    script = ROOT / "benchmarks" / "coordinated_omission.py"
    done = subprocess.run([sys.executable, script, "--out", picture], capture_output=True, text=True, check=True)
    assert done.stdout.strip() in PAGE.read_text(encoding="utf-8")
    assert picture.read_bytes() == PAGE.with_suffix(".svg").read_bytes()


def test_example_of_the_page_runs() -> None:
    """The Python example prints one number: a p99 above the bare service time's and below the stall's length."""
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(example, {})
    assert 5 < float(printed.getvalue()) < 210
