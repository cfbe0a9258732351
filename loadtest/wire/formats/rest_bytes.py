"""Octets as base64 in JSON over REST, row by row; the answer is that of `rest`."""

from loadtest.servers.examples import Tensors
from loadtest.wire.base64_rows import base64_rows
from loadtest.wire.formats.rest import JsonRows
from loadtest.wire.octet_strings import SIGNATURE, has_signature, octet_strings
from loadtest.wire.wire_format import Message, Wire


class Base64Rows(JsonRows):
    """One entry for each instance."""

    def request(self, inputs: Tensors) -> Message:
        """See `loadtest.wire.wire_format.WireFormat`."""
        return base64_rows(SIGNATURE, octet_strings(inputs))


WIRE = Wire("octets as base64 in JSON over REST", lambda model, path: Base64Rows(), takes=has_signature)
