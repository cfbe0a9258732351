"""Classify and Regress: requests of tf.train.Example, for models whose signature parses them itself."""

import dataclasses
from typing import Any

import numpy as np

from tf_serving.embedded import json_text
from tf_serving.embedded.errors import invalid_argument
from tf_serving.embedded.json_body import decode_base64, excerpt, is_base64, type_name
from tf_serving.embedded.runtime import tf
from tf_serving.embedded.servable import DEFAULT_SIGNATURE, Servable, Signature, Tensors


@dataclasses.dataclass(frozen=True)
class Task:
    """One of the two requests and what it asks of a signature (signature_constants.h).

    Attributes:
        name: "classify" or "regress", as in the URL.
        noun: how messages name it.
        method_name: what the signature's method name must be, where that is checked.
        outputs: the outputs it knows; a signature has at least one of them.
    """

    name: str
    noun: str
    method_name: str
    outputs: tuple[str, ...]

    def signature(self, servable: Servable, name: str, check_method: bool = False) -> Signature:
        """The signature a request names, fit for this task.

        Raises:
            ServingError: there is none of that name, or its inputs or outputs are others.
        """
        signature = servable.find_signature(name)
        if signature is None:
            raise invalid_argument(f"No signature was found with the name: {name or DEFAULT_SIGNATURE}")
        if check_method and signature.method_name != self.method_name:
            raise invalid_argument(
                f"Expected {self.noun} signature method_name to be {self.method_name}. Was: {signature.method_name}"
            )
        if len(signature.inputs) != 1:
            raise invalid_argument("Expected one input Tensor.")
        if "inputs" not in signature.inputs:
            raise invalid_argument(f"No {self.noun} inputs found in SignatureDef: {signature.name}")
        if not set(self.outputs) & signature.outputs.keys():
            wanted = " or ".join(f'"{output}"' for output in self.outputs)
            raise invalid_argument(
                f"Expected {self.noun} signature outputs to contain at least one of {wanted}. "
                f"Signature was: {signature.name}"
            )
        return signature

    def inputs(self, signature: Signature, examples: list[bytes]) -> Tensors:
        """The inputs of a forward pass over serialized examples."""
        batch = np.empty(len(examples), dtype=object)
        batch[:] = examples
        return signature.complete({"inputs": batch})


CLASSIFY = Task("classify", "classification", "tensorflow/serving/classify", ("classes", "scores"))
REGRESS = Task("regress", "regression", "tensorflow/serving/regress", ("outputs",))


def from_proto(message: Any) -> list[bytes]:
    """The serialized examples of an Input message, each with the context before it.

    Raises:
        ServingError: it holds none.
    """
    kind = message.WhichOneof("kind")
    found = getattr(message, kind) if kind else None
    if found is None or not found.examples:
        raise invalid_argument("Input is empty.")
    context = found.context.SerializeToString() if kind == "example_list_with_context" else b""
    # Concatenating serialized messages merges them, so the model sees the context's features in every example.
    return [context + example.SerializeToString() for example in found.examples]


def from_json(document: dict[str, Any], method: str) -> list[bytes]:
    """The serialized examples of a JSON request.

    Raises:
        ServingError: "examples" is missing, empty or no list, or holds what no feature can be.
    """
    examples = document.get("examples")
    if "examples" not in document:
        raise invalid_argument(
            f"JSON Value: {excerpt(document)} When method is {method}, key 'examples' is expected and was not found"
        )
    if not isinstance(examples, list):
        raise invalid_argument(f"JSON Value: {excerpt(document)} Expecting 'examples' value to be an list/array")
    if not examples:
        raise invalid_argument(f"JSON Value: {excerpt(document)} 'examples' value is an empty array")
    context = _example(document["context"]) if "context" in document else b""
    return [context + _example(example) for example in examples]


def _example(value: Any) -> bytes:
    if not isinstance(value, dict):
        raise invalid_argument(f"Example must be JSON object but got JSON {type_name(value)}")
    features = {name: _feature(name, items if isinstance(items, list) else [items]) for name, items in value.items()}
    serialized: bytes = tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
    return serialized


