"""What the model service has recorded: inputs and answers, nothing personal and no picture.

Of a picture the service keeps the principal components that the model was given.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from millrace.lake import Store
from millrace.lake.store import Entry


def recorded_files(store: Store, dataset: str, day: str) -> list[Entry]:
    """The files of the day's recorded predictions."""
    return [
        entry for entry in store.list(f"recorded/{dataset}/{day}")
        if entry.key.endswith(".parquet") and "/." not in entry.key
    ]  # fmt: skip


def requests(store: Store, recorded: Sequence[Entry], version: str) -> pd.DataFrame:
    """What one version was asked, and what it answered."""
    tables = []
    with tempfile.TemporaryDirectory(prefix="millrace-recorded-") as scratch:
        for number, entry in enumerate(recorded):
            folder = Path(scratch) / str(number)
            folder.mkdir()
            tables.append(pq.read_table(store.local(entry.key, folder)))
    if not tables:
        return pd.DataFrame()
    frame: pd.DataFrame = pa.concat_tables(tables, promote_options="permissive").to_pandas()
    return frame[frame["_version"] == version].drop(columns=["_time", "_version"])
