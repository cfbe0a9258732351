"""JSON over REST, column by column: ``{"inputs": ...}``, answered by ``{"outputs": ...}``.

TensorFlow Serving's column format: https://www.tensorflow.org/tfx/serving/api_rest#specifying_input_tensors_in_column_format.
"""

from loadtest.servers.examples import Tensors, json_columns
from loadtest.servers.expectation import Golden, read_json
from loadtest.wire.wire_format import Message, Wire


class JsonColumns:
    """One entry for each tensor."""

    def request(self, inputs: Tensors) -> Message:
        """The bare values for a model of one input, an object for one of several."""
        return Message(json_columns(inputs))

    def difference(self, golden: Golden, payload: int, body: bytes) -> float:
        """See `loadtest.wire.wire_format.WireFormat`."""
        document = read_json(body)
        if not isinstance(document, dict) or "outputs" not in document:
            raise ValueError(body[:120].decode(errors="replace"))
        outputs = document["outputs"]
        if len(golden.predictions) == 1:
            outputs = dict.fromkeys(golden.predictions, outputs)
        if not isinstance(outputs, dict):
            raise ValueError("the outputs of a model that has several must be an object")
        return golden.column_distance(payload, outputs)


WIRE = Wire("JSON over REST, column by column", lambda model, path: JsonColumns())
