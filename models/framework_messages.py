"""Keep the frameworks' own messages out of what `python -m models` prints. Their errors are raised, and stay."""

import logging
import os
import sys
import warnings

FRAMEWORKS = ("absl", "google", "keras", "matplotlib", "seaborn", "sklearn", "tensorboard", "tensorflow", "torch")


def silence_framework_messages() -> None:
    """Turn off start-up messages and warnings of TensorFlow, Keras, PyTorch, scikit-learn and what draws figures.

    To be called before they are imported. What the user has set, TF_CPP_MIN_LOG_LEVEL or `python -W`, is left alone.
    """
    # Level 2 would let through what TensorFlow calls an error: that it finds no GPU.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for name in ("absl", "matplotlib", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if not sys.warnoptions:
        warnings.filterwarnings("ignore", module=rf"({'|'.join(FRAMEWORKS)})\b")
