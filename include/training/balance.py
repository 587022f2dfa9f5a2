"""Class imbalance: how much a row weighs in training.

Self-contained and good for Python 3.9.
"""

from __future__ import annotations

import numpy as np

CHOICES = ("none", "weights")


def weights_of(y: np.ndarray, balance: str) -> np.ndarray | None:
    """A weight for each row, None where all weigh the same.

    `weights` gives every class the same weight in all and a row the mean weight 1, so that
    penalties and smallest leaves keep their meaning (King and Zeng 2001; "balanced" in
    scikit-learn). Probabilities then come out as if the classes were equally frequent: calibrate.
    """
    if balance == "none":
        return None
    count = np.bincount(y)
    return np.asarray((len(y) / (np.count_nonzero(count) * np.maximum(count, 1)))[y])
