"""A PNG file is the body of a request, one picture over HTTP; the answer is that of `rest`.

The files are those of the artifact, as they are: nothing is encoded or decoded here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loadtest.servers.examples import Tensors
from loadtest.wire.formats.rest import JsonRows
from loadtest.wire.wire_format import Message, Wire


@dataclass(frozen=True)
class PictureBody(JsonRows):
    """One file.

    Attributes:
        form: Its format.
    """

    form: str

    def request(self, inputs: Tensors) -> Message:
        """The file of the one instance."""
        ((file,),) = inputs.values()
        return Message(bytes(file), {"content-type": f"image/{self.form}"})


def takes_pictures(inputs: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a model of these inputs, as its manifest describes them, takes encoded pictures."""
    return len(inputs) == 1 and inputs[0].get("white") is not None


def picture_body(form: str) -> Wire:
    """The wire format of files of a format."""
    told = f"one {form.upper()} file over HTTP"
    return Wire(told, lambda model, path: PictureBody(form), takes=takes_pictures, carries=form, most=1)


WIRE = picture_body("png")
