"""The image job's one-pass principal components, on features read from Parquet.

one_pass_pca.py <folder of features> <components> <file for the result>
"""

import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "include" / "spark"))

import numpy as np
import pyarrow.parquet as pq

import cluster
import components
from pca import Moments, fit
from storage import Folder

source, count, target = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
BLOCK = 1000  # rows


def moments_of(work: Folder, path: str) -> str:
    """Gather the moments of one file, as the feature stage does of its own; gives their file."""
    gathered: Moments | None = None
    for batch in pq.ParquetFile(path).iter_batches(BLOCK):
        found = Moments.of(batch.column(0).values.to_numpy().reshape(batch.num_rows, -1))
        gathered = gathered.merged(found) if gathered else found
    if gathered is None:
        raise SystemExit(f"{path} holds no rows")
    name = f"{Path(path).stem}.npz"
    work.write(name, gathered.packed())
    return name


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, cluster.spark() as context:
        work = Folder.of(folder)
        began = time.time()
        files = [str(path) for path in sorted(source.glob("*.parquet"))]
        names = cluster.run(context, lambda path: moments_of(work, path), files, "moments")
        model = fit(components.gather(context, work, names), count, "synthetic")
        ended = time.time()
    np.savez(target, components=model.components, ratio=model.ratio)
    print(json.dumps([began, ended]))


if __name__ == "__main__":
    main()
