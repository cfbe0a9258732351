"""PNG files as base64 in JSON over REST, which TensorFlow Serving's graph decodes; the answer is that of `rest`.

Its own form of binary values: https://www.tensorflow.org/tfx/serving/api_rest#encoding_binary_values.
"""

from base64 import b64encode
from dataclasses import dataclass

import orjson

from loadtest.servers.examples import Tensors
from loadtest.wire.formats.png import takes_pictures
from loadtest.wire.formats.rest import JsonRows
from loadtest.wire.wire_format import Message, Wire


@dataclass(frozen=True)
class PictureRows(JsonRows):
    """One entry for each instance.

    Attributes:
        form: Format of the files, after which the signature is called.
    """

    form: str

    def request(self, inputs: Tensors) -> Message:
        """The files of all instances."""
        (files,) = inputs.values()
        instances = [{"b64": b64encode(file).decode()} for file in files.tolist()]
        return Message(orjson.dumps({"signature_name": f"serving_{self.form}", "instances": instances}))


def picture_rows(form: str) -> Wire:
    """The wire format of files of a format."""
    told = f"{form.upper()} files as base64 in JSON over REST"
    return Wire(told, lambda model, path: PictureRows(form), takes=takes_pictures, carries=form)


WIRE = picture_rows("png")
