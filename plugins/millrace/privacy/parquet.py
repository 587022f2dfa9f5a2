"""Taking rows out of Parquet files, one row group at a time."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from millrace.privacy.subject import Doom, canonical

if TYPE_CHECKING:
    import pyarrow as pa


def drop_rows(source: Path, target: Path, doom: Doom) -> int:
    """Copy a file without the rows that are doomed; returns how many those were.

    Schema, metadata, compression and the order of the rows stay. Where no row is doomed, nothing
    is written: only the columns that decide it were read.
    """
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with pq.ParquetFile(source) as file:
        columns = [name for name in file.schema_arrow.names if name in doom]
        if not columns:
            return 0
        groups = range(file.num_row_groups)
        masks = [_doomed(file.read_row_group(group, columns=columns), doom) for group in groups]
        removed = sum(pc.sum(mask).as_py() or 0 for mask in masks)
        if not removed:
            return 0
        codec = file.metadata.row_group(0).column(0).compression
        with pq.ParquetWriter(target, file.schema_arrow, compression=codec.lower()) as writer:
            for group, mask in zip(groups, masks, strict=True):
                kept = file.read_row_group(group).filter(pc.invert(mask))
                if kept.num_rows:
                    writer.write_table(kept, row_group_size=kept.num_rows)
    return int(removed)


def values_of(path: Path, doom: Doom, wanted: str) -> frozenset[str]:
    """The values of the column `wanted` in the rows that are doomed."""
    import pyarrow.parquet as pq

    found: set[str] = set()
    with pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        columns = [name for name in names if name in doom]
        if wanted not in names or not columns:
            return frozenset()
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=list({*columns, wanted}))
            kept = table.column(wanted).filter(_doomed(table, doom)).to_pylist()
            found.update(canonical(str(value)) for value in kept if value is not None)
    return frozenset(found)


def _doomed(table: pa.Table, doom: Doom) -> pa.BooleanArray:
    """For each row whether it is doomed."""
    import pyarrow as pa
    import pyarrow.compute as pc

    mask = pa.repeat(False, table.num_rows)
    for name in table.column_names:
        column = table.column(name).combine_chunks()
        if name not in doom or not table.num_rows:
            continue
        if values := _of_type(column, doom[name]):
            found = pc.is_in(column, value_set=pa.array(values, column.type))
            mask = pc.or_(mask, found)
    return mask


def _of_type(column: pa.Array, identifiers: frozenset[str]) -> list[Any]:
    """The values of a column that are one of the identifiers."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_int64(column.type):
        return [int(each) for each in identifiers if re.fullmatch(r"-?\d{1,18}", each)]
    return [
        value
        for value in pc.unique(column).to_pylist()
        if value is not None and canonical(str(value)) in identifiers
    ]
