"""One loaded version of one model: a TensorFlow session and the signatures it can run.

The real server runs a SavedModel in a session too. A session also costs less per call than the restored functions
of `tf.saved_model.load`, and takes its thread counts from its own configuration.
"""

import contextlib
import dataclasses
import functools
import threading
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tensorflow.core.framework import types_pb2
from tensorflow.python.client import pywrap_tf_session as tf_session

from tf_serving.embedded import version_integrity
from tf_serving.embedded.errors import Code, ServingError, invalid_argument
from tf_serving.embedded.flags import Options
from tf_serving.embedded.runtime import tf

Turns = AbstractContextManager[Any]
Tensors = dict[str, npt.NDArray[Any]]

DEFAULT_SIGNATURE = "serving_default"


@dataclasses.dataclass(frozen=True)
class SignatureTensor:
    """One input or output of a signature.

    Attributes:
        alias: Its name in the signature, which requests use.
        tensor: Its name in the graph; empty for a sparse tensor, which cannot be served.
        dtype: Its NumPy type; `object` for strings.
        type_name: Its TensorFlow type, such as "float" or "string".
        shape: Its dimensions, None for one that may vary; None as a whole for an unknown rank.
    """

    alias: str
    tensor: str
    dtype: np.dtype[Any]
    type_name: str
    shape: tuple[int | None, ...] | None

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Return whether an array of this shape may be fed."""
        if self.shape is None:
            return True
        return len(shape) == len(self.shape) and all(
            want in (None, have) for want, have in zip(self.shape, shape, strict=True)
        )

    def shape_text(self) -> str:
        """Return the shape as error messages show it, -1 for a dimension that may vary."""
        return str([-1 if size is None else size for size in self.shape or ()]).replace(" ", "")


@dataclasses.dataclass(frozen=True)
class Signature:
    """A named function of the model; `inputs` and `outputs` are in the order of their aliases.

    A request may have `max_instances`, if that is not None: so many rows in each of its inputs.
    """

    name: str
    method_name: str
    inputs: dict[str, SignatureTensor]
    outputs: dict[str, SignatureTensor]
    defaults: Tensors
    max_instances: int | None

    def check_names(self, names: Iterable[str]) -> None:
        """Check the names of a request's inputs.

        Raises:
            ServingError: One is missing or unknown.
        """
        found = set(names)
        missing = self.inputs.keys() - found - self.defaults.keys()
        extra = found - self.inputs.keys()
        if missing or extra:
            sent, wanted, more, less = (",".join(sorted(names)) for names in (found, self.inputs, extra, missing))
            raise invalid_argument(
                f"input size does not match signature: {len(found)}!={len(self.inputs)} len({{{sent}}}) != "
                f"len({{{wanted}}}). Sent extra: {{{more}}}. Missing but required: {{{less}}}."
            )

    def check(self, alias: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        """Check one input of a request.

        Raises:
            ServingError: It is of another type or shape, or has too many instances.
        """
        spec = self.inputs[alias]
        if dtype != spec.dtype:
            raise invalid_argument(f"input {alias} must be of type {spec.type_name}, not {dtype}")
        if not spec.accepts(shape):
            raise invalid_argument(
                f"input {alias} must have shape {spec.shape_text()}, not {str(list(shape)).replace(' ', '')}"
            )
        if shape:
            self.check_count(shape[0])

    def check_count(self, count: int) -> None:
        """Check how many instances a request has, before anything is made of them.

        Raises:
            ServingError: They are too many.
        """
        if self.max_instances is not None and count > self.max_instances:
            raise invalid_argument(f"{count} instances in one request; the limit is {self.max_instances}")

    def complete(self, inputs: Tensors) -> Tensors:
        """Check the inputs of a request against the signature and add its defaults.

        Raises:
            ServingError: An input is missing, unknown, too long, or of another type or shape.
        """
        self.check_names(inputs)
        complete = {alias: inputs[alias] if alias in inputs else self.defaults[alias] for alias in self.inputs}
        for alias, array in complete.items():
            self.check(alias, array.dtype, array.shape)
        return complete


def _spec(alias: str, info: Any) -> SignatureTensor:
    dtype = tf.as_dtype(info.dtype) if info.dtype else tf.resource  # an initializer has no type
    dims = None if info.tensor_shape.unknown_rank else info.tensor_shape.dim
    return SignatureTensor(
        alias=alias,
        tensor=info.name,
        dtype=np.dtype(dtype.as_numpy_dtype if dtype.is_numpy_compatible else object),
        type_name=types_pb2.DataType.Name(info.dtype).removeprefix("DT_").lower(),
        shape=None if dims is None else tuple(None if dim.size < 0 else dim.size for dim in dims),
    )


def _signature(name: str, definition: Any, max_instances: int | None) -> Signature:
    return Signature(
        name=name,
        method_name=definition.method_name,
        inputs={alias: _spec(alias, definition.inputs[alias]) for alias in sorted(definition.inputs)},
        outputs={alias: _spec(alias, definition.outputs[alias]) for alias in sorted(definition.outputs)},
        defaults={alias: tf.make_ndarray(proto) for alias, proto in definition.defaults.items()},
        max_instances=max_instances,
    )


class Servable:
    """A loaded version; `run` may be called from any number of threads."""

    def __init__(
        self,
        name: str,
        version: int,
        path: str,
        session: Any,
        definitions: Mapping[str, Any],
        turns: Turns,
        max_instances: int | None,
    ) -> None:
        self.name = name
        self.version = version
        self.path = path
        self.definitions = definitions
        self._session = session
        self._turns = turns
        self._signatures = {key: _signature(key, definition, max_instances) for key, definition in definitions.items()}
        self._endpoints = {key: self._resolve(signature) for key, signature in self._signatures.items()}
        with session.graph.as_default():
            # Makes the session take over the graph; loading a model without variables runs nothing, so it may not have.
            session.run(tf.no_op())

    def find_signature(self, name: str) -> Signature | None:
        """Return the signature of that name ("" for the default one), or None."""
        return self._signatures.get(name or DEFAULT_SIGNATURE)

    def run(self, signature: Signature, inputs: Tensors, timeout_ms: int = 0) -> Tensors:
        """Run one forward pass.

        Args:
            signature: One of this servable's.
            inputs: Every input, as `Signature.complete` returns them.
            timeout_ms: Give up after so long; 0 for no limit.

        Raises:
            ServingError: What TensorFlow raised, or the signature has a sparse tensor.
        """
        endpoints = self._endpoints[signature.name]
        if endpoints is None:
            raise ServingError(Code.UNIMPLEMENTED, f"signature {signature.name} has a sparse tensor")
        feeds = dict(zip(endpoints[0], inputs.values(), strict=True))
        # What Session.run calls once it has parsed its arguments, which it does every time and which takes longer
        # than a small network. A prepared callable is as fast but optimizes the graph again for every timeout.
        # It is no public function, hence the exact version of TensorFlow among this project's requirements.
        try:
            with self._turns:
                outputs = self._session._call_tf_sessionrun(_run_options(timeout_ms), feeds, endpoints[1], [], None)
        except tf.errors.OpError as error:
            raise ServingError(Code(error.error_code), error.message) from error
        return dict(zip(signature.outputs, outputs, strict=True))

    def _resolve(self, signature: Signature) -> tuple[list[Any], list[Any]] | None:
        """Return the graph's ends of a signature's inputs and outputs; None if one is sparse or no tensor at all."""
        specs = (*signature.inputs.values(), *signature.outputs.values())
        ends = [self._session.graph.as_graph_element(spec.tensor) if spec.tensor else None for spec in specs]
        if not all(isinstance(end, tf.Tensor) for end in ends):
            return None
        handles = [end._as_tf_output() for end in ends if end is not None]
        return handles[: len(signature.inputs)], handles[len(signature.inputs) :]

    def close(self) -> None:
        """Free the model; no call may be running."""
        self._session.close()


@functools.cache  # a few values: the REST timeout, and what gRPC deadlines are rounded to
def _run_options(timeout_ms: int) -> Any:
    if timeout_ms <= 0:
        return None
    return tf_session.TF_NewBufferFromString(tf.compat.v1.RunOptions(timeout_in_ms=timeout_ms).SerializeToString())


@dataclasses.dataclass(frozen=True)
class Runtime:
    """How sessions of this process run.

    Attributes:
        config: The session configuration.
        turns: Entered for the time of a forward pass.
    """

    config: Any
    turns: Turns


def runtime(options: Options) -> Runtime:
    """Return what the thread flags ask for; 0 threads leaves the choice to TensorFlow."""
    intra, inter = options.tensorflow_intra_op_parallelism, options.tensorflow_inter_op_parallelism
    turns: Turns = contextlib.nullcontext()
    if inter == 1:
        # One operation at a time needs no thread pool: requests take turns and stay in their own thread (-1), which
        # saves the switch to another one and back.
        inter, turns = -1, threading.Lock()
    config = tf.compat.v1.ConfigProto(intra_op_parallelism_threads=intra, inter_op_parallelism_threads=inter)
    return Runtime(config, turns)


def load(name: str, version: int, path: str, how: Runtime) -> Servable:
    """Load a SavedModel folder.

    Raises:
        ServingError: The folder holds no SavedModel that TensorFlow can load with the tag `serve`, or not the one
            that its artifact's manifest lists.
    """
    max_instances = version_integrity.check(Path(path))
    graph = tf.Graph()
    session = tf.compat.v1.Session(graph=graph, config=how.config)
    try:
        with graph.as_default():
            meta_graph = tf.compat.v1.saved_model.load(session, ["serve"], path)
        return Servable(name, version, path, session, dict(meta_graph.signature_def), how.turns, max_instances)
    except tf.errors.OpError as error:
        session.close()
        raise ServingError(Code(error.error_code), error.message) from error
    except OSError as error:  # no saved_model.pb, or not one
        session.close()
        file = Path(path, "saved_model.pb")
        if file.is_file():
            raise ServingError(Code.DATA_LOSS, f"Can't parse {file} as binary proto") from error
        raise ServingError(Code.NOT_FOUND, str(error)) from error
    except (RuntimeError, ValueError, TypeError, KeyError) as error:
        session.close()
        raise ServingError(Code.INTERNAL, str(error)) from error
