"""Binary values as base64 in JSON: TensorFlow Serving's own form of them over REST.

https://www.tensorflow.org/tfx/serving/api_rest#encoding_binary_values
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence

import orjson

from loadtest.wire.wire_format import Message


def base64_rows(signature: str, strings: Mapping[str, Sequence[bytes]]) -> Message:
    """The request of some instances, a string for each input of each instance.

    A model of one input has the bare strings as rows, one of several an object for each instance.

    Args:
        signature: Which signature of the model is asked.
        strings: The strings of all instances, by the names of the inputs.
    """
    columns = {name: [{"b64": b64encode(one).decode()} for one in column] for name, column in strings.items()}
    if len(columns) == 1:
        (instances,) = columns.values()
    else:
        instances = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return Message(orjson.dumps({"signature_name": signature, "instances": instances}))
