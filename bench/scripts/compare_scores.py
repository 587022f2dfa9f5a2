"""The largest difference of scores: compare_scores.py <Parquet or folder> [<another> ...]"""

import json
import sys

import numpy as np
import pyarrow.parquet as pq

tables = [
    pq.read_table(path, columns=["_row_id", "probability"]).sort_by("_row_id")
    for path in sys.argv[1:]
]
first = tables[0]
if any(table["_row_id"] != first["_row_id"] for table in tables):
    raise SystemExit("the rows are not the same")
scores = np.array([table["probability"].to_numpy() for table in tables])
print(json.dumps(float(np.ptp(scores, axis=0).max())))
