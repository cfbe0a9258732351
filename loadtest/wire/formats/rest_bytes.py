"""Octets as base64 in JSON over REST, row by row; the answer is that of `rest`.

TensorFlow Serving's own form of binary values: https://www.tensorflow.org/tfx/serving/api_rest#encoding_binary_values.
"""

from base64 import b64encode

import orjson

from loadtest.servers.examples import Tensors
from loadtest.wire.formats.rest import JsonRows
from loadtest.wire.octet_strings import SIGNATURE, has_signature, octet_strings
from loadtest.wire.wire_format import Message, Wire


class Base64Rows(JsonRows):
    """One entry for each instance."""

    def request(self, inputs: Tensors) -> Message:
        """The bare octets for a model of one input, objects for one of several."""
        columns = {
            name: [{"b64": b64encode(instance).decode()} for instance in instances]
            for name, instances in octet_strings(inputs).items()
        }
        instances = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        if len(columns) == 1:
            (instances,) = columns.values()
        return Message(orjson.dumps({"signature_name": SIGNATURE, "instances": instances}))


WIRE = Wire("octets as base64 in JSON over REST", lambda model, path: Base64Rows(), takes=has_signature)
