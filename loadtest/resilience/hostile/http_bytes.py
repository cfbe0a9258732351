"""HTTP/1.1 requests as bytes, right or wrong."""

HOST = b"Host: localhost"
JSON = b"Content-Type: application/json"
CRLF = b"\r\n"


def head(first: str | bytes, *fields: str | bytes) -> bytes:
    """A request line and header fields as they are given, and the empty line after them."""
    lines = [line.encode("latin-1") if isinstance(line, str) else line for line in (first, *fields)]
    return CRLF.join([*lines, b"", b""])


def post(path: str, body: bytes, *fields: str | bytes, content_type: bytes = JSON) -> bytes:
    """A well-formed request with a body of declared length.

    Args:
        path: Target, as it stands in the request line.
        body: Body.
        fields: Further header fields.
        content_type: The field that says what the body is.
    """
    return framed(path, body, f"Content-Length: {len(body)}", content_type, *fields)


def framed(path: str, body: bytes, *fields: str | bytes) -> bytes:
    """A request with the header fields that are given, beside the host, and what follows them."""
    return head(f"POST {path} HTTP/1.1", HOST, *fields) + body


def chunk(data: bytes) -> bytes:
    """A chunk (RFC 9112, 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST = b"0\r\n\r\n"
"""What ends a body of chunks."""
