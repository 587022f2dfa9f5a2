"""What runs on the workers, by stage."""

from __future__ import annotations

from typing import Any

import feature_task
import parts
from feature_task import FeatureJob, Report
from pca import Model
from reuse import keys_of
from storage import Folder


def features(job: FeatureJob, content: Any, known: Any, done: Any, number: int) -> Report:
    """Compute one piece of the listing; `content` and `known` are broadcasts, `done` counts."""
    return feature_task.compute(job, lambda: content.value, known.value, number, done.add)


def project(
    work: Folder, target: Folder, model: Any, piece: tuple[int, str]
) -> tuple[dict[str, Any], bytes]:
    """Write the final part of one part of features; gives its facts and its rows' hash keys."""
    number, name = piece
    fitted: Model = model.value
    schema = parts.schema(len(fitted.mean), fitted.network, projected=True)
    part = parts.Part(target, parts.own_name("part", number), schema)
    hashes: list[str] = []
    for table in parts.blocks(work, name):
        projected = fitted.project(parts.features_of(table))
        part.append(parts.with_pca(table, projected, schema))
        hashes += table.column("hash").to_pylist()
    return part.close(), keys_of(hashes).tobytes()
