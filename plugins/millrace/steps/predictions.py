"""The test rows' targets and predictions, for the steps that judge models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from millrace.errors import MillraceError
from millrace.lake import Published
from millrace.steps.run import Run


def labels_of(run: Run, processed: Published) -> pd.Series:
    """The test rows' targets by row id."""
    labels = pd.read_csv(processed.path("test/labels.csv"), dtype={0: str}, keep_default_na=False)
    return labels.set_index(labels.columns[0])[run.spec.target_column]


def probabilities(path: Path, target: pd.Series) -> np.ndarray:
    """Predictions in the order of the labels, joined by row id: (rows,) or (rows, classes).

    Raises:
        MillraceError: rows are missing or were not asked for.
    """
    predicted = pd.read_csv(
        path, header=None, dtype={0: str}, keep_default_na=False
    ).set_index(0)  # fmt: skip
    if len(predicted) != len(target) or not predicted.index.isin(target.index).all():
        raise MillraceError(
            f"{path} holds {len(predicted)} predictions for {len(target)} test rows;"
            " run transform again"
        )
    found = predicted.loc[target.index].to_numpy()
    return found[:, 0] if found.shape[1] == 1 else found
