"""The address of an endpoint, taken apart once for every wire protocol."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes, urlsplit

from loadtest.errors import UsageError


@dataclass(frozen=True)
class Address:
    """Where an endpoint is, and as whom it is asked.

    Attributes:
        host: Name or address to connect to.
        port: TCP port.
        tls: Whether to speak TLS.
        authority: Host and port as they were written.
        path: Path, as it was written.
        query: Query, without its question mark.
        fields: Header fields that the address asks for: ``authorization`` where it has credentials.
    """

    host: str
    port: int
    tls: bool
    authority: str
    path: str
    query: str
    fields: Mapping[str, str]

    @classmethod
    def parse(cls, url: str, schemes: tuple[str, str], form: str) -> "Address":
        """Take an address apart.

        ``user:password@`` before the host is sent as HTTP Basic authentication (RFC 7617), as curl and browsers do.

        Args:
            url: The address.
            schemes: Its scheme without TLS, and the one with it.
            form: What it should look like, for the error message.

        Raises:
            UsageError: If it is of another form.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            why = "" if "@" in url else f": {error}"  # it may quote what was taken for the port, or for the host
            raise UsageError(f"{for_refusal(url)!r} is not a usable address{why}") from error
        if parts.scheme not in schemes or not parts.hostname:
            raise UsageError(f"{for_refusal(url)!r} is not {form}")
        tls = parts.scheme == schemes[1]
        credentials, at, authority = parts.netloc.rpartition("@")
        return cls(
            host=parts.hostname,
            port=(443 if tls else 80) if port is None else port,
            tls=tls,
            authority=authority,
            path=parts.path,
            query=parts.query,
            fields={"authorization": _basic(credentials)} if at else {},
        )


def without_credentials(url: str) -> str:
    """A usable address as results, tables and messages may hold it."""
    return re.sub(r"(?<=://)[^/?#]*@", "", url)


def for_refusal(url: str) -> str:
    """An address as the message that refuses it may hold it.

    A password may hold what ends it early, such as a slash: so all is left out up to the last ``@``, which may take a
    part of the path with it.
    """
    return re.sub(r"^([^:/?#@]*://)?.*@", r"\1", url, flags=re.DOTALL)


def _basic(credentials: str) -> str:
    user, _, password = credentials.partition(":")
    return "Basic " + base64.b64encode(unquote_to_bytes(user) + b":" + unquote_to_bytes(password)).decode()
