"""The model that hostile requests are made for: what a right request to it looks like, and how one is bent."""

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loadtest.launch.running import RunningServer
from loadtest.servers.artifact import Artifact
from loadtest.servers.examples import Tensors

_HOLE = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True)
class Asked:
    """A model at a server.

    Attributes:
        artifact: The model.
        path: Path of its REST prediction.
        wires: The wire formats in which the server can be asked for it.
    """

    artifact: Artifact
    path: str
    wires: frozenset[str]

    @classmethod
    def of(cls, running: RunningServer) -> "Asked":
        """What a server serves."""
        return cls(running.artifact, running.predict_path, frozenset(running.server.wires))

    @property
    def inputs(self) -> list[Mapping[str, Any]]:
        """The inputs as the manifest describes them."""
        inputs: list[Mapping[str, Any]] = self.artifact.manifest["inputs"]
        return inputs

    @property
    def body(self) -> bytes:
        """A right JSON body, of one instance."""
        return self.artifact.example_body()

    @property
    def tensors(self) -> Tensors:
        """The same as arrays."""
        golden = self.artifact.golden
        return golden.request(golden.batches(1)[0])

    @property
    def instance(self) -> Any:
        """That instance: a bare value for a model of one input, an object for one of several."""
        return json.loads(self.body)["instances"][0]

    def instances(self, *values: Any) -> bytes:
        """A JSON body with these instances."""
        return json.dumps({"instances": values}).encode()

    def with_input(self, value: Any) -> bytes:
        """A right body, but for the value of the first input."""
        return self.instances(self._with_input(value))

    def with_leaf(self, text: str) -> bytes:
        """A right body, but for the first number (or text) of the first input.

        Args:
            text: What stands there, as JSON or as what is none.
        """
        value = copy.deepcopy(self.input)
        hole: Any = [value]
        while isinstance(hole[0], list):
            hole = hole[0]
        hole[0] = _HOLE
        (filled,) = [value] if isinstance(value, list) else [hole[0]]
        return self.with_input(filled).replace(json.dumps(_HOLE).encode(), text.encode("utf-8", "surrogatepass"))

    @property
    def input(self) -> Any:
        """The first input of that instance."""
        return self.instance[self.inputs[0]["name"]] if len(self.inputs) > 1 else self.instance

    def _with_input(self, value: Any) -> Any:
        if len(self.inputs) == 1:
            return value
        return {**self.instance, self.inputs[0]["name"]: value}
