"""Tensors in binary over HTTP, for the servers that take them: NumPy's files, octets and pictures."""

from collections.abc import Iterator
from json import dumps
from struct import pack
from zlib import compress, crc32

from loadtest.resilience.hostile.asked import Asked
from loadtest.resilience.hostile.http_bytes import post
from loadtest.resilience.hostile.npy_files import npy_files
from loadtest.resilience.hostile.request import ANSWERED, HostileRequest, whole

NPY, OCTETS, PNG, JPEG = "binary: .npy", "binary: octets", "binary: PNG", "binary: JPEG"


def tensor_requests(asked: Asked) -> Iterator[HostileRequest]:
    """Those of the formats that the server speaks and the model takes."""
    if "npy" in asked.wires:
        content_type = b"Content-Type: application/x-npy"
        for name, content, allowed in npy_files(asked):
            sent = whole(post(asked.path, content, content_type=content_type))
            yield HostileRequest(name, NPY, sent, frozenset({ANSWERED} if allowed else {}), allowed)
    if "octets" in asked.wires:
        yield from _octets(asked)
    if "png" in asked.wires and asked.artifact.pictures:
        yield from _pictures(asked)


def _octets(asked: Asked) -> Iterator[HostileRequest]:
    name, content = next(iter(asked.tensors.items()))
    content = content[:1]
    raw = content.tobytes()
    datatype = {"<f4": "FP32", "<f8": "FP64", "<i8": "INT64", "<i4": "INT32", "|u1": "UINT8"}.get(
        content.dtype.str, "FP32"
    )

    def tensor(**changed: object) -> dict[str, object]:
        right: dict[str, object] = {
            "name": name,
            "shape": list(content.shape),
            "datatype": datatype,
            "parameters": {"binary_data_size": len(raw)},
        }
        return right | changed

    def sent(what: str, declared: object, octets: bytes = raw, length: str = "") -> HostileRequest:
        header = declared if isinstance(declared, bytes) else dumps({"inputs": declared}).encode()
        field = f"Inference-Header-Content-Length: {length or len(header)}"
        body = post(asked.path, header + octets, field, content_type=b"Content-Type: application/octet-stream")
        return HostileRequest(what, OCTETS, whole(body))

    yield sent("fewer octets than the shape takes", [tensor()], raw[:-1])
    yield sent("more octets than the shape takes", [tensor()], raw + b"x")
    yield sent("a size that is not that of the octets", [tensor(parameters={"binary_data_size": len(raw) - 4})])
    yield sent("a negative size", [tensor(parameters={"binary_data_size": -1})])
    yield sent("a size of 2**63", [tensor(parameters={"binary_data_size": 2**63})])
    yield sent("no size", [tensor(parameters={})])
    yield sent("a dimension of 2**62", [tensor(shape=[2**62, *content.shape[1:]])])
    yield sent("dimensions whose product overflows", [tensor(shape=[2**32, 2**32, 2**32])])
    yield sent("a negative dimension", [tensor(shape=[-1, *content.shape[1:]])])
    yield sent("no instance", [tensor(shape=[0, *content.shape[1:]], parameters={"binary_data_size": 0})], b"")
    yield sent("a shape that is no list", [tensor(shape="8x8")])
    yield sent("a shape of fractions", [tensor(shape=[1.5, 8])])
    yield sent("a type nobody has", [tensor(datatype="FP7")])
    yield sent("another type", [tensor(datatype="BOOL")])
    yield sent("an input of another name", [tensor(name="none")])
    yield sent("the same input twice", [tensor(), tensor()], raw + raw)
    yield sent("no inputs", [])
    yield sent("inputs that are no list", 7)
    yield sent("a header that is no JSON", b"{" * 50)
    yield sent("a header nested a million deep", b"[" * 1_000_000)
    yield sent("a header longer than the body", [tensor()], length=str(10**9))
    yield sent("a header of negative length", [tensor()], length="-1")
    yield sent("a header of a length that is no number", [tensor()], length="abc")
    yield sent("a header of 5,000 digits length", [tensor()], length="9" * 5000)


def _pictures(asked: Asked) -> Iterator[HostileRequest]:
    def block(kind: bytes, content: bytes) -> bytes:
        return pack(">I", len(content)) + kind + content + pack(">I", crc32(kind + content))

    def png(width: int, height: int, data: bytes, depth: int = 8, colour: int = 0, *more: bytes) -> bytes:
        size = block(b"IHDR", pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
        return b"\x89PNG\r\n\x1a\n" + size + b"".join(more) + block(b"IDAT", data) + block(b"IEND", b"")

    good = bytes(asked.artifact.pictures["png"].golden.inputs[asked.inputs[0]["name"]][0])
    jpeg = (
        bytes(asked.artifact.pictures["jpeg"].golden.inputs[asked.inputs[0]["name"]][0])
        if "jpeg" in asked.artifact.pictures
        else b"\xff\xd8"
    )
    height, width = asked.inputs[0]["shape"][:2]
    for name, content in (
        ("empty", b""),
        ("only the signature", good[:8]),
        ("cut in half", good[: len(good) // 2]),
        ("one byte altered", good[:-20] + b"\xff" + good[-19:]),
        ("30,000 by 30,000 pixels in 1 kB", png(30_000, 30_000, compress(bytes(100)))),
        ("2**31 by 2**31 pixels", png(2**31 - 1, 2**31 - 1, compress(b""))),
        ("no pixels", png(0, 0, compress(b""))),
        ("fewer pixels than declared", png(width, height, compress(bytes(3)))),
        ("pixels that are not packed", png(width, height, b"x" * 100)),
        ("a depth of 16 bits", png(width, height, compress(bytes(2 * width * height + height)), 16)),
        ("a colour type nobody has", png(width, height, compress(b""), 8, 5)),
        (
            "a text bomb",
            png(width, height, compress(b""), 8, 0, block(b"zTXt", b"a\0\0" + compress(bytes(50_000_000)))),
        ),
        ("a JPEG", jpeg),
        ("JSON", asked.body),
        ("a GIF", b"GIF89a\xff\xff\xff\xff\x00\x00\x00;"),
        (
            "an SVG that reads a file",
            b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        ),
    ):
        yield HostileRequest(name, PNG, whole(post(asked.path, content, content_type=b"Content-Type: image/png")))
    bomb = png(width, height, compress(bytes(50_000_000)))
    yield HostileRequest(
        "50 MB of pixels where few are declared",
        PNG,
        whole(post(asked.path, bomb, content_type=b"Content-Type: image/png")),
        frozenset({ANSWERED}),
        "what follows the last pixel may be passed over",
    )
    for name, content in (
        ("cut in half", jpeg[: len(jpeg) // 2]),
        ("only its beginning", b"\xff\xd8\xff"),
        ("65,535 by 65,535 pixels", b"\xff\xd8\xff\xc0\x00\x0b\x08\xff\xff\xff\xff\x01\x01\x11\x00\xff\xd9"),
        ("a PNG", good),
    ):
        yield HostileRequest(name, JPEG, whole(post(asked.path, content, content_type=b"Content-Type: image/jpeg")))
