"""A JPEG file is the body of a request, one picture over HTTP; the answer is that of `rest`."""

from loadtest.wire.formats.png import picture_body

WIRE = picture_body("jpeg")
