"""What cannot be probed: dated facts with their sources, from the facts.toml of a server's folder."""

import datetime
import tomllib
from dataclasses import dataclass

from loadtest.errors import UsageError
from loadtest.servers.server_folder import Server


@dataclass(frozen=True)
class LookedUpFact:
    """A statement about a server that cannot be probed, with its source and its date.

    Attributes:
        name: What it is about; ``arm64`` fills the capability of that name.
        text: The fact, one sentence.
        source: Where it stands: an address, or a command that shows it.
        date: Day on which it was looked up.
        supported: For a fact that is a capability: whether the server has it.
    """

    name: str
    text: str
    source: str
    date: datetime.date
    supported: bool | None = None


def read_facts(server: Server) -> tuple[LookedUpFact, ...]:
    """Read a server's facts; none where its folder has no facts.toml.

    Raises:
        UsageError: If a fact lacks its source or date, or the file cannot be read.
    """
    path = server.folder / "facts.toml"
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("fact", [])
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    facts = []
    for entry in entries:
        try:
            fact = LookedUpFact(**entry)
        except TypeError as error:
            raise UsageError(f"{path}: a fact has name, text, source and date: {error}") from error
        if not isinstance(fact.date, datetime.date) or not fact.source:
            raise UsageError(f"{path}: the fact {fact.name!r} needs a source and a date such as 2026-01-31")
        facts.append(fact)
    return tuple(facts)
