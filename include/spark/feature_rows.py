"""Published features: which rows there are, how they are cut into pieces, and reading a piece."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as kinds

from reuse import MANIFEST
from storage import LISTERS, Folder, JobError

ROW_ID = "_row_id"
PER_CORE = 4  # pieces: the last ones to finish leave cores idle for a short time only
FEWEST, MOST = 1_000, 50_000  # rows of a piece
Span = tuple[str, int, int]  # a file, its first row that is meant, and the first that is not


@dataclass(frozen=True)
class Table:
    """The features of a partition.

    Attributes:
        folder: of the files.
        files: (name, rows), by name; files without rows are left out.
        schema: of each file.
    """

    folder: Folder
    files: tuple[tuple[str, int], ...]
    schema: pa.Schema

    @property
    def rows(self) -> int:
        return sum(rows for _, rows in self.files)

    def numbers(self, leave: Sequence[str] = ()) -> list[str]:
        """Names of the columns of numbers, but those to be left out."""
        return [f.name for f in self.schema if is_number(f.type) and f.name not in leave]


def find(folder: Folder) -> Table:
    """The features below a folder: what its manifest names, or all Parquet files in it.

    Raises:
        JobError: there are none, they differ in their columns, or they have no `_row_id`.
    """
    place, names = _names(folder)
    if not names:
        raise JobError(f"there are no Parquet files in {folder.uri}; --features names their folder")
    with ThreadPoolExecutor(LISTERS) as pool:
        found = list(pool.map(lambda name: _described(place, name), names))
    first = found[0][1]
    for name, (_, schema) in zip(names, found):
        if not schema.equals(first):
            odd = sorted(set(map(str, schema)) ^ set(map(str, first)))
            raise JobError(
                f"{place.child(name).uri} has other columns than {names[0]}: {', '.join(odd[:5])}"
            )
    if ROW_ID not in first.names:
        raise JobError(f"the features in {folder.uri} have no column {ROW_ID}, the subject's id")
    files = tuple((name, rows) for name, (rows, _) in zip(names, found) if rows)
    if not files:
        raise JobError(f"the features in {folder.uri} have no rows")
    return Table(place, files, first)


def _names(folder: Folder) -> tuple[Folder, list[str]]:
    """The folder of the files, and their names."""
    there = folder.files()
    if MANIFEST in there:
        manifest = json.loads(folder.read(MANIFEST))
        place = folder.child(manifest["attempt"])
        names = [name for name in manifest["files"] if name.startswith("features/")]
    else:
        place, names = folder, [name for name in there if "/" not in name]
    return place, sorted(name for name in names if name.endswith(".parquet"))


def _described(folder: Folder, name: str) -> tuple[int, pa.Schema]:
    try:
        with folder.open(name) as file:
            parquet = pq.ParquetFile(file)
            return parquet.metadata.num_rows, parquet.schema_arrow.remove_metadata()
    except (OSError, pa.ArrowInvalid) as error:
        reason = " ".join(str(error).split())[:200]
        raise JobError(f"{folder.child(name).uri} cannot be read: {reason}") from error


def is_number(of: pa.DataType) -> bool:
    return bool(kinds.is_floating(of) or kinds.is_integer(of) or kinds.is_decimal(of))


def is_text(of: pa.DataType) -> bool:
    if kinds.is_dictionary(of):
        of = of.value_type
    return bool(kinds.is_string(of) or kinds.is_large_string(of))


def is_empty(of: pa.DataType) -> bool:
    """Whether a column can have no values at all."""
    return bool(kinds.is_null(of))


def piece_count(rows: int, cores: int) -> int:
    """How many pieces: a few a core on small jobs, of so many rows at most on big ones."""
    small = min(PER_CORE * cores, math.ceil(rows / FEWEST))
    return max(small, math.ceil(rows / MOST), 1)


def cut(table: Table, count: int) -> list[list[Span]]:
    """Neighbouring rows in at most `count` pieces of equal size, none of them empty."""
    edges = np.unique(np.linspace(0, table.rows, min(count, table.rows) + 1).round().astype(int))
    starts = np.concatenate([[0], np.cumsum([rows for _, rows in table.files])])
    pieces = []
    for start, end in zip(edges[:-1].tolist(), edges[1:].tolist()):
        spans = []
        for at in range(int(np.searchsorted(starts, start, "right")) - 1, len(table.files)):
            begins, name = int(starts[at]), table.files[at][0]
            if begins >= end:
                break
            spans.append((name, max(start - begins, 0), min(end, int(starts[at + 1])) - begins))
        pieces.append(spans)
    return pieces


def batches(
    folder: Folder, spans: Sequence[Span], columns: Sequence[str], size: int
) -> Iterator[pa.RecordBatch]:
    """The rows of a piece in order, at most `size` at a time."""
    for name, start, end in spans:
        with folder.open(name) as file:
            yield from _span(pq.ParquetFile(file, pre_buffer=not folder.local), start, end,
                             list(columns), size)  # fmt: skip


def _span(
    file: pq.ParquetFile, start: int, end: int, columns: list[str], size: int
) -> Iterator[pa.RecordBatch]:
    """Rows from `start` to before `end`, from the row groups that hold them."""
    groups: list[int] = []
    first = seen = 0
    for number in range(file.num_row_groups):
        rows = file.metadata.row_group(number).num_rows
        if seen < end and seen + rows > start:
            first = first if groups else seen
            groups.append(number)
        seen += rows
    at = first
    for batch in file.iter_batches(size, row_groups=groups, columns=columns, use_threads=False):
        low, high = max(start - at, 0), min(end - at, batch.num_rows)
        at += batch.num_rows
        if low < high:
            yield batch.slice(low, high - low)
        if at >= end:
            return
