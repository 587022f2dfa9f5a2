"""From features to principal components, and what travels with a model to do it again. Pure."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from millrace.errors import MillraceError

FILE, NETWORK = "projection.npz", "network.json"


@dataclass(frozen=True)
class Projection:
    """A fitted PCA.

    Attributes:
        mean: of the features, shape (width,).
        components: shape (components, width).
        ratio: share of the variance of each component.
    """

    mean: np.ndarray
    components: np.ndarray
    ratio: np.ndarray

    def apply(self, features: np.ndarray) -> np.ndarray:
        """Components of features of shape (images, width): float64, rounded to single precision.

        Rounded as the published ones are, so that one image has one set of components.

        Raises:
            MillraceError: the features are of another width.
        """
        if features.shape[1] != len(self.mean):
            raise MillraceError(
                f"the model takes {len(self.mean):,} features of an image, and these are"
                f" {features.shape[1]:,}; use the network the model was trained with"
            )
        found = (features.astype("float64") - self.mean) @ self.components.T
        return found.astype("float32").astype("float64")

    def packed(self) -> bytes:
        """In numpy's own format, which runs no code; equal arrays give equal bytes."""
        target = io.BytesIO()
        np.savez(target, components=self.components, mean=self.mean, ratio=self.ratio)
        return target.getvalue()

    @classmethod
    def of_model(cls, folder: Path) -> Projection:
        """The projection in a model's folder.

        Raises:
            MillraceError: there is none.
        """
        try:
            with np.load(folder / FILE, allow_pickle=False) as found:
                return cls(found["mean"], found["components"], found["ratio"])
        except (OSError, ValueError, KeyError) as error:
            raise MillraceError(
                f"the model holds no projection of image features ({error}); run its partition"
                " again"
            ) from None


def network_of_model(folder: Path) -> dict[str, Any]:
    """What is known of the network a model was trained with.

    Raises:
        MillraceError: the model says nothing of it.
    """
    try:
        found: dict[str, Any] = json.loads((folder / NETWORK).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise MillraceError(
            f"the model does not say which network it needs ({error}); run its partition again"
        ) from None
    return found


def write_rows(ids: list[str], components: np.ndarray, path: Path) -> None:
    """The `id,<components>` lines that inference.py reads."""
    frame = pd.DataFrame(components)
    frame.insert(0, "id", ids)
    frame.to_csv(path, header=False, index=False)
