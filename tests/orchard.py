"""A small made-up data set: which trees of an orchard bear fruit, with every kind of column."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from millrace.datasets import DatasetSpec
from millrace.ingest import read_raw
from millrace.validate import Validation, validate

SPEC: dict[str, Any] = {
    "name": "orchard",
    "description": "Which trees bear fruit.",
    "owner": "gardeners",
    "schedule": None,
    "target": {"column": "bears", "positive": "yes", "negative": "no"},
    "columns": {
        "tree": {"role": "id"},
        "height": {"role": "numeric", "minimum": 0},
        "age": {"role": "numeric"},
        "soil": {"role": "categorical", "values": ["clay", "loam", "sand"]},
        "side": {"role": "categorical", "encoding": "label"},
        "gardener": {"role": "personal"},
        "plot": {"role": "drop"},
        "harvest": {"role": "outcome"},
    },
    "features": {
        "Title": {
            "kind": "extract", "column": "gardener", "pattern": r"^(\w+)\.", "keep": ["Mr", "Ms"],
            "spellings": {"Ms": ["Mrs"]},
        },
        "Growth": {"kind": "ratio", "numerator": "height", "denominator": "age"},
        "HasPlot": {"kind": "present", "column": "plot"},
    },
    "candidates": {
        "forest": {"algorithm": "random_forest", "hyperparameters": {"n_estimators": 10}},
        "line": {"algorithm": "logistic_regression"},
    },
}  # fmt: skip


def orchard(**changes: Any) -> DatasetSpec:
    """The spec of the orchard; every argument replaces one of its sections."""
    return DatasetSpec.model_validate({**SPEC, **changes})


def orchard_rows(rows: int = 200, *, seed: int = 0, positive: float = 0.4) -> pd.DataFrame:
    """Raw rows as text: tall old trees on loam bear fruit more often."""
    random = np.random.default_rng(seed)
    height, age = random.gamma(4, 1, rows).round(2), random.integers(0, 30, rows)
    soil = random.choice(["clay", "loam", "sand"], rows)
    score = height + age / 10 + 2 * (soil == "loam") + random.normal(0, 1, rows)
    bears = score >= np.sort(score)[-max(1, round(rows * positive))]
    blank = random.random(rows) < 0.1
    return pd.DataFrame(
        {
            "tree": [f"t{number}" for number in range(rows)],
            "height": [f"{value:g}" for value in height],
            "age": np.where(blank, "", age.astype(str)),
            "soil": np.where(random.random(rows) < 0.05, "", soil),
            "side": random.choice(["north", "south", "east"], rows),
            "gardener": random.choice(["Mr. Oak", "Mrs. Elm", "Ms. Ash", "Dr. Fir", "Yew"], rows),
            "plot": np.where(random.random(rows) < 0.5, "", "P7"),
            "harvest": np.where(bears, "9", "0"),
            "bears": np.where(bears, "yes", "no"),
        }
    ).astype("object")


def write_csv(path: Path, frame: pd.DataFrame, **options: Any) -> Path:
    """Write rows as a delivery might come: comma-separated UTF-8 unless `options` says else."""
    encoding = options.pop("encoding", "utf-8")
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, **options)
        writer.writerow(frame.columns)
        writer.writerows(frame.itertuples(index=False))
    return path


def checked(folder: Path, spec: DatasetSpec, *contents: str | bytes | pd.DataFrame) -> Validation:
    """Write raw files (`part-1.csv`, `part-2.csv`, ...), read and validate them."""
    paths = []
    for number, content in enumerate(contents, start=1):
        path = folder / f"part-{number}.csv"
        if isinstance(content, pd.DataFrame):
            write_csv(path, content)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        paths.append(path)
    return validate(read_raw(paths, spec), spec)


def orchard_clean(folder: Path, spec: DatasetSpec, rows: int = 200, **options: Any) -> pd.DataFrame:
    """Validated rows of the orchard."""
    result = checked(folder, spec, orchard_rows(rows, **options))
    assert result.passed, result.report["problems"]
    return result.clean
