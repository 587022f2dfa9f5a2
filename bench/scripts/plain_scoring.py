"""The limit of scoring: one process that reads Parquet, predicts by LightGBM on one core, writes.

    plain_scoring.py <folder of features> <LightGBM model file> <file for the scores> [more]

With `contributions` as `more`, the exact contributions are computed too, and not written.
Prints when reading began and writing ended, in seconds since 1970.
"""

import json
import sys
import time
from pathlib import Path

import lightgbm
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

source, model, target, *more = sys.argv[1:]
BATCH = 2048  # rows, as in the job
began = time.time()
booster = lightgbm.Booster(model_file=model)
schema = pa.schema([("_row_id", pa.string()), ("probability", pa.float64())])
with pq.ParquetWriter(target, schema) as writer:
    for path in sorted(Path(source).glob("*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(BATCH):
            matrix = np.column_stack([batch[name] for name in batch.schema.names[1:]])
            scores = booster.predict(matrix, num_threads=1)
            if more:
                booster.predict(matrix, pred_contrib=True, num_threads=1)
            writer.write_batch(pa.record_batch([batch["_row_id"], scores], schema=schema))
print(json.dumps([began, time.time()]))
