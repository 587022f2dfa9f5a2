"""What runs on the workers, by stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import feature_task
import parts
from feature_task import FeatureJob, Report
from pca import Model, Moments
from reuse import keys_of
from storage import Folder


def features(job: FeatureJob, content: Any, known: Any, done: Any, number: int) -> Report:
    """Compute one piece of the listing; `content` and `known` are broadcasts, `done` counts."""
    return feature_task.compute(job, lambda: content.value, known.value, number, done.add)


def merge(work: Folder, names: Sequence[str]) -> str:
    """Merge files of moments into one; gives its name."""
    merged = parts.own_name("merged", 0, ".npz")
    work.write(merged, merge_all(work, names).packed())
    return merged


def merge_all(work: Folder, names: Sequence[str]) -> Moments:
    """The moments of several files, one in memory at a time; always in the same order."""
    first, *others = names
    moments = Moments.unpacked(work.read(first))
    for name in others:
        moments = moments.merged(Moments.unpacked(work.read(name)))
    return moments


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
