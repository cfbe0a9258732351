"""The table over gRPC: what is wrong in a message, by the API that a server speaks, and what is wrong around it."""

import random
from collections.abc import Iterator
from urllib.parse import urlsplit

from loadtest.resilience.hostile.asked import Asked
from loadtest.resilience.hostile.grpc_bytes import call
from loadtest.resilience.hostile.grpc_frames import frame_requests
from loadtest.resilience.hostile.grpc_tensors import tensor_protos
from loadtest.resilience.hostile.json_bodies import json_bodies
from loadtest.resilience.hostile.npy_files import npy_files
from loadtest.resilience.hostile.request import ANSWERED, HostileRequest
from loadtest.wire.grpc.messages import TensorFlowServing, TorchServe, message_format
from loadtest.wire.grpc.protobuf_fields import encode_bytes, encode_map_entry, encode_number

METHODS, PROTOBUF, MODELS = "gRPC: methods", "gRPC: protobuf", "gRPC: models"

LEGAL = frozenset({ANSWERED})
MERGED = "messages may be merged, and unknown fields are kept (protobuf encoding)"
DEFAULTED = "what is left out has its default (protobuf 3)"

Named = tuple[str, bytes, str]
"""A name, a message and, where it may be answered, why."""


def grpc_requests(asked: Asked, url: str) -> Iterator[HostileRequest]:
    """All of them.

    Args:
        asked: The model.
        url: ``grpc://`` address of the prediction.
    """
    path = urlsplit(url).path
    form = message_format(path, asked.artifact.workload)
    message = form.request(asked.tensors).body
    by_category = [(PROTOBUF, _protobuf(message))]
    if isinstance(form, TensorFlowServing):
        by_category += [
            (MODELS, _predict_requests(asked, form)),
            (
                "gRPC: tensors",
                ((name, form.predict_request(some).body, why) for name, some, why in tensor_protos(asked)),
            ),
        ]
    if isinstance(form, TorchServe):
        by_category += [(MODELS, _predictions_requests(asked, message)), *_payloads(asked)]
    for category, messages in by_category:
        for name, content, why in messages:
            yield HostileRequest(name, category, call(path, content), LEGAL if why else frozenset(), why)
    yield from _methods(path, message)
    yield from frame_requests(path, message)


