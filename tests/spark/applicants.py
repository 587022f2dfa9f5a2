"""Features of synthetic applicants, and models that the training script makes of them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from millrace import transformation
from millrace.training import MODEL, pack, source_folder

KINDS = ("cash", "car", "mobile")
NUMBERS = ("income", "credit", "age", "debt", "late_days", "same", "never")
INPUTS = [{"name": name, "type": "number"} for name in NUMBERS]
STATE: dict[str, Any] = {
    "inputs": [*INPUTS, {"name": "kind", "type": "text"}],
    "engineered": [],
    "features": [
        *({"name": name, "how": "number", "fill": None} for name in NUMBERS),
        {"name": "kind", "how": "onehot", "fill": "other", "categories": [*KINDS]},
    ],
}


def applicants(count: int, seed: int = 0) -> pd.DataFrame:
    """Features by applicant: values are missing, one column is constant, one is empty."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "_row_id": [str(100_000 + seed * 50_000 + number) for number in range(count)],
            "income": random.lognormal(11, 0.5, count).round(2),
            "credit": random.lognormal(13, 0.6, count).round(2),
            "age": random.uniform(20, 70, count),
            "debt": random.exponential(2e5, count),
            "late_days": random.poisson(3, count).astype(float),
            "same": 7.0,
            "never": np.nan,
        }
    )
    frame["kind"] = random.choice([*KINDS, "boat", None], count, p=[0.5, 0.2, 0.2, 0.05, 0.05])
    for name, share in (("income", 0.05), ("debt", 0.3), ("late_days", 0.3)):
        frame.loc[random.random(count) < share, name] = np.nan
    risk = 0.3 * frame["late_days"].fillna(2) + frame["credit"] / frame["income"].fillna(6e4) / 8
    risk += (frame["kind"] == "mobile") - 0.04 * frame["age"]
    frame["TARGET"] = (risk + random.normal(size=count) > 1).astype("int8")
    return frame


def write_features(frame: pd.DataFrame, folder: Path, files: int = 1, group: int = 700) -> Path:
    """Features as they are published: parts in the order of the rows."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, rows in enumerate(np.array_split(np.arange(len(frame)), files)):
        table = pa.Table.from_pandas(frame.iloc[rows], preserve_index=False, schema=schema(frame))
        pq.write_table(table, folder / f"part-{number:05d}.parquet", row_group_size=group)
    return folder


def schema(frame: pd.DataFrame) -> pa.Schema:
    kinds = {"_row_id": pa.string(), "kind": pa.string(), "TARGET": pa.int8()}
    return pa.schema([(name, kinds.get(name, pa.float64())) for name in frame])


@dataclass(frozen=True)
class Trained:
    """A model of the applicants: its folder and its bundle."""

    folder: Path

    @property
    def bundle(self) -> Path:
        return self.folder.parent / MODEL


def train(folder: Path, algorithm: str, *arguments: object) -> Trained:
    """A model made by the training script in a process of its own."""
    channel = folder / "channel"
    channel.mkdir(parents=True)
    frame = applicants(1500, seed=1)
    matrix = transformation.apply(STATE, transformation.columns_of(STATE, frame))
    train = pd.DataFrame(matrix, columns=transformation.feature_names(STATE))
    train.insert(0, "TARGET", frame["TARGET"])
    train.to_csv(channel / "train.csv", index=False)
    (channel / "transformation.json").write_text(json.dumps(STATE))
    with source_folder() as source:
        subprocess.run(
            [sys.executable, str(source / "train.py"), "--algorithm", algorithm,
             "--train", str(channel), "--model-dir", str(folder / "model"), "--output-data-dir",
             str(folder / "output"), "--folds", "2", *map(str, arguments)],
            check=True, capture_output=True,
        )  # fmt: skip
    shutil.rmtree(channel)
    pack(folder / "model", folder / MODEL)
    return Trained(folder / "model")
