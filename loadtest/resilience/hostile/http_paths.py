"""Addresses and methods that are not there, and header fields that lie about the body."""

import gzip
import zlib
from collections.abc import Iterator

from loadtest.resilience.hostile.asked import Asked
from loadtest.resilience.hostile.http_bytes import HOST, JSON, head, post
from loadtest.resilience.hostile.http_framing import UNREADABLE
from loadtest.resilience.hostile.request import ANSWERED, HostileRequest, whole

PATHS, METHODS, CODINGS = "HTTP: paths", "HTTP: methods", "HTTP: codings"


def path_requests(asked: Asked) -> Iterator[HostileRequest]:
    """All of them."""
    yield from _paths(asked)
    yield from _methods(asked)
    yield from _codings(asked)


def _paths(asked: Asked) -> Iterator[HostileRequest]:
    path, body, model = asked.path, asked.body, asked.artifact.workload
    start, _, verb = path.rpartition(model)
    for name, target in (
        ("an unknown model", f"{start}no_such_model{verb}"),
        ("a model of no name", f"{start}{verb}"),
        ("a model of 8,000 letters", f"{start}{'m' * 8000}{verb}"),
        ("a model named like markup", f"{start}%3Cscript%3Ealert(1)%3C%2Fscript%3E{verb}"),
        ("a model named like a template", f"{start}%7B%7B7*7%7D%7D{verb}"),
        ("a model named like SQL", f"{start}x'%20OR%20'1'='1{verb}"),
        ("an unknown version", f"{start}{model}/versions/99{verb}"),
        ("a negative version", f"{start}{model}/versions/-1{verb}"),
        ("a version beyond 64 bits", f"{start}{model}/versions/{2**64}{verb}"),
        ("a version of 5,000 digits", f"{start}{model}/versions/{'9' * 5000}{verb}"),
        ("an unknown label", f"{start}{model}/labels/none{verb}"),
        ("an unknown verb", f"/v1/models/{model}:no_such_verb"),
        ("a path out of the folder", "/../../../../etc/passwd"),
        ("the same, encoded", "/%2e%2e/%2e%2e/%2e%2e/etc/passwd"),
        ("the same, encoded twice", "/%252e%252e/%252e%252e/etc/passwd"),
        ("the same with backslashes", "/..\\..\\..\\etc\\passwd"),
        ("the same behind the model", f"{path}/../../../../etc/passwd"),
        ("the same as the model", f"{start}..%2f..%2f..%2fetc%2fpasswd{verb}"),
        ("a NUL byte behind it", f"{path}%00"),
        ("a line break in it", f"{path}%0d%0aX-Injected:%201"),
        ("UTF-8 that is none", f"{start}%ff%fe{verb}"),
        ("UTF-8 longer than it need be", f"{start}%c0%ae%c0%ae{verb}"),
        ("an encoding that is none", f"{start}%zz{verb}"),
        ("the wrong case", path.upper()),
        ("a slash too many", f"{path}/"),
        ("the root", "/"),
        ("a path of 60,000 letters", "/" + "a" * 60_000),
        ("5,000 folders deep", "/a" * 5000),
    ):
        yield HostileRequest(name, PATHS, whole(post(target, body)), _outside(name), _why(name))
    yield HostileRequest(
        "bytes beyond ASCII", PATHS, whole(post(start + "\xff\xe9" + verb, body)), UNREADABLE, "no URI (RFC 3986, 2)"
    )
    other = "the authority may be any (RFC 9112, 3.2.2); a query may be passed over"
    for name, target in (
        ("another host in the target", f"http://example.invalid{path}"),
        ("a query", f"{path}?signature=none&signature=none"),
        ("a query of 50,000 letters", f"{path}?{'q' * 50_000}"),
        ("a query that encodes nothing", f"{path}?%zz=%"),
        ("a fragment", f"{path}#part"),
        ("two slashes", f"/{path}"),
    ):
        yield HostileRequest(name, PATHS, whole(post(target, body)), UNREADABLE | {ANSWERED}, other)


def _outside(name: str) -> frozenset[str]:
    return UNREADABLE if _why(name) else frozenset()


def _why(name: str) -> str:
    if "60,000" in name:
        return "longer than the server reads: 414 (RFC 9110, 15.5.15)"
    return "a backslash is none of a URI's characters (RFC 3986, 2)" if "backslash" in name else ""


