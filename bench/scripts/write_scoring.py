"""Write made-up features and a LightGBM model of them, trained by the project's training script.

    write_scoring.py <folder> <rows> <columns> <trees> [<times> ...]

Makes <folder>/features-<times> for each of `times`, and <folder>/model.tar.gz and <folder>/model.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from millrace import transformation
from millrace.training import MODEL, pack, source_folder

Floats = NDArray[Any]
TRAINED = 5_000  # rows
PART = 50_000  # rows

folder = Path(sys.argv[1])
count, width, trees, *growth = map(int, sys.argv[2:])
names = [f"feature_{number:03d}" for number in range(width)]
state = {
    "inputs": [{"name": name, "type": "number"} for name in names],
    "engineered": [],
    "features": [{"name": name, "how": "number", "fill": None} for name in names],
}


def draw(seed: int | list[int], rows: int) -> tuple[Floats, Floats]:
    """Features, of which a tenth is missing, and a target that some of them make."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((rows, width))
    target = (values[:, :20].sum(axis=1) / 4 + rng.logistic(size=rows)) > 2
    values[rng.random(values.shape) < 0.1] = np.nan
    return values, target


def write_features(target: Path, rows: int) -> None:
    """Parts as the features are published."""
    target.mkdir(parents=True)
    for part, start in enumerate(range(0, rows, PART)):
        size = min(PART, rows - start)
        values, _ = draw([1, part], size)
        table: dict[str, Any] = {"_row_id": [str(start + row) for row in range(size)]}
        table |= {name: values[:, place] for place, name in enumerate(names)}
        pq.write_table(pa.table(table), target / f"part-{part:05d}.parquet", compression="zstd")


def train() -> None:
    """The model as an archive, and as a folder."""
    channel = folder / "channel"
    channel.mkdir(parents=True)
    values, target = draw(0, TRAINED)
    table = pa.table(
        {"TARGET": target.astype("int8"), **{name: values[:, i] for i, name in enumerate(names)}}
    )
    matrix = transformation.apply(state, transformation.columns_of(state, table.to_pandas()))
    np.savetxt(
        channel / "train.csv", np.column_stack([target, matrix]), delimiter=",", fmt="%.9g",
        header=",".join(["TARGET", *names]), comments="",
    )  # fmt: skip
    (channel / "transformation.json").write_text(json.dumps(state))
    with source_folder() as source:
        subprocess.run(
            [sys.executable, str(source / "train.py"), "--algorithm", "lightgbm", "--train",
             str(channel), "--model-dir", str(folder / "model"), "--output-data-dir",
             str(folder / "output"), "--folds", "2", "--num_round", str(trees), "--num_leaves",
             "31", "--threshold", "0.3"],
            check=True,
        )  # fmt: skip
    pack(folder / "model", folder / MODEL)


train()
for times in growth:
    write_features(folder / f"features-{times}", times * count)
