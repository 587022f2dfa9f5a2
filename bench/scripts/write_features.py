"""Write features like an image network's as Parquet: write_features.py <folder> <rows> <width>.

Positive numbers with a mean far from 0, whose variance falls off along hidden directions as that
of real features does; float32, eight files.
"""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

FILES, BLOCK = 8, 2000
folder, rows, width = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
draws = np.random.default_rng(0)
directions = draws.normal(size=(width, width)) / np.sqrt(width)
spread = 1 / np.arange(1, width + 1) ** 0.7
folder.mkdir(parents=True)
bounds = np.linspace(0, rows, FILES + 1).astype(int)
schema = pa.schema([("features", pa.list_(pa.float32()))])
for number in range(FILES):
    with pq.ParquetWriter(folder / f"part-{number}.parquet", schema) as writer:
        for start in range(bounds[number], bounds[number + 1], BLOCK):
            count = min(BLOCK, bounds[number + 1] - start)
            values = 3 + (draws.standard_normal((count, width)) * spread) @ directions
            values = values.astype(np.float32)
            ends = pa.array(np.arange(count + 1, dtype=np.int32) * width)
            column = pa.ListArray.from_arrays(ends, pa.array(values.ravel()))
            writer.write_table(pa.table([column], schema=schema))
