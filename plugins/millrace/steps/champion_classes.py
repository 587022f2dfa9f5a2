"""A champion of several classes on the test images of another partition."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from millrace.class_scores import score
from millrace.errors import MillraceError
from millrace.lake import Published
from millrace.projection import Projection, network_of_model, write_rows
from millrace.steps.features import features_of, matrix, parts
from millrace.steps.predictions import labels_of
from millrace.steps.run import Run


def write_components(
    run: Run, processed: Published, bundle: Path, path: Path, only: Collection[str] | None = None
) -> None:
    """The test images as the champion sees them: their features, its principal components.

    Args:
        only: paths of the test images that are written; all of them without it.

    Raises:
        MillraceError: the champion was trained with another network.
    """
    mine, its = processed.facts["job"]["network"], network_of_model(bundle)
    if (mine["sha256"], mine.get("scaling")) != (its["sha256"], its.get("scaling")):
        raise MillraceError(
            f"it was trained with the network {its['name']} ({its['weights']} weights,"
            f" sha256 {its['sha256'][:12]}), this partition's features are of {mine['name']}"
            f" ({mine['weights']} weights, sha256 {mine['sha256'][:12]})"
        )
    wanted = set(labels_of(run, processed).index if only is None else only)
    projection, ids, found = Projection.of_model(bundle), [], []
    for _, file in parts(features_of(run)):
        for batch in file.iter_batches(columns=["path", "features"]):
            paths = batch["path"].to_pylist()
            rows = [row for row, name in enumerate(paths) if name in wanted]
            if rows:
                ids += [paths[row] for row in rows]
                found.append(projection.apply(matrix(batch["features"])[rows]))
    write_rows(ids, np.concatenate(found), path)


def score_of_classes(
    target: pd.Series, probability: np.ndarray, known: Sequence[str], classes: Sequence[str]
) -> dict[str, float]:
    """Scores of a model that may know other classes than the partition has.

    Args:
        target: numbers of the partition's `classes`.
        probability: one column for each class the model knows.
    """
    every = [*classes, *(name for name in known if name not in classes)]
    placed = np.zeros((len(probability), len(every)))
    placed[:, [every.index(name) for name in known]] = probability
    return score(target, placed)
