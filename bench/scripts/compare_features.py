"""How near the features are that two ways found for the same images.

compare_features.py <folder of Parquet files> <another>

Matches the ends of the paths; prints count, least and mean cosine as JSON.
"""

import json
import sys

import numpy as np
import pyarrow.dataset as ds


def features(folder: str) -> dict[str, np.ndarray]:
    table = ds.dataset(folder, format="parquet").to_table(columns=["path", "features"])
    names = ["/".join(path.split("/")[-2:]) for path in table["path"].to_pylist()]
    values = np.stack(table["features"].to_numpy())
    return dict(zip((name.replace("%20", " ") for name in names), values, strict=True))


one, other = features(sys.argv[1]), features(sys.argv[2])
if one.keys() != other.keys():
    raise SystemExit(f"the images differ: {sorted(one.keys() ^ other.keys())[:5]}")
cosines = [
    float(one[name] @ other[name] / np.linalg.norm(one[name]) / np.linalg.norm(other[name]))
    for name in one
]
print(json.dumps({"count": len(one), "minimum": min(cosines), "mean": float(np.mean(cosines))}))