def _protobuf(message: bytes) -> Iterator[Named]:
    yield "empty", b"", ""
    yield "one byte", b"\x0a", ""
    yield "cut in half", message[: len(message) // 2], ""
    yield "one byte missing", message[:-1], ""
    yield "random bytes", random.Random(4).randbytes(2000), ""
    yield "text", b"hello, world", ""
    yield "JSON", b'{"instances": [1]}', ""
    yield "a field of number 0", b"\x02\x00" + message, ""
    yield "wire type 3, never ended", b"\x0b" * 100 + message, ""
    yield "wire type 4, never begun", b"\x0c" + message, ""
    yield "wire type 6", b"\x0e" + message, ""
    yield "wire type 7", b"\x0f" + message, ""
    yield "a number of 11 bytes", b"\x08" + b"\xff" * 11 + message, ""
    yield "a length beyond the message", message + b"\x0a\xff\x7f", ""
    yield "a length of 2**63", b"\x0a" + b"\xff" * 9 + b"\x01", ""
    yield "the model as a number", b"\x08\x07" + message, MERGED
    yield "a field nobody knows", message + encode_bytes(1000, b"x" * 1000), MERGED
    yield "10,000 fields nobody knows", message + encode_number(1000, 1) * 10_000, MERGED
    yield "groups 10,000 deep", b"\xa3\x1f" * 10_000 + b"\xa4\x1f" * 10_000, ""
    yield "twice", message + message, MERGED


NAMES: tuple[tuple[str, bytes], ...] = (
    ("an unknown name", b"no_such_model"),
    ("no name", b""),
    ("a name that is no UTF-8", b"\xff\xfe\xc0"),
    ("a name of 1 MB", b"m" * 1_000_000),
    ("a path for a name", b"../../../../etc/passwd"),
    ("a name with a NUL byte", b"digits\0"),
    ("a name with line breaks", b"a\r\ngrpc-status: 0\r\n"),
    ("a name like a template", b"${jndi:ldap://example.invalid/a}{{7*7}}"),
)


def _predict_requests(asked: Asked, form: TensorFlowServing) -> Iterator[Named]:
    """PredictRequest {1: model_spec, 3: output_filter}, ModelSpec {1: name, 2: version, 3: signature, 4: label}."""
    right = form.request(asked.tensors).body
    model = encode_bytes(1, asked.artifact.workload.encode())
    inputs = right[len(encode_bytes(1, model + encode_bytes(3, form.signature.encode()))) :]

    def spec(content: bytes) -> bytes:
        return encode_bytes(1, content) + inputs

    yield "no model at all", inputs, ""
    for name, text in NAMES:
        yield name, spec(encode_bytes(1, text)), ""
    for name, version in (("version 99", 99), ("version -1", 2**64 - 1), ("version 2**63 - 1", 2**63 - 1)):
        yield name, spec(model + encode_bytes(2, encode_number(1, version))), ""
    yield "a version that is text", spec(model + encode_bytes(2, b"one")), ""
    yield "an unknown label", spec(model + encode_bytes(4, b"none")), ""
    yield "no signature", spec(model), DEFAULTED
    yield "an unknown signature", spec(model + encode_bytes(3, b"none")), ""
    yield "a signature of 100,000 letters", spec(model + encode_bytes(3, b"s" * 100_000)), ""
    yield "a signature that is no UTF-8", spec(model + encode_bytes(3, b"\xff")), ""
    yield "an unknown output", right + encode_bytes(3, b"none"), ""
    output = asked.artifact.output_names[0].encode()
    yield "an output asked for twice", right + encode_bytes(3, output) * 2, ""
    yield "10,000 outputs asked for", right + b"".join(encode_bytes(3, b"o%d" % at) for at in range(10_000)), ""
    yield "an input as text", encode_bytes(1, model) + encode_bytes(2, b"image"), ""


def _predictions_requests(asked: Asked, message: bytes) -> Iterator[Named]:
    """PredictionsRequest {1: model_name, 2: model_version, 3: map of inputs}."""
    model = encode_bytes(1, asked.artifact.workload.encode())
    inputs = message[len(model) :]
    for name, text in NAMES:
        yield name, encode_bytes(1, text) + inputs, ""
    for name, version in (
        ("version 99", b"99"),
        ("version -1", b"-1"),
        ("a version of text", b"one"),
        ("a version that is a path", b"../1"),
        ("a version of 1 MB", b"9" * 1_000_000),
        ("a version that is no UTF-8", b"\xff"),
    ):
        yield name, model + encode_bytes(2, version) + inputs, ""
    yield "no input", model, ""
    for name, key in (
        ("an input of another name", b"none"),
        ("an input of no name", b""),
        ("an input named ts_stream_next", b"ts_stream_next"),
    ):
        yield name, model + encode_bytes(3, encode_map_entry(key, b"x")), ""
    yield "a name of an input that is no UTF-8", model + encode_bytes(3, encode_map_entry(b"\xff", b"x")), ""
    yield (
        "10,000 inputs",
        message + b"".join(encode_bytes(3, encode_map_entry(b"k%d" % at, b"")) for at in range(10_000)),
        MERGED,
    )
    yield "the input twice, the last one bad", message + encode_bytes(3, encode_map_entry(b"data", b"x")), ""


def _payloads(asked: Asked) -> Iterator[tuple[str, Iterator[Named]]]:
    """What the bytes of the input may be: JSON, or NumPy's files."""
    model = encode_bytes(1, asked.artifact.workload.encode())

    def carried(content: bytes) -> bytes:
        return model + encode_bytes(3, encode_map_entry(b"data", content))

    bodies = [body for body in json_bodies(asked) if len(body.content) < 4_000_000]
    for category in dict.fromkeys(body.category for body in bodies):
        some = [body for body in bodies if body.category == category]
        yield category, ((body.name, carried(body.content), body.allowed) for body in some)
    yield "binary: .npy", ((name, carried(content), why) for name, content, why in npy_files(asked))


def _methods(path: str, message: bytes) -> Iterator[HostileRequest]:
    service, _, method = path.rpartition("/")
    package = service.rpartition(".")[0]
    for name, other, content in (
        ("an unknown method", f"{service}/NoSuchMethod", message),
        ("an unknown service", f"{package}.NoSuchService/{method}", message),
        ("a method in small letters", f"{service}/{method.lower()}", message),
        ("a path of one word", "/Predict", message),
        ("a path out of the service", f"{service}/../../etc/passwd", message),
        ("a path with a NUL byte", f"{path}%00", message),
        ("three slashes", f"{path}/more", message),
        ("the root", "/", message),
        ("a service of 10,000 letters", f"/{'s' * 10_000}/{method}", message),
        ("Classify", "/tensorflow.serving.PredictionService/Classify", b"\x0a"),
        ("MultiInference", "/tensorflow.serving.PredictionService/MultiInference", b""),
        ("metadata of nothing", "/tensorflow.serving.PredictionService/GetModelMetadata", b""),
        (
            "metadata of no such model",
            "/tensorflow.serving.PredictionService/GetModelMetadata",
            b"\x0a\x06\x0a\x04none",
        ),
        ("the state of no such model", "/tensorflow.serving.ModelService/GetModelStatus", b"\x0a\x06\x0a\x04none"),
        ("another configuration that is none", "/tensorflow.serving.ModelService/HandleReloadConfigRequest", b"\xff"),
        ("another configuration of nothing", "/tensorflow.serving.ModelService/HandleReloadConfigRequest", b""),
        (
            "a model to register",
            "/org.pytorch.serve.grpc.management.ManagementAPIsService/RegisterModel",
            b"\x22\x04none",
        ),
        (
            "a model to remove",
            "/org.pytorch.serve.grpc.management.ManagementAPIsService/UnregisterModel",
            b"\x0a\x04none",
        ),
        ("reflection", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", b"\x3a\x00"),
        ("channelz", "/grpc.channelz.v1.Channelz/GetServers", b""),
    ):
        yield HostileRequest(name, METHODS, call(other, content))
    yield HostileRequest(
        "a call of a gigabyte's promise",
        METHODS,
        call(path, message, grpc_encoding="identity", x_size=str(1 << 30)),
        LEGAL,
        DEFAULTED,
    )
