"""Which of two versions of a model gave each answer, and when."""

import time
from dataclasses import dataclass, field

import numpy as np

from loadtest.errors import ParityError, UsageError
from loadtest.launch.running import RunningServer
from loadtest.servers.artifact import Artifact
from loadtest.servers.expectation import Golden, read_json

PRESENT, NEXT = 0, 1


@dataclass
class VersionWitness:
    """Takes an answer for right that is one of two versions' in full; one that mixes them is wrong.

    Attributes:
        versions: The right answers of the present and of the next version to the same requests.
        seen: When each answer was seen (reading of the monotonic clock, in seconds), and whose it was.
    """

    versions: tuple[Golden, Golden]
    seen: list[tuple[float, int]] = field(default_factory=list)
    name: str = "either version"

    def matches(self, payload: int, body: bytes) -> bool:
        """Return whether it is the answer of one of them, and keep of which."""
        for version, golden in enumerate(self.versions):
            if golden.matches(payload, body):
                self.seen.append((time.monotonic(), version))
                return True
        return False

    def first(self, version: int, since_s: float) -> float | None:
        """Seconds from a reading of the clock to the first answer of a version after it; None where there was none."""
        return next((at - since_s for at, whose in self.seen if whose == version and at >= since_s), None)

    def last(self, version: int, since_s: float) -> float | None:
        """Seconds from a reading of the clock to the last answer of a version after it; None where there was none."""
        return next((at - since_s for at, whose in reversed(self.seen) if whose == version and at >= since_s), None)


def answers_of(running: RunningServer, asked: Artifact, batch: int) -> Golden:
    """What the version that a server serves answers to the golden inputs of another one.

    Args:
        running: A server whose answers to its own golden inputs were checked.
        asked: Whose golden inputs it is asked.
        batch: Instances in one request.

    Raises:
        ParityError: If it does not answer.
        UsageError: If the two versions' answers are the same, so that nobody could tell them apart.
    """
    answers: dict[str, list[np.ndarray]] = {name: [] for name in asked.output_names}
    for body in asked.bodies(batch):
        answer = running.predict(body)
        if answer.status != 200:
            raise ParityError(f"{running.server.key} answers {answer.fault or answer.status} to golden inputs")
        for name, column in _columns(read_json(answer.body)["predictions"], asked.output_names).items():
            answers[name].append(np.asarray(column))
    golden = Golden(answers, asked.tolerance)
    present = asked.expectation(batch)
    for payload in range(len(asked.bodies(batch))):
        columns = {name: every[payload] for name, every in golden.predictions.items()}
        if present.column_distance(payload, columns) <= 2 * asked.tolerance:
            raise UsageError(
                f"versions {asked.version} and {running.artifact.version} of {asked.workload} answer the same, so "
                "nobody could tell which one answers: train the next one with another seed"
            )
    return golden


def _columns(predictions: list[object], outputs: list[str]) -> dict[str, list[object]]:
    """The outputs of several instances: bare values of a model of one output, objects of one of several."""
    if len(outputs) == 1:
        return {outputs[0]: predictions}
    return {name: [one[name] for one in predictions] for name in outputs}  # type: ignore[index]  # parity was checked
