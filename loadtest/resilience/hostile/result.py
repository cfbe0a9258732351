"""What a server made of a table of hostile requests, as a result file holds it."""

from collections import Counter
from dataclasses import dataclass

from loadtest.records import Number

DESCRIPTORS_LIMIT = 10
"""So many open descriptors more than before are no leak: a table opens more than a thousand connections."""


@dataclass(frozen=True)
class HostileAnswer:
    """What became of one request.

    Attributes:
        category: What it belongs to.
        name: What it was.
        outcome: One of `loadtest.resilience.hostile.request.OUTCOMES`; the worst one where it was sent several times.
        status: Of HTTP or gRPC; -1 where there was none.
        said: The beginning of the reason, or of what else came.
        seconds: Until the answer, or the end.
        allowed: Whether code of this project may end it so.
        why: Why it may, where it is no refusal.
    """

    category: str
    name: str
    outcome: str
    status: int
    said: str
    seconds: Number
    allowed: bool
    why: str = ""


@dataclass(frozen=True)
class Footprint:
    """What a server holds, all of its processes together.

    Attributes:
        memory_mib: Memory in MiB: of local processes what each has for itself, of a container all of it.
        descriptors: Open files and connections; -1 where they are not known.
    """

    memory_mib: Number
    descriptors: int


@dataclass(frozen=True)
class Aftermath:
    """How a server was after some requests.

    Attributes:
        after: The category of requests, or nothing for the whole table.
        right: Whether golden answers were right at once.
        recovered_s: Seconds until they were; 0 where they were at once, NaN where they never were.
        before: What it held before.
        held: What it held afterwards, a settling time given.
    """

    after: str
    right: bool
    recovered_s: Number
    before: Footprint | None
    held: Footprint | None

    @property
    def memory_growth_mib(self) -> float:
        """By how much its memory grew; NaN where that is not known."""
        return self.held.memory_mib - self.before.memory_mib if self.held and self.before else float("nan")

    @property
    def descriptor_growth(self) -> int | None:
        """How many more descriptors are open; None where that is not known."""
        if self.held is None or self.before is None or min(self.held.descriptors, self.before.descriptors) < 0:
            return None
        return self.held.descriptors - self.before.descriptors


@dataclass(frozen=True)
class HostileResult:
    """A table of hostile requests to one server over one wire.

    Attributes:
        server: Key of the server.
        label: What tables call it.
        wire: ``http`` or ``grpc``.
        own_code: Whether it is code of this project, which is held to the rules.
        answers: What became of each request, in the order of the table.
        categories: How the server was after each category.
        whole: How it was after all of them.
        deaths: How it died, and after which request; it was started again each time.
    """

    server: str
    label: str
    wire: str
    own_code: bool
    answers: tuple[HostileAnswer, ...]
    categories: tuple[Aftermath, ...]
    whole: Aftermath
    deaths: tuple[str, ...] = ()

    def outcomes(self, category: str | None = None) -> Counter[str]:
        """How often each outcome was, in one category or in all."""
        return Counter(one.outcome for one in self.answers if category in (None, one.category))

    @property
    def broken(self) -> list[HostileAnswer]:
        """The requests that code of this project may not end so; of other servers they are only told."""
        return [one for one in self.answers if not one.allowed]

    @property
    def failures(self) -> list[str]:
        """What no server may do, and what code of this project may not: a sentence each; none where all is well."""
        failures = [f"died: {death}" for death in self.deaths]
        failures += [f"golden answers were wrong after {one.after}" for one in self.categories if not one.right]
        if not self.whole.right:
            failures.append("golden answers were wrong after all of it")
        if self.own_code:
            failures += [f"{one.category}, {one.name}: {one.outcome} ({_told(one)})" for one in self.broken]
            if (growth := self.whole.descriptor_growth or 0) > DESCRIPTORS_LIMIT:
                failures.append(f"{growth} descriptors more are open than before")
        return failures


def _told(answer: HostileAnswer) -> str:
    status = f"status {answer.status}" if answer.status >= 0 else "no status"
    return f"{status}: {answer.said}" if answer.said else status
