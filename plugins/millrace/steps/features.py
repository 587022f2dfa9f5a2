"""The published features of a partition, for the steps that read them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from millrace.errors import MillraceError
from millrace.lake import Published
from millrace.projection import Projection
from millrace.steps.run import Run

if TYPE_CHECKING:
    import pandas as pd

STEP = "image_features"
PARTS, QUARANTINE = "features/", "quarantine/quarantine.parquet"


def features_of(run: Run) -> Published:
    """What the step image_features published for the run's partition."""
    return run.published("features", "", STEP)


def parts(features: Published) -> Iterator[tuple[str, pq.ParquetFile]]:
    """The files that hold rows, by name."""
    for name in sorted(features.manifest.files):
        if name.startswith(PARTS) and name.endswith(".parquet"):
            with pq.ParquetFile(features.path(name)) as file:
                yield name, file


def network_of(file: pq.ParquetFile) -> str:
    """The id of the network that made a part's features; empty where it says none."""
    return ((file.schema_arrow.metadata or {}).get(b"network") or b"").decode()


def rows(features: Published) -> pd.DataFrame:
    """path, label and hash of each image."""
    import pandas as pd

    tables = [file.read(columns=["path", "label", "hash"]) for _, file in parts(features)]
    if not tables:
        return pd.DataFrame({"path": [], "label": [], "hash": []}, dtype="object")
    frame: pd.DataFrame = pa.concat_tables(tables).to_pandas()
    return frame


def components(features: Published) -> np.ndarray:
    """Principal components in the order of `rows`: float32 of shape (images, components)."""
    found = [matrix(file.read(columns=["pca"])["pca"]) for _, file in parts(features)]
    return np.concatenate(found) if found else np.empty((0, 0), "float32")


def matrix(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """A column of lists of one length as an array of shape (rows, length).

    Raises:
        MillraceError: the lists are of different lengths.
    """
    lengths = pc.unique(pc.list_value_length(column)).to_pylist()
    if len(lengths) != 1:
        raise MillraceError(
            f"images of one file have {lengths} numbers; delete the published features and run"
            f" {STEP} again"
        )
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    values = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in chunks]
    return np.concatenate(values).reshape(-1, lengths[0])


def projection(features: Published) -> Projection:
    """What made components of the features."""
    names = ("components", "mean", "explained_variance")
    tables = {name: pq.read_table(features.path(f"pca/{name}.parquet")) for name in names}
    columns = [column.to_numpy() for column in tables["components"].columns[1:]]
    return Projection(
        tables["mean"]["mean"].to_numpy().astype("float64"),
        np.column_stack(columns).astype("float64"),
        tables["explained_variance"]["ratio"].to_numpy().astype("float64"),
    )


def figures(features: Published) -> dict[str, Any]:
    """What reports say of the job that made the features."""
    facts = features.facts
    kept = ("network", "images", "rows", "quarantined", "reused", "width", "components", "cosine",
            "images_per_second", "seconds", "spark")  # fmt: skip
    ratio = facts.get("explained_variance_ratio") or []
    found = {name: facts[name] for name in kept if name in facts}
    return json.loads(json.dumps({**found, "explained_variance": float(sum(ratio))}))
