"""PNG files as base64 in JSON over REST, which TensorFlow Serving's graph decodes; the answer is that of `rest`."""

from dataclasses import dataclass

from loadtest.servers.examples import Tensors
from loadtest.wire.base64_rows import base64_rows
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
        return base64_rows(f"serving_{self.form}", {name: files.tolist() for name, files in inputs.items()})


def picture_rows(form: str) -> Wire:
    """The wire format of files of a format."""
    told = f"{form.upper()} files as base64 in JSON over REST"
    return Wire(told, lambda model, path: PictureRows(form), takes=takes_pictures, carries=form)


WIRE = picture_rows("png")