def _feature(name: str, values: list[Any]) -> Any:
    kind, converted = "", []
    item: Any
    for value in values:
        if isinstance(value, bool):
            found, item = "int64", int(value)
        elif isinstance(value, int):
            if not -(2**63) <= value < 2**63:
                raise invalid_argument(f"Feature: {name} has uint64_t element. Only int64_t is supported.")
            found, item = "int64", value
        elif isinstance(value, float):
            found, item = "float", value
        elif isinstance(value, str):
            found, item = "bytes", value.encode("utf-8", "surrogatepass")
        elif is_base64(value):
            found, item = "bytes", decode_base64(value)
        else:
            raise invalid_argument(f"Feature: {name} has element with unexpected JSON type: {type_name(value)}")
        if kind not in ("", found):
            raise invalid_argument(f"Unexpected element type in feature: {name} expecting type: {kind}")
        kind = found
        converted.append(item)
    if kind == "int64":
        return tf.train.Feature(int64_list=tf.train.Int64List(value=converted))
    if kind == "float":
        return tf.train.Feature(float_list=tf.train.FloatList(value=converted))
    if kind == "bytes":
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=converted))
    return tf.train.Feature()


def classes(outputs: Tensors, count: int) -> list[list[tuple[str, float]]]:
    """The (label, score) pairs of every example; a label is "" and a score 0 where the model gives none.

    Raises:
        ServingError: the model's outputs are not (examples, classes), or not strings and float32.
    """
    columns = {}
    for alias, dtype, name in (("classes", object, "STRING"), ("scores", np.float32, "FLOAT")):
        if alias not in outputs:
            continue
        array = outputs[alias]
        if array.ndim != 2:
            raise invalid_argument(f"Expected Tensor shape: [batch_size num_classes] but got {list(array.shape)}")
        if array.dtype != dtype:
            raise invalid_argument(f"Expected {alias} Tensor of DT_{name}. Got: {array.dtype}")
        if len(array) != count:
            raise invalid_argument(f"Expected {alias} output batch size of {count}. Got: {len(array)}")
        columns[alias] = array
    if len({array.shape for array in columns.values()}) > 1:
        raise invalid_argument("Tensors class and score should match in dim_size(1).")
    shape = next(iter(columns.values())).shape
    scores = columns.get("scores", np.zeros(shape, np.float32)).tolist()
    labels = columns.get("classes", np.full(shape, b"", dtype=object))
    return [
        [(label.decode("utf-8", "surrogateescape"), score) for label, score in zip(*row, strict=True)]
        for row in zip(labels.tolist(), scores, strict=True)
    ]


def values(outputs: Tensors, count: int) -> list[float]:
    """The value of every example.

    Raises:
        ServingError: the model's output is neither (examples,) nor (examples, 1), or not float32.
    """
    array = outputs["outputs"]
    if array.shape not in ((count,), (count, 1)):
        raise invalid_argument(
            f"Expected output Tensor shape to be either [{count}] or [{count}, 1] but got {list(array.shape)}"
        )
    if array.dtype != np.float32:
        raise invalid_argument(f"Expected output Tensor of DT_FLOAT.  Got: {array.dtype}")
    flat: list[float] = array.ravel().tolist()
    return flat


def write(task: Task, outputs: Tensors, count: int) -> bytes:
    """The JSON answer: {"results": ...} with one entry per example."""
    if task is REGRESS:
        return json_text.document("results", json_text.nested(json_text.decimals(values(outputs, count)), [count]))
    texts = []
    for pairs in classes(outputs, count):
        scores = json_text.decimals([score for _, score in pairs])
        labels = [json_text.string(label) for label, _ in pairs]
        texts.append(f"[{', '.join(f'[{label}, {score}]' for label, score in zip(labels, scores, strict=True))}]")
    return json_text.document("results", json_text.rows(texts))
