"""Moments that tasks have left as files, merged as a tree."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cluster
import parts
from pca import Moments
from storage import Folder

if TYPE_CHECKING:
    from pyspark import SparkContext

MERGED = 16  # files of moments a task merges, 13 MB each for 1,280 features


def gather(context: SparkContext, work: Folder, names: Sequence[str], kind: Any = Moments) -> Any:
    """Merge the tasks' moments of a kind as a tree, until few enough are left for the driver."""
    while len(names) > MERGED:
        groups = [names[at : at + MERGED] for at in range(0, len(names), MERGED)]
        task = functools.partial(merge, work, kind)
        names = cluster.run(context, task, groups, "merging moments")
    return merge_all(work, kind, names)


def merge(work: Folder, kind: Any, names: Sequence[str]) -> str:
    """Merge files of moments of a kind into one; gives its name."""
    merged = parts.own_name("merged", 0, ".npz")
    work.write(merged, merge_all(work, kind, names).packed())
    return merged


def merge_all(work: Folder, kind: Any, names: Sequence[str]) -> Any:
    """The moments of several files, one in memory at a time; always in the same order."""
    first, *others = names
    moments = kind.unpacked(work.read(first))
    for name in others:
        moments = moments.merged(kind.unpacked(work.read(name)))
    return moments
