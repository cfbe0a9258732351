"""A drop-in for `tensorflow_model_server` over the TensorFlow runtime that `pip` installs.

Same flags, same REST and gRPC API, same version folders. Start it with `python -m tf_serving.embedded`.
"""

import os

# Read when TensorFlow and gRPC are first imported, by whichever module here does so: only errors are logged.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
# oneDNN's own allocator keeps whatever the largest requests took, gigabytes, for as long as the process lives.
os.environ.setdefault("TF_ONEDNN_USE_SYSTEM_ALLOCATOR", "1")
