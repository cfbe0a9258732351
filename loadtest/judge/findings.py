"""Findings: what is said of a run or of a server, as a code with its values. `loadtest.report.wording` words them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from loadtest.errors import LoadtestError, MeasurementError

NOTHING_DUE = "nothing_due"
WRONG_ANSWERS = "wrong_answers"
NONE_CORRECT = "none_correct"
NO_FILE_DESCRIPTORS = "no_file_descriptors"
CLIENT_CPU = "client_cpu"
SENT_LATE = "sent_late"
RECEIVED_LATE = "received_late"
STEAL = "steal"
FOREIGN_LOAD = "foreign_load"
NOT_AS_NAMED = "not_as_named"
SENT_OTHERWISE = "sent_otherwise"
SENT_SLOWER = "sent_slower"
"""Reasons for which a run is invalid."""

NEVER_SENT = "never_sent"
QUEUE_GREW = "queue_grew"
REQUESTS_FAILED = "requests_failed"
SCHEDULE_OFF_RATE = "schedule_off_rate"
SENDS_WAITED = "sends_waited"
DEPENDENT = "dependent"
NOT_WARM = "not_warm"
NOT_STEADY = "not_steady"
TOO_FEW_ANSWERS = "too_few_answers"
TAKEN_AGAIN = "taken_again"
"""What a reader must know of a run."""

FAILED = "failed"
NOTHING_ANSWERED = "nothing_answered"
GATE_FAILED = "gate_failed"
RATE_NOT_OFFERED = "rate_not_offered"
RATE_LIMIT = "rate_limit"
"""What went wrong with a server, or with the client in front of it."""

TOLD = "told"
"""A sentence out of an old result file."""

CACHED = "cached"
NOT_CACHED = "not_cached"
CACHING_NOT_CERTAIN = "caching_not_certain"
"""What the caching audit found of a server."""

NO_LAYERS = "no_layers"
NO_COUNTERS = "no_counters"
COUNTED_OTHERWISE = "counted_otherwise"
LAYERS_BEYOND_CPU = "layers_beyond_cpu"
LAYERS_NOT_ALL = "layers_not_all"
"""Why it is not told where a server's CPU time goes, layer by layer."""

NO_SERVER_TIMES = "no_server_times"
"""Why a server's own times are not told beside those of the client."""

OVERLOAD = (NEVER_SENT, QUEUE_GREW)

Value = float | int | str | dict[str, int]


@dataclass(frozen=True)
class Finding:
    """One finding.

    Attributes:
        code: Which, one of this module's.
        values: Its numbers by name, with the unit in the name. Shares are from 0 to 1.
    """

    code: str
    values: dict[str, Value] = field(default_factory=dict)

    def number(self, name: str) -> float:
        """A value that is a number."""
        value = self.values[name]
        assert isinstance(value, float | int)
        return float(value)

    def counts(self, name: str) -> Mapping[str, int]:
        """A value that holds counts by name."""
        value = self.values[name]
        assert isinstance(value, dict)
        return value


def failure(error: LoadtestError) -> list[Finding]:
    """What became of a server whose measurement ended with this error."""
    why = error.findings if isinstance(error, MeasurementError) else ()
    return [Finding(FAILED, {"message": str(error)}), *why]
