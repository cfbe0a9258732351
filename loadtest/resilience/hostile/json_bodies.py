"""Bodies that are no JSON, or JSON that says nothing a model can answer; over gRPC, where that carries JSON."""

import random
from collections.abc import Iterator
from typing import Any, NamedTuple

from loadtest.resilience.hostile.asked import Asked
from loadtest.resilience.hostile.request import ANSWERED

DEEP = 1_000_000
"""Levels of nesting: a reader that calls itself for each of them overflows its stack."""

UNIQUE = "names in an object SHOULD be unique: a reader may take one of the values (RFC 8259, 4)"
RANGE = "a reader sets the limits of numbers (RFC 8259, 6): to be 0, or as large as the type holds, is one of them"
NAN = "no JSON (RFC 8259, 6), but TensorFlow Serving's API reads and writes it"
MORE = "a key that the API does not know may be passed over"
BOM = "a byte order mark may be ignored (RFC 8259, 8.1)"
LENIENT = "a reader may take more than JSON (RFC 8259, 9)"


class Body(NamedTuple):
    """A body.

    Attributes:
        category: ``malformed``, ``numbers``, ``types``, ``shapes`` or ``large``, after ``JSON:``.
        name: What it is.
        content: Its bytes.
        allowed: Why it may be answered; nothing where it may not.
    """

    category: str
    name: str
    content: bytes
    allowed: str = ""

    @property
    def accepts(self) -> frozenset[str]:
        """What may become of it, beside a refusal."""
        return frozenset({ANSWERED} if self.allowed else {})


def json_bodies(asked: Asked) -> Iterator[Body]:
    """All of them, small to large."""
    for category, bodies in (
        ("malformed", _malformed),
        ("numbers", _numbers),
        ("types", _types),
        ("shapes", _shapes),
        ("large", _large),
    ):
        for name, content, *allowed in bodies(asked):
            yield Body(f"JSON: {category}", name, content, *allowed)


