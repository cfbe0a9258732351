"""NumPy's own file over HTTP: .npy for a model of one input, .npz for one of several, and so for the answer.

https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

from loadtest.servers.examples import Tensors
from loadtest.servers.expectation import Golden
from loadtest.wire.numpy_file import difference, write_tensors
from loadtest.wire.wire_format import Message, Wire


class NumpyFile:
    """A file for all tensors."""

    def request(self, inputs: Tensors) -> Message:
        """See `loadtest.wire.wire_format.WireFormat`."""
        kind = "npy" if len(inputs) == 1 else "npz"
        return Message(write_tensors(inputs), {"content-type": f"application/x-{kind}", "accept": "*/*"})

    def difference(self, golden: Golden, payload: int, body: bytes) -> float:
        """See `loadtest.wire.wire_format.WireFormat`."""
        return difference(golden, payload, body)


WIRE = Wire("NumPy's .npy over HTTP, .npz for several tensors", lambda model, path: NumpyFile())
