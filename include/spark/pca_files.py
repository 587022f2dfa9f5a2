"""A PCA model as files: Parquet and CSV tables for people and tools, JSON for its identity."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from pca import Model
from storage import Folder, JobError


def write(model: Model, folder: Folder, names: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """Write components, mean and explained variance; gives each file's size and sha256."""
    written = {}
    for name, table in tables(model, names).items():
        written.update(write_table(folder, name, table))
    facts = {
        "network": model.network, "k": model.k, "width": len(model.mean),
        "method": model.method, "rows": model.rows,
    }  # fmt: skip
    written["model.json"] = folder.write("model.json", json.dumps(facts, indent=2).encode())
    return written


def write_table(folder: Folder, name: str, table: pa.Table) -> dict[str, dict[str, Any]]:
    """Write a table as Parquet and as CSV; gives each file's size and sha256."""
    parquet, text = io.BytesIO(), io.BytesIO()
    pq.write_table(table, parquet)
    csv.write_csv(table, text)
    return {
        f"{name}.parquet": folder.write(f"{name}.parquet", parquet.getvalue()),
        f"{name}.csv": folder.write(f"{name}.csv", text.getvalue()),
    }


def tables(model: Model, names: Sequence[str] = ()) -> dict[str, pa.Table]:
    """The model's three tables; features without names are called f0, f1, ..."""
    features = list(names) or [f"f{number}" for number in range(len(model.mean))]
    numbers = pa.array(range(1, model.k + 1), pa.int32())
    columns = {name: model.components[:, at] for at, name in enumerate(features)}
    return {
        "components": pa.table({"component": numbers, **columns}),
        "mean": pa.table({"feature": features, "mean": model.mean}),
        "explained_variance": pa.table(
            {
                "component": numbers,
                "variance": model.variance,
                "ratio": model.ratio,
                "cumulative": np.cumsum(model.ratio),
            }
        ),
    }


def read(folder: Folder, network: str) -> Model:
    """A stored model, for images of the same network.

    Raises:
        JobError: there is none, it is broken, or it belongs to another network.
    """
    try:
        facts = json.loads(folder.read("model.json"))
        found = {
            name: pq.read_table(pa.BufferReader(folder.read(f"{name}.parquet")))
            for name in ("components", "mean", "explained_variance")
        }
        columns = found["components"].columns[1:]
        model = Model(
            facts["network"], facts["method"], facts["rows"],
            found["mean"]["mean"].to_numpy(), np.stack([c.to_numpy() for c in columns], axis=1),
            found["explained_variance"]["variance"].to_numpy(),
            found["explained_variance"]["ratio"].to_numpy(),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise JobError(
            f"--apply {folder.uri} holds no PCA model ({reason}); name the folder pca/ of a run"
        ) from error
    if model.network != network:
        raise JobError(
            f"--apply {folder.uri} was fitted on features of network {model.network}, and these"
            f" are of network {network}: use the same file, precision and scaling"
        )
    return model


def check_width(model: Model, width: int) -> None:
    """Raises JobError where a stored model is of another feature width."""
    if len(model.mean) != width:
        raise JobError(
            f"--apply: the model takes {len(model.mean):,} features, the network gives {width:,}"
        )