def _malformed(asked: Asked) -> Iterator[tuple[Any, ...]]:
    body = asked.body
    yield "empty", b""
    yield "white space", b" \r\n\t "
    yield "an opening brace", b"{"
    yield "cut in half", body[: len(body) // 2]
    yield "without its last brace", body[:-1]
    yield "text after its end", body + b" x"
    yield "twice", body + body
    yield "a comma after the last element", body[:-2] + b",]}"
    yield "single quotes", body.replace(b'"', b"'")
    yield "a comment", body[:-1] + b"/* none */}", LENIENT
    yield "a name without quotes", body.replace(b'"instances"', b"instances")
    yield "a byte order mark", b"\xef\xbb\xbf" + body, BOM
    yield "UTF-16", body.decode().encode("utf-16")
    yield "UTF-8 that is none", body[:-1] + b',"\xff\xfe":1}'
    yield "UTF-8 longer than it need be", body[:-1] + b',"\xc0\xaf":1}'
    yield "UTF-8 of a surrogate", body[:-1] + b',"\xed\xa0\x80":1}'
    yield "half of a surrogate pair", body[:-1] + rb',"\ud800":1}', MORE
    yield "a NUL byte", body[:10] + b"\0" + body[10:]
    yield "a line break in a string", body[:-1] + b',"a\nb":1}', LENIENT
    yield "random bytes", random.Random(1).randbytes(1000)
    yield "a form", b"instances=1&b=2"
    yield (
        "XML of a billion laughs",
        b'<?xml version="1.0"?><!DOCTYPE z [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><z>&b;</z>',
    )
    yield "YAML that makes an object", b'!!python/object/apply:os.system ["true"]'
    yield "a pickle", b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R."
    yield "a million opening brackets", b"[" * DEEP
    yield "nested a million deep", b'{"instances":' + b"[" * DEEP + b"]" * DEEP + b"}"
    yield "objects nested a million deep", b'{"instances":' * DEEP + b"1" + b"}" * DEEP


def _numbers(asked: Asked) -> Iterator[tuple[Any, ...]]:
    text = asked.inputs[0]["dtype"] == "string"
    for name, leaf, allowed in (
        ("NaN", "NaN", NAN),
        ("Infinity", "Infinity", NAN),
        ("-Infinity", "-Infinity", NAN),
        ("1e400", "1e400", ""),
        ("-1e400", "-1e400", ""),
        ("1e39, beyond float32", "1e39", RANGE),
        ("1e-400", "1e-400", RANGE),
        ("an integer of 5,000 digits", "1" * 5000, ""),
        ("100,000 digits after the point", "0." + "1" * 100_000, RANGE),
        ("2**64", str(2**64), RANGE),
        ("hexadecimal", "0x10", ""),
        ("a leading zero", "01", ""),
        ("a leading plus", "+1", ""),
        ("no digit before the point", ".5", ""),
        ("no digit after the point", "1.", ""),
        ("no exponent", "1e", ""),
        ("two minus signs", "--1", ""),
        ("a comma in it", "1_000", ""),
    ):
        yield name, asked.with_leaf(leaf), allowed if not text or allowed == NAN else ""


def _types(asked: Asked) -> Iterator[tuple[Any, ...]]:
    name, number = asked.inputs[0]["name"], 7 if asked.inputs[0]["dtype"] == "string" else "7"
    for what in ("null", "true", "1", '"instances"', "[]", "{}"):
        yield f"the whole of it is {what}", what.encode()
    for what in ("null", "true", "1", '"a"', "{}", "[]", "[null]", "[[]]"):
        yield f"instances are {what}", b'{"instances":%b}' % what.encode()
    for what in ("null", "true", "{}", '{"a":1}', "[1]", '"\\u0000"', str(number) if number == 7 else '"7"'):
        yield f"{what} in the place of a value", asked.with_leaf(what)
    yield "base64 that is none", asked.with_input({"b64": "!!!"})
    yield "base64 of nothing", asked.with_input({"b64": ""})
    yield "an input of another name", asked.instances({"no_such_input": asked.input})
    yield "an input too many", asked.instances({name: asked.input, "__class__": 1})
    yield "an input named like a path", asked.instances({"../../etc/passwd": 1})
    yield "instances and inputs", asked.body[:-1] + b',"inputs":[1]}', MORE
    yield "an unknown signature", asked.body[:-1] + b',"signature_name":"none"}', MORE
    yield "a signature that is a number", asked.body[:-1] + b',"signature_name":7}', MORE
    yield "duplicate keys", asked.body[:-1] + b"," + asked.body[1:], UNIQUE
    yield "duplicate keys, the first one bad", b'{"instances":7,' + asked.body[1:], UNIQUE
    yield "duplicate keys, the last one bad", asked.body[:-1] + b',"instances":7}', UNIQUE


def _shapes(asked: Asked) -> Iterator[tuple[Any, ...]]:
    value = asked.input
    yield "a dimension too many", asked.with_input([value])
    yield "three dimensions too many", asked.with_input([[[value]]])
    yield "100 dimensions", asked.with_leaf("[" * 100 + "1" + "]" * 100)
    yield "10,000 dimensions", asked.with_leaf("[" * 10_000 + "1" + "]" * 10_000)
    yield "an empty instance", asked.with_input([])
    yield "one instance right, one empty", b'{"instances":[' + asked.body[14:-2] + b",[]]}"
    yield "one instance right, one null", b'{"instances":[' + asked.body[14:-2] + b",null]}"
    yield "a million empty instances", b'{"instances":[' + b"[]," * DEEP + b"[]]}"
    if isinstance(value, list):
        yield "a dimension too few", asked.with_input(value[0])
        yield "no dimension", asked.with_input(1)
        yield "ragged", asked.with_input([value[0], [value[0]], *value[2:]])
        yield (
            "the last row shorter",
            asked.with_input([*value[:-1], value[-1][:-1] if isinstance(value[-1], list) else []]),
        )
        yield "far too long", asked.with_input(value * max(2, 500_000 // len(asked.body)))
        yield "a null among its rows", asked.with_input([*value[:-1], None])


def _large(asked: Asked) -> Iterator[tuple[Any, ...]]:
    body = asked.body
    yield "a string of 5 MB", asked.with_leaf('"' + "x" * 5_000_000 + '"')
    yield "a key of 5 MB", body[:-1] + b',"' + b"k" * 5_000_000 + b'":1}', MORE
    yield "200,000 keys", body[:-1] + b"".join(b',"k%d":1' % at for at in range(200_000)) + b"}", MORE
    yield "200,000 times the same key", body[:-1] + b',"a":1' * 200_000 + b"}", UNIQUE
    yield "five million empty lists", b'{"instances":[' + b"[]," * 5_000_000 + b"[]]}"
    yield "five million empty objects", b'{"instances":[' + b"{}," * 5_000_000 + b"{}]}"
    yield "5 MB of white space", body[:1] + b" " * 5_000_000 + body[1:], "white space is allowed (RFC 8259, 2)"
    yield "a million zeros before a number", asked.with_leaf("0" * 1_000_000 + "1")
    yield "escapes of a million characters", asked.with_leaf('"' + "\\u0041" * 1_000_000 + '"')
