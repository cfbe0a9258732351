"""Keep the frameworks' own messages out of what `python -m models` prints. Their errors are raised, and stay."""

import logging
import os
import sys
import warnings

FRAMEWORKS = ("absl", "google", "keras", "sklearn", "tensorflow", "torch")


def silence_framework_messages() -> None:
    """Turn off start-up messages and warnings of TensorFlow, Keras, PyTorch and scikit-learn.

    To be called before they are imported. What the user has set, TF_CPP_MIN_LOG_LEVEL or `python -W`, is left alone.
    """
    # Level 2 would let through what TensorFlow calls an error: that it finds no GPU.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for name in ("absl", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if not sys.warnoptions:
        warnings.filterwarnings("ignore", module=rf"({'|'.join(FRAMEWORKS)})\b")
