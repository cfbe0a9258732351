"""What ends this program and those that it starts."""

import os
import signal

import pytest

from loadtest.machine.ending import ENDING, held_signals


@pytest.mark.parametrize("from_children", [False, True])
def test_what_ends_a_program_waits_while_a_process_is_started(from_children: bool) -> None:
    """Ctrl-C comes after the context and not in it; everything is as it was afterwards."""
    before = [signal.getsignal(number) for number in ENDING]
    done = []

    def start() -> None:
        with held_signals(from_children=from_children):
            os.kill(os.getpid(), signal.SIGINT)
            done.extend(["started", "noted"])
        done.append("gone on")

    with pytest.raises(KeyboardInterrupt):
        start()
    assert done == ["started", "noted"]
    assert [signal.getsignal(number) for number in ENDING] == before
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) & set(ENDING) == set()


def test_without_a_signal_nothing_happens() -> None:
    """What is raised inside comes out as it is."""
    with held_signals():
        pass
    with pytest.raises(ValueError, match="its own"), held_signals(from_children=True):
        raise ValueError("its own")
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) & set(ENDING) == set()
