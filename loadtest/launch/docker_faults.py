"""What Docker's error messages mean, and what to do about them."""

import re
from dataclasses import dataclass

EMBEDDED = "COMPOSE_FILE=compose.yaml:compose.embedded.yaml"


@dataclass(frozen=True)
class Remedy:
    """A known failure.

    Attributes:
        pattern: Found in what Docker says; its groups fill the text.
        text: What is wrong and what to do.
    """

    pattern: re.Pattern[str]
    text: str


def _remedy(pattern: str, text: str) -> Remedy:
    return Remedy(re.compile(pattern, re.IGNORECASE | re.DOTALL), text)


REMEDIES = (
    _remedy(
        r"permission denied.{0,80}docker.{0,20}(?:sock|daemon)",
        "this user may not talk to Docker: add it to the group docker and log in again, or use rootless Docker",
    ),
    _remedy(
        r"cannot connect to the docker daemon|error during connect|error while fetching server api version"
        r"|failed to connect to the docker api",
        "the Docker daemon does not answer: start Docker Desktop, or the service (sudo systemctl start docker)",
    ),
    _remedy(
        r"unknown shorthand flag: 'f' in -f|'compose' is not a docker command|unknown command: docker compose",
        "Docker Compose v2 is needed and `docker compose` is not there (docker-compose with a hyphen is v1, which "
        "cannot read compose.yaml): install the package docker-compose-plugin",
    ),
    _remedy(
        r"(?:bind for|listen tcp[46]?) [\d.\[\]:]*:(\d+).{0,60}(?:already allocated|already in use)",
        "port {0} is in use: end the program that has it, or set another port in .env (.env.example lists them)",
    ),
    _remedy(
        r"range of cpus is from|requested cpus are not available",
        "the stack asks for cores that this machine does not have: set SERVER_CPUS and SERVER_CPUSET in .env",
    ),
    _remedy(r"no space left on device", "the disk is full: `docker system df` shows what Docker keeps there"),
    _remedy(
        r"failed to solve|failed to receive status",
        "an image cannot be built; without internet, build from a folder of wheels (docs/compose.md)",
    ),
    _remedy(
        r"pull access denied|manifest unknown|no matching manifest|toomanyrequests|failed to resolve reference"
        r"|registry|dial tcp|unauthorized",
        "an image cannot be pulled: check the network and `docker login`, load it with `docker load`, or put the "
        f"embedded server in TensorFlow Serving's place with {EMBEDDED}",
    ),
)


def explain(said: str, action: str) -> str:
    """Explain a failure of Docker.

    Args:
        said: What Docker printed.
        action: What was tried, for example ``docker compose up``.

    Returns:
        The remedy with Docker's own last line, or the last lines alone where the failure is not a known one.
    """
    lines = [line.strip() for line in said.splitlines() if line.strip()] or ["it said nothing"]
    for remedy in REMEDIES:
        found = remedy.pattern.search(said)
        if found:
            return f"{remedy.text.format(*found.groups())} ({action}: {lines[-1]})"
    tail = "\n".join(f"  | {line}" for line in lines[-12:])
    return f"{action} failed; its last lines:\n{tail}"
