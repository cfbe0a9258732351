"""scikit-learn's 1,797 handwritten digits, split the same way for every workload that learns from them.

They are the test part of UCI's "Optical Recognition of Handwritten Digits", and bundled with scikit-learn.
"""

import numpy as np

from models.examples import Examples

WHITE = 16
"""The set's full white."""


def split(seed: int) -> tuple[Examples, Examples]:
    """The images as `image`, (n, 8, 8) float32 from 0 to 1, with their classes.

    Args:
        seed: Of the split.

    Returns:
        A stratified four fifths to learn from, and the rest, which is held out.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, classes = load_digits(return_X_y=True)
    images = (images.reshape(-1, 8, 8) / WHITE).astype(np.float32)
    seen, held_out, seen_classes, held_out_classes = train_test_split(
        images, classes.astype(np.int64), test_size=0.2, stratify=classes, random_state=seed
    )
    return Examples({"image": seen}, seen_classes), Examples({"image": held_out}, held_out_classes)
