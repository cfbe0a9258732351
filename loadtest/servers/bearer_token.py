"""The token that a server asks for, taken from where the server takes it; each request of the load tester brings it."""

from collections.abc import Mapping
from pathlib import Path

from loadtest.errors import UsageError


def token_headers(variable: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the header that goes with every request to a server; none where it asks for no token.

    Args:
        variable: The variable that sets the server's token; with ``_FILE`` behind it, one that names a file with it.
            Nothing for a server that has no such variable.
        environment: The variables that the server is started with.

    Raises:
        UsageError: If the file cannot be read, or what it holds is no token.
    """
    if not variable:
        return {}
    if token := environment.get(variable, ""):
        return bearer(token, variable)
    file = environment.get(f"{variable}_FILE", "")
    return read_bearer(Path(file)) if file else {}


def read_bearer(file: Path) -> dict[str, str]:
    """Return the header with the token that a file holds.

    Raises:
        UsageError: If it cannot be read, or holds no token.
    """
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the token in {file}: {error}") from error
    return bearer(token, str(file))


def bearer(token: str, place: str) -> dict[str, str]:
    """Return the header with a token (RFC 6750, section 2.1).

    Args:
        token: The token.
        place: Where it stands; the message names that, and never the token.

    Raises:
        UsageError: If it is not one word of printable ASCII.
    """
    if not token or not all("!" <= character <= "~" for character in token):
        raise UsageError(f"{place} must hold a token, one word of printable ASCII, and nothing else")
    return {"authorization": f"Bearer {token}"}
