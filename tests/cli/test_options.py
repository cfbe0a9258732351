"""Options that cannot be used, of every command: one line that names the option and its bounds, and nothing started."""

import subprocess
import sys
from pathlib import Path

import click
import pytest

from loadtest.cli import cli
from loadtest.cli.numbers import Number, Several
from loadtest.errors import UsageError
from loadtest.judge.comparison_plan import ComparisonPlan
from loadtest.servers.artifact import Artifact

ROOT = Path(__file__).resolve().parents[2]

REFUSED = {
    "run flask_server --batch 0": "--batch must be a whole number from 1",
    "run flask_server --batch -1": "--batch must be a whole number from 1",
    "run flask_server --batch 4097": "--batch must be from 1 to 4096, the load examples of digits, not 4097",
    "run flask_server --start-timeout nan": "--start-timeout must be above 0 and at most 604,800 seconds, not 'nan'",
    "run flask_server --min-requests -1": "--min-requests must be a whole number from 0",
    "run flask_server --seed 1.5": "--seed must be a whole number from 0",
    "run flask_server,torchserve": "no server 'flask_server,torchserve'",
    "check --servers=": "no server ''; there are: flask_server",
    "check --servers flask_server,": "no server ''; there are: flask_server",
    "up --start-timeout inf": "--start-timeout must be above 0",
    "compare --warmup -1": "--warmup must be from 0 to 604,800 seconds, not '-1'",
    "compare --rate nan": "--rate must be above 0 and at most 1,000,000 requests per second, not 'nan'",
    "compare --connections 0": "--connections must be a whole number from 1 to 10,000",
    "compare --within 0": "--within must be above 0 and at most 10,080 minutes, not '0'",
    "compare --until p99": "'p99' is no width of an interval; write one like 'p99 ±10%'",
    "compare --until p99±10% --rate 9": "'p99±10%' cannot be reached: p99 needs some 716 requests a round, and 40 s "
    "at 9/s have 360; raise --duration to 80",
    "compare --rounds none": "--rounds must be a whole number from 1",
    "compare --servers flask_server --batch 4097": "--batch must be from 1 to 4096",
    "capacity flask_server --precision 0": "--precision must be from 0.001 to 0.9, not '0'",
    "capacity flask_server --searches 0": "--searches must be a whole number from 1",
    "capacity flask_server --connections -4": "--connections must be a whole number from 1",
    "capacity flask_server --batch 4097": "--batch must be from 1 to 4096",
    "sweep flask_server --connections 4,0": "--connections must be a whole number from 1 to 10,000, not '0'",
    "sweep flask_server --rates inf": "--rates must be above 0",
    "sweep flask_server --rates=": "--rates must be above 0",
    "sweep flask_server --warmup -1": "--warmup must be from 0",
    "sweep flask_server --batch 4097": "--batch must be from 1 to 4096",
    "run grpc://user:se[cret@host/service/Method": "error: 'grpc://host/service/Method' is not a usable address",
    "ceiling --duration 0": "--duration must be above 0",
    "ceiling --processes 0": "--processes must be a whole number from 1",
    "run flask_server --wire cbor": "no wire format 'cbor'; there are: grpc, ",
    "run flask_server --wire grpc": "flask_server does not speak grpc; it speaks: rest, octets, npy",
    "run http://127.0.0.1:9/ --wire grpc": "--wire grpc does not go with the address http://127.0.0.1:9/",
    "sweep flask_server --wire rest-bytes": "flask_server does not speak rest-bytes; it speaks: rest, octets, npy",
    "capacity flask_server --wire grpc": "flask_server does not speak grpc",
    "compare --wires rest,": "no wire format ''; there are: grpc, ",
    "compare --wires grpc": "flask_server speaks none of the wire formats grpc: leave it out of --servers, or add one",
    "compare --servers flask_server --wires rest,grpc": "none of flask_server speaks grpc",
    "tune flask_server --budget 0": "--budget must be above 0 and at most 10,080 minutes, not '0'",
    "tune flask_server --slo fast": "'fast' is no objective; write one like 'p99<50ms'",
    "tune flask_server --memory lots": "'lots' is no size of memory; write one like 2g or 1500m",
    "tune flask_server --cores 500": "--cores 500: the servers have ",
    "tune flask_server:gunicorn": "flask_server:gunicorn has nothing to tune",
    "tune flask_server --launcher compose": "tune starts the server with other flags and files each time: use ",
    "tune flask_server --wire grpc": "flask_server does not speak grpc",
    "compare --layers --launcher network": "--layers tells the servers' processes where to count, which --launcher "
    "network cannot: use --launcher local",
    "compare --tuned --launcher compose": "--tuned starts servers with flags and files of their own, which --launcher "
    "compose does not: use --launcher local",
    "compare --tuned-from no-such-folder --workload digits,minilm": "--tuned takes one model",
    "compare --tuned-from no-such-folder": "no server has a tuned configuration for digits in no-such-folder: run "
    "`loadtest tune SERVER` first",
    "setup --repeat 0": "--repeat must be a whole number from 1",
}


@pytest.mark.parametrize(("words", "told"), REFUSED.items(), ids=REFUSED)
def test_a_number_or_name_that_cannot_be_used_is_refused(words: str, told: str, tmp_path: Path) -> None:
    """Before anything is started or written: one line with the option, exit code 1."""
    command = [sys.executable, "-m", "loadtest", *words.split()]
    if words.startswith("compare"):
        command += ["--out", str(tmp_path / "out")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    assert told in line
    assert "starting" not in line


def test_every_numeric_option_has_bounds() -> None:
    """No option of any command takes a number as click does, which lets infinity, NaN and any sign through."""
    unbounded = [
        f"{name} {parameter.opts[0]}"
        for name, command in cli.commands.items()
        for parameter in command.params
        if isinstance(parameter.type, click.types.IntParamType | click.types.FloatParamType)
    ]
    assert unbounded == []
    assert any(isinstance(parameter.type, Number | Several) for parameter in cli.commands["run"].params)


def test_a_batch_has_to_be_there(artifact: Artifact) -> None:
    """As many golden examples as one request holds; a batch that does not divide them leaves a shorter last one."""
    assert [len(rows) for rows in artifact.golden.batches(48)] == [48, 16]
    assert len(artifact.bodies(64)) == 1
    for batch in (-1, 0, 65):
        with pytest.raises(UsageError, match="from 1 to 64"):
            artifact.bodies(batch)


@pytest.mark.parametrize("bad", [{"warmup_s": -1.0}, {"connections": 0}, {"seed": -1}, {"batch": 0}], ids=str)
def test_a_plan_that_cannot_be_carried_out_is_refused(bad: dict[str, float]) -> None:
    """Where the plan is made, and not after the first server has been started."""
    with pytest.raises(UsageError):
        ComparisonPlan(**bad)  # type: ignore[arg-type]  # a mapping of mixed fields
