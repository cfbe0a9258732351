"""JSON over REST, row by row: ``{"instances": [...]}``, answered by ``{"predictions": [...]}``.

TensorFlow Serving's row format, which the project's Flask service and its TorchServe handler speak as well:
https://www.tensorflow.org/tfx/serving/api_rest#specifying_input_tensors_in_row_format.
"""

from loadtest.servers.examples import Tensors, json_body
from loadtest.servers.expectation import Golden
from loadtest.wire.wire_format import Message, Wire


class JsonRows:
    """One entry for each instance."""

    def request(self, inputs: Tensors) -> Message:
        """Bare values for a model of one input, objects for one of several."""
        return Message(json_body(inputs))

    def difference(self, golden: Golden, payload: int, body: bytes) -> float:
        """See `loadtest.wire.wire_format.WireFormat`."""
        return golden.difference(payload, body)


WIRE = Wire("JSON over REST, row by row", lambda model, path: JsonRows())
