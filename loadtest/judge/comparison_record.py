"""A comparison as its records tell it, whether they are taken as they come or read from a file.

The result of a comparison under way and the one that is rebuilt after it was killed are made here, by the same code.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from loadtest.judge.comparison_result import ComparisonResult
from loadtest.judge.entries import (
    CLOSED_LOOP,
    CURVE,
    GATE,
    OPEN_LOOP,
    ROUND,
    Answers,
    Audited,
    Configured,
    Ended,
    Entry,
    ForwardPasses,
    Layered,
    OfServer,
    Planned,
    RunEnded,
    Searched,
    Started,
    TurnEnded,
)
from loadtest.judge.findings import Finding
from loadtest.judge.server_result import Round, ServerResult
from loadtest.judge.summary import ratios, summarise


@dataclass
class ComparisonRecord:
    """A comparison that has begun.

    Attributes:
        result: What there is of it.
        artifact_sha256: Digest of the model's manifest.
        timed: Whether the bare forward pass was timed.
        elapsed_s: How long it took so far, in seconds.
        rounds_s: How long the rounds took so far.
        under_way: What was measured in a turn that has not ended: a further sitting takes the turn again.
    """

    result: ComparisonResult
    artifact_sha256: str
    timed: bool = False
    elapsed_s: float = 0.0
    rounds_s: float = 0.0
    under_way: list[OfServer] = field(default_factory=list)
    _ended: dict[tuple[str, str, int], TurnEnded] = field(default_factory=dict)

    def take(self, entry: Entry) -> None:
        """Take in what was measured."""
        result = self.result
        match entry:
            case ForwardPasses(times=times):
                result.forward_pass, self.timed = times, True
            case Planned(plan=plan):
                result.plan = plan
            case Ended():
                result.complete, result.until_reached, self.elapsed_s = True, entry.until_reached, entry.took_s
            case TurnEnded():
                self._end_turn(entry)
            case OfServer():
                self.under_way.append(entry)
                _add(entry, result.of(entry.server))

    def summarise(self) -> ComparisonResult:
        """The result, with its numbers made from what there is by now."""
        result = self.result
        result.summary = summarise(result.servers, result.plan.batch)
        result.ratios = ratios(result.servers)
        result.took_s = self.elapsed_s
        return result

    def has_ended(self, stage: str, server: str, number: int = 0) -> bool:
        """Whether a turn need not be taken any more.

        Args:
            stage: Stage of the turn.
            server: Key of the contender.
            number: Number of the round; 0 in other stages.
        """
        return (stage, server, number) in self._ended

    def faults_at_gate(self, server: str) -> Sequence[Finding]:
        """What went wrong at a gate that has ended; a contender with such a fault is not measured."""
        return self._ended[GATE, server, 0].faults

    @property
    def rounds_begun(self) -> int:
        """The number of the last round in which a contender's turn has ended; 0 where there is none."""
        return max((number for stage, _, number in self._ended if stage == ROUND), default=0)

    def resume(self, at: str) -> None:
        """Go on with it, from the turn that was not ended.

        Args:
            at: When, UTC, ISO 8601.
        """
        if self.timed:  # else nothing of it is of an earlier sitting
            self.result.resumed.append(at)
        self.under_way = []

    def _end_turn(self, entry: TurnEnded) -> None:
        found = self.result.of(entry.server)
        if entry.stage == ROUND:
            self.rounds_s += entry.took_s
            runs = [one for one in self.under_way if isinstance(one, RunEnded)]
            if not entry.faults:
                found.rounds.append(_round(entry.round, runs))
        found.faults += entry.faults
        self._ended[entry.stage, entry.server, entry.round] = entry
        self.under_way = []
        self.elapsed_s = entry.elapsed_s


def _add(entry: OfServer, found: ServerResult) -> None:
    """Put what was measured of a contender into its result; the runs of a round wait for its end."""
    match entry:
        case Started():
            found.label, found.started = entry.label, entry.started
        case Answers():
            found.parity = entry.parity
        case Configured():
            found.message, found.effective = entry.message, entry.effective
        case RunEnded(part=part, run=run) if part == GATE:
            found.gate, found.gate_ceiling_rps = run, run.throughput_rps
        case Audited():
            found.caching = entry.caching
        case Searched():
            found.capacity = entry.capacity
        case Layered():
            found.breakdown = entry.breakdown


def _round(number: int, runs: list[RunEnded]) -> Round:
    """A round from its runs."""
    (opened,) = (one for one in runs if one.part == OPEN_LOOP)
    (closed,) = (one for one in runs if one.part == CLOSED_LOOP)
    curve = [one.run for one in runs if one.part == CURVE]
    return Round(number, opened.first_prediction_s, opened.run, closed.run, opened.usage, closed.usage, curve)