def _methods(asked: Asked) -> Iterator[HostileRequest]:
    path, body, length = asked.path, asked.body, f"Content-Length: {len(asked.body)}"
    for method in ("GET", "PUT", "DELETE", "PATCH", "PROPFIND"):
        yield HostileRequest(method, METHODS, whole(head(f"{method} {path} HTTP/1.1", HOST, JSON, length) + body))
    parsed = "a method that a parser does not know it refuses by itself (RFC 9110, 15.6.2)"
    for name, method in (
        ("TRACE", "TRACE"),
        ("a method nobody has", "FROBNICATE"),
        ("a method of 10,000 letters", "M" * 10_000),
        ("a method with a NUL byte", "PO\0ST"),
        ("no method", ""),
    ):
        yield HostileRequest(
            name, METHODS, whole(head(f"{method} {path} HTTP/1.1", HOST, JSON, length) + body), UNREADABLE, parsed
        )
    yield HostileRequest(
        "post, in small letters",
        METHODS,
        whole(head(f"post {path} HTTP/1.1", HOST, JSON, length) + body),
        UNREADABLE | {ANSWERED},
        "no method, for case counts (RFC 9110, 9.1), but Flask reads it in any case",
    )
    yield HostileRequest(
        "OPTIONS",
        METHODS,
        whole(head(f"OPTIONS {path} HTTP/1.1", HOST)),
        frozenset({ANSWERED}),
        "what is allowed may be told (RFC 9110, 9.3.7)",
    )
    yield HostileRequest(
        "OPTIONS *",
        METHODS,
        whole(head("OPTIONS * HTTP/1.1", HOST)),
        frozenset({ANSWERED}) | UNREADABLE,
        "the server as a whole may answer (RFC 9112, 3.2.4)",
    )
    yield HostileRequest(
        "CONNECT",
        METHODS,
        whole(head("CONNECT example.invalid:443 HTTP/1.1", "Host: example.invalid:443")),
        UNREADABLE,
        "for proxies (RFC 9112, 3.2.3)",
    )


def _codings(asked: Asked) -> Iterator[HostileRequest]:
    path, body, example = asked.path, asked.body, gzip.compress(asked.body)
    known = "a coding that the server knows may be undone, another is a 415 or passed over (RFC 9110, 8.4)"
    types = "the type of a body may be guessed, or passed over where only one is served (RFC 9110, 8.3)"
    yield HostileRequest(
        "gzip", CODINGS, whole(post(path, example, "Content-Encoding: gzip")), frozenset({ANSWERED}), known
    )
    for name, content, coding in (
        ("gzip that is none", b"x" * 100, "gzip"),
        ("gzip cut short", example[: len(example) // 2], "gzip"),
        ("gzip of a wrong check sum", example[:-8] + bytes(8), "gzip"),
        ("gzip in gzip", gzip.compress(example), "gzip, gzip"),
        ("gzip of an empty document", gzip.compress(b""), "gzip"),
    ):
        yield HostileRequest(name, CODINGS, whole(post(path, content, f"Content-Encoding: {coding}")))
    for name, content, coding in (
        ("JSON that is declared as gzip", body, "gzip"),
        ("deflate", zlib.compress(body), "deflate"),
        ("Brotli", b"\x1b\x00\x00", "br"),
        ("a coding nobody has", body, "no-such-coding"),
        ("a coding that is a path", body, "../../etc/passwd"),
    ):
        allowed = frozenset({ANSWERED}) if content is body else frozenset[str]()
        yield HostileRequest(name, CODINGS, whole(post(path, content, f"Content-Encoding: {coding}")), allowed, known)
    for name, value in (
        ("XML", "application/xml"),
        ("a form", "application/x-www-form-urlencoded"),
        ("a form of parts", "multipart/form-data; boundary=x"),
        ("a form of parts without a boundary", "multipart/form-data"),
        ("another character set", "application/json; charset=utf-16"),
        ("a character set nobody has", "application/json; charset=no-such"),
        ("nonsense", ";;;===,,,"),
        ("a type of 60,000 letters", "a" * 60_000),
        ("NumPy's", "application/x-npy"),
        ("octets", "application/octet-stream"),
        ("a picture", "image/png"),
    ):
        content_type = f"Content-Type: {value}".encode()
        yield HostileRequest(
            f"declared as {name}",
            CODINGS,
            whole(post(path, body, content_type=content_type)),
            frozenset({ANSWERED}) | (UNREADABLE if "60,000" in name else frozenset()),
            types,
        )
    yield HostileRequest(
        "no type", CODINGS, whole(post(path, body, content_type=b"X-None: 1")), frozenset({ANSWERED}), types
    )
