"""A token that every client has to send, where one is set: `Authorization: Bearer <token>` (RFC 6750).

Without one, which is the default, everybody who reaches the port may ask. A token travels in the clear: outside of one
machine it needs TLS, which a proxy in front of this server brings.
"""

import hmac
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Flask, request
from werkzeug.exceptions import Unauthorized

SHORTEST = 32
"""Characters; as many hexadecimal digits are 128 bits."""

OPEN = ("/healthz",)
"""Paths that need no token: an orchestrator asks there and should know no secret."""

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # b64token of RFC 6750, section 2.1
_MAKE = "make one: python -c 'import secrets; print(secrets.token_urlsafe(32))'"


class BearerTokenError(Exception):
    """The token in the settings cannot be used; the message says what to do about it."""


class TokenRefusedError(Unauthorized):
    """The answer to a request without the token: 401, with the challenge of RFC 6750, section 3.

    Args:
        description: The reason, for the body.
        error: The reason by its name in RFC 6750; none where no token was sent.
    """

    def __init__(self, description: str, error: str = "") -> None:
        super().__init__(description)
        # Werkzeug would write the realm without the quotes that RFC 9110, section 11.5, asks for.
        self._challenge = 'Bearer realm="flask_server"' + (f', error="{error}"' if error else "")

    def get_headers(self, *arguments: Any, **named: Any) -> list[tuple[str, str]]:
        """Return the headers of the answer."""
        return [*super().get_headers(*arguments, **named), ("WWW-Authenticate", self._challenge)]


class BearerToken:
    """What is compared with the header of each request.

    Args:
        token: The token; None to ask for none.
    """

    def __init__(self, token: str | None) -> None:
        self._token = None if token is None else token.encode()

    @property
    def asked_for(self) -> bool:
        """Whether clients have to send one."""
        return self._token is not None

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "BearerToken":
        """Take the token from BEARER_TOKEN, or from the file that BEARER_TOKEN_FILE names.

        Raises:
            BearerTokenError: Both are set, the file cannot be read, or it is no token or too short a one.
        """
        token, file = settings.get("BEARER_TOKEN"), settings.get("BEARER_TOKEN_FILE")
        if token is None and file is None:
            return cls(None)
        if token is not None and file is not None:
            raise BearerTokenError("set either BEARER_TOKEN or BEARER_TOKEN_FILE, not both")
        name = "BEARER_TOKEN" if file is None else f"the file of BEARER_TOKEN_FILE, {file},"
        if file is not None:
            try:
                token = Path(str(file)).read_text(encoding="ascii").strip()
            except (OSError, ValueError) as error:
                reason = error.strerror if isinstance(error, OSError) else "not ASCII"
                raise BearerTokenError(f"{name} cannot be read ({reason})") from None
        # Flask reads a setting that looks like JSON as JSON. No message quotes the token.
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise BearerTokenError(f"{name} must hold letters, digits and any of -._~+/ (RFC 6750): {_MAKE}")
        if len(token) < SHORTEST:
            raise BearerTokenError(f"{name} has {len(token)} characters, fewer than {SHORTEST}: {_MAKE}")
        return cls(token)

    def refusal(self, path: str, authorization: str | None) -> TokenRefusedError | None:
        """Return the answer to a request that may not be answered, or None.

        Args:
            path: Path of the request.
            authorization: Its header of this name.
        """
        if self._token is None or path in OPEN:
            return None
        scheme, _, sent = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            return TokenRefusedError("send the header Authorization: Bearer <token>")
        if hmac.compare_digest(sent.strip().encode(), self._token):  # takes as long wherever the first difference is
            return None
        return TokenRefusedError("the token is not the right one", "invalid_token")

    def protect(self, app: Flask) -> None:
        """Refuse a request before it reaches a view, and one for an address that does not exist as well."""
        app.extensions["bearer_token"] = self

        @app.before_request
        def check() -> None:
            if refusal := self.refusal(request.path, request.headers.get("Authorization")):
                raise refusal
