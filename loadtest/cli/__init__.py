"""What a person types: one module per verb, each with a command of its own name. Only this package prints and exits."""

import importlib
import pkgutil
import signal
import sys
from types import FrameType

import click

from loadtest.cli.output import guard_output
from loadtest.errors import LoadtestError
from loadtest.machine.ending import ENDING
from loadtest.report.wording import told

PATIENCE = 2
"""Signals that are heeded: whoever keeps on pressing Ctrl-C does not keep the servers from being ended."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="serving-bakeoff")
def cli() -> None:
    """Start, check and measure prediction servers."""


for found in pkgutil.iter_modules(__path__):
    command = getattr(importlib.import_module(f"{__name__}.{found.name}"), found.name, None)
    if isinstance(command, click.Command):
        cli.add_command(command)


def main() -> None:
    """Entry point: one-line errors, and servers that end on Ctrl-C as on a plain kill."""
    received = _raise_on_signals()
    guard_output()
    try:
        sys.exit(cli(standalone_mode=False))  # click returns the code of its Exit, and None where there was none
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (LoadtestError, OSError) as error:  # such as a full disk under the temporary directory
        click.echo(f"error: {told(error)}", err=True)
        sys.exit(1)
    except (KeyboardInterrupt, click.Abort):
        number = received[0] if received else signal.SIGINT
        how = "interrupted" if number == signal.SIGINT else f"ended by {signal.Signals(number).name}"
        click.echo(f"{how}; everything that was started has ended", err=True)
        sys.exit(128 + number)


def _raise_on_signals() -> list[int]:
    """Have each signal that asks for an end do what Ctrl-C does; the second one shortens the patience, a third nothing.

    Returns:
        Those that came, as they come.
    """
    received: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if len(received) <= PATIENCE:
            raise KeyboardInterrupt

    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup leaves it
            signal.signal(number, end)
    return received
