"""Writing batches of rows to Parquet, the same bytes for the same rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

GROUP = 100_000  # rows of a row group


def write_batches(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, path: Path, rows: int = GROUP
) -> int:
    """Write all batches into one file of row groups of `rows` rows; returns the rows written.

    Row groups do not depend on how the rows came in batches, and no more than one group and one
    batch stand in memory.
    """
    written = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for table in regrouped(batches, schema, rows):
            writer.write_table(table, row_group_size=rows)
            written += table.num_rows
    return written


def regrouped(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, rows: int
) -> Iterator[pa.Table]:
    """The same rows in tables of `rows` rows; the last one holds the rest."""
    kept: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        while batch.num_rows:
            part = batch.slice(0, rows - count)
            batch = batch.slice(part.num_rows)
            kept.append(part)
            count += part.num_rows
            if count == rows:
                yield pa.Table.from_batches(kept, schema)
                kept, count = [], 0
    if count:
        yield pa.Table.from_batches(kept, schema)
