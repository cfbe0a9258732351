from loadtest.experiments.simulation import FifoServer, SimulatedConnection, VirtualTime, fixed
from loadtest.load.engine import GAVE_UP, TIMEOUT
from loadtest.load.recorder import Tally
from loadtest.load.schedule import NS, Constant
from loadtest.load.session import Phase


def run(*, impatient: bool) -> Tally:
    """Twice as many requests as one connection can carry, for ten seconds, each with a patience of a second."""
    time = VirtualTime()
    slots = [SimulatedConnection(FifoServer(fixed(0.2)), time)]
    engine = Phase(Constant(10.0, 10.0), 1, 1.0, impatient=impatient).engine(1, time.clock, time.wake_at)
    for slot in slots:
        slot.engine = engine
    time.run(engine, slots)
    return engine.result()


def test_an_impatient_user_whose_turn_comes_too_late_sends_nothing() -> None:
    """No request is sent that has waited for longer than the limit; each that was due is counted once."""
    tally = run(impatient=True)
    assert tally.scheduled == 100
    assert tally.ok + tally.errors[GAVE_UP] + tally.errors[TIMEOUT] + tally.errors["unsent"] == 100
    assert tally.errors[GAVE_UP] > 30
    assert tally.response.max <= 1.2 * NS * 1.001  # a second of waiting, and the answer


def test_a_patient_one_sends_every_request() -> None:
    """Without impatience every request waits for its turn, and the wait shows in its response time."""
    tally = run(impatient=False)
    assert tally.errors[GAVE_UP] == 0
    assert tally.response.max > 4 * NS
