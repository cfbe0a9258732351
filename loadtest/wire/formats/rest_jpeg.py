"""JPEG files as base64 in JSON over REST, which TensorFlow Serving's graph decodes; the answer is that of `rest`."""

from loadtest.wire.formats.rest_png import picture_rows

WIRE = picture_rows("jpeg")
