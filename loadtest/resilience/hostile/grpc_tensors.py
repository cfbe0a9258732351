"""TensorProtos that lie about their type, their shape or their values."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from loadtest.resilience.hostile.asked import Asked
from loadtest.wire.grpc.protobuf_fields import encode_bytes, encode_number
from loadtest.wire.grpc.tensor_proto import STRING, TYPES, encode_tensor

NUMBERS = {
    "float": 1,
    "double": 2,
    "int32": 3,
    "uint8": 4,
    "int8": 6,
    "string": 7,
    "complex": 8,
    "int64": 9,
    "bool": 10,
    "quantised": 11,
    "half": 19,
    "a resource": 20,
    "a variant": 21,
    "a reference to floats": 101,
}
"""``types.proto`` of tensorflow/tensorflow."""

FILLED = "a value that is missing is the last one before it, or zero (tensor.proto)"
TAKEN = "TensorFlow Serving passes NaN and infinity to the model"
MERGED = "of two entries of a map the last one counts (protobuf encoding)"

Tensors = Mapping[str, bytes]


def tensor_protos(asked: Asked) -> Iterator[tuple[str, Tensors, str]]:
    """Names, the tensors of a request by their aliases and, where it may be answered, why."""
    right = {name: encode_tensor(array) for name, array in asked.tensors.items()}
    first, array = next(iter(asked.tensors.items()))
    kind = STRING if array.dtype.kind == "U" else TYPES[array.dtype.str].number
    shape, raw = array.shape, b"" if array.dtype.kind == "U" else array.tobytes()

    yield "no tensor", {}, ""
    yield "an input of another name", {"no_such_input": right[first]}, ""
    yield "an input of no name", {"": right[first]}, ""
    yield "an input too many", {**right, "no_such_input": right[first]}, ""
    yield "1,000 inputs too many", {**right, **{f"i{at}": b"" for at in range(1000)}}, ""
    for name, proto, why in (
        ("an empty tensor", b"", ""),
        ("a tensor that is no message", b"\xff\xff", ""),
        ("no type", _tensor(None, shape, raw), ""),
        ("no shape", encode_number(1, kind) + encode_bytes(4, raw), ""),
        ("an unknown rank", encode_number(1, kind) + encode_bytes(2, encode_number(3, 1)) + encode_bytes(4, raw), ""),
        ("no content", _tensor(kind, shape, b""), FILLED),
        ("one byte missing", _tensor(kind, shape, raw[:-1]), ""),
        ("one byte too many", _tensor(kind, shape, raw + b"x"), ""),
        ("3 MB too many", _tensor(kind, shape, raw + bytes(3_000_000)), ""),
        ("half of the content", _tensor(kind, shape, raw[: len(raw) // 2]), ""),
        (
            "content in a shape that is a message of nonsense",
            encode_number(1, kind) + encode_bytes(2, b"\xff\xff") + encode_bytes(4, raw),
            "",
        ),
        ("content 100,000 times", _tensor(kind, shape, raw[:4]) + encode_bytes(4, raw[:4]) * 100_000, ""),
        ("values of another type", _tensor(kind, shape, b"") + encode_bytes(8, b"text"), FILLED),
    ):
        yield name, {**right, first: proto}, why
    for name, number in (*NUMBERS.items(), ("9999", 9999), ("2**31", 2**31), ("-1", 2**64 - 1)):
        if number != kind:
            yield f"type: {name}", {**right, first: _tensor(number, shape, raw)}, ""
    for name, sizes in _shapes(shape):
        yield f"shape: {name}", {**right, first: _tensor(kind, sizes, raw)}, ""
        if name.startswith(("2**", "a product", "far")):
            yield f"shape without content: {name}", {**right, first: _tensor(kind, sizes, b"")}, ""
    if array.dtype.str == "<f4":
        for name, value in (("NaN", np.nan), ("infinity", np.inf), ("the largest float", np.finfo(np.float32).max)):
            yield f"values: {name}", {**right, first: encode_tensor(np.full_like(array, value))}, TAKEN
        one = _tensor(kind, shape, b"") + encode_bytes(5, np.float32(0.5).tobytes())
        yield "values: one for all", {**right, first: one}, FILLED
        yield (
            "values: one for a billion",
            {**right, first: _tensor(kind, (2**24, *shape[1:]), b"") + encode_bytes(5, bytes(4))},
            "",
        )
        odd = _tensor(kind, shape, b"") + encode_bytes(5, bytes(4 * array.size - 1))
        yield "values: not a multiple of four bytes", {**right, first: odd}, ""
    if array.dtype.kind == "i":
        for limit in (np.iinfo(array.dtype).min, np.iinfo(array.dtype).max):
            yield f"values: {limit}", {**right, first: encode_tensor(np.full_like(array, limit))}, ""
    yield (
        "values: of a resource",
        {**right, first: _tensor(20, shape, b"") + encode_bytes(14, encode_bytes(1, b"/dev/null"))},
        "",
    )
    yield (
        "values: of a variant",
        {**right, first: _tensor(21, (), b"") + encode_bytes(15, encode_bytes(1, b"tensorflow::Tensor"))},
        "",
    )


def _shapes(shape: Sequence[int]) -> Iterator[tuple[str, Sequence[int]]]:
    rest = tuple(shape[1:])
    yield "no dimension", ()
    yield "a dimension too few", rest
    yield "a dimension too many", (1, *shape)
    yield "100 dimensions", (1,) * 100
    yield "1,000 dimensions", (1,) * 1000
    yield "no instance", (0, *rest)
    yield "two instances, content for one", (2, *rest)
    yield "a negative dimension", (-1, *rest)
    yield "two negative dimensions", (-1, -1, *rest)
    yield "the smallest of 64 bits", (-(2**63), *rest)
    yield "2**31", (2**31, *rest)
    yield "2**62", (2**62, *rest)
    yield "2**63 - 1", (2**63 - 1, *rest)
    yield "a product of 2**64", (2**32, 2**32, *rest)
    yield "a product that wraps around to the right one", (2**62, 4, *shape)
    yield "far beyond memory, beside a 0", (2**40, 0)
    if rest:
        yield "the dimensions in another order", (*rest, shape[0])
        yield "the last dimension one less", (*shape[:-1], shape[-1] - 1)


def _tensor(kind: int | None, sizes: Sequence[int], content: bytes) -> bytes:
    """TensorProto {1: dtype, 2: TensorShapeProto {2: Dim {1: size}}, 4: tensor_content}; sizes may be negative."""
    dims = b"".join(encode_bytes(2, encode_number(1, size % 2**64)) for size in sizes)
    return (
        (b"" if kind is None else encode_number(1, kind))
        + encode_bytes(2, dims)
        + (encode_bytes(4, content) if content else b"")
    )
