"""JSON over REST, row by row, with the name of the signature: TensorFlow Serving serves several under one address."""

import orjson

from loadtest.servers.examples import Tensors
from loadtest.wire.formats.rest import JsonRows
from loadtest.wire.wire_format import Message, Wire


class NamedRows(JsonRows):
    """One entry for each instance, and the signature that is meant."""

    def request(self, inputs: Tensors) -> Message:
        """See `loadtest.wire.wire_format.WireFormat`."""
        document = orjson.loads(super().request(inputs).body)
        return Message(orjson.dumps({"signature_name": "serving_default", **document}))


WIRE = Wire("JSON over REST, with the name of the signature", lambda model, path: NamedRows())
