"""The shortest comparison that is still a whole one: ``python -m tests.shortest compare …`` is `loadtest`, shortened.

Its gate and its count of the layers are short, and the forward pass alone is not timed. All else is as delivered: a
process that starts servers, measures them and writes its result. `tests/docs/test_readme.py` runs the delivered program
itself, with every server.
"""

from functools import partial
from unittest import mock

SHORTLY = ("--rounds", "1", "--duration", "1", "--warmup", "0", "--rate", "20", "--no-layers")
"""Options of `loadtest compare`."""

GATE_S = 0.3
LAYERS_S = 1.0


def main() -> None:
    """Run the program; it is imported here, since each client process imports this module too."""
    from loadtest.cli import main as loadtest
    from loadtest.experiments import comparison, layer_run, turn

    with (
        mock.patch.object(turn, "GATE_S", GATE_S),
        mock.patch.object(comparison, "time_forward_passes", return_value=[]),
        mock.patch.object(comparison, "break_down", partial(layer_run.break_down, length_s=LAYERS_S)),
    ):
        loadtest()


if __name__ == "__main__":
    main()
