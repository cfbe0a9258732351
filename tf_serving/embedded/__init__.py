"""A stand-in for `tensorflow_model_server` over the TensorFlow runtime that `pip` installs.

It has the flags, the REST and gRPC API and the version folders that users of a prediction service need. Start it
with `python -m tf_serving.embedded`.
"""

import os

# TensorFlow and gRPC read these when they are first imported. Only errors are logged.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
# oneDNN's own allocator never returns memory: it would keep the gigabytes that the largest requests took.
os.environ.setdefault("TF_ONEDNN_USE_SYSTEM_ALLOCATOR", "1")
