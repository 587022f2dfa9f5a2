"""Parts of the feature table: Parquet files that tasks write, each under a name of its own.

A task that runs twice (a retry, a speculative copy) leaves two files; only the one it reports
counts.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from storage import Folder

BLOCK = 1024  # rows computed, held in memory and written at a time: a row group


def own_name(kind: str, number: int, suffix: str = ".parquet") -> str:
    """A name that no other attempt at the same piece has."""
    return f"{kind}-{number:05d}-{uuid.uuid4().hex[:12]}{suffix}"


def schema(width: int, network: str, projected: bool = False) -> pa.Schema:
    """Columns of a part; the network's identity is in the file's metadata."""
    columns = [
        pa.field("path", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("hash", pa.string(), nullable=False),
        pa.field("features", pa.list_(pa.float32(), width), nullable=False),
    ]
    if projected:
        columns.append(pa.field("pca", pa.list_(pa.float32()), nullable=False))
    return pa.schema(columns, {"network": network})


@dataclass
class Hashed:
    """A stream that counts and hashes what is written through it, as pyarrow calls streams."""

    stream: Any
    size: int = 0
    sha256: Any = field(default_factory=hashlib.sha256)
    closed: bool = False

    def write(self, content: Any) -> int:
        length = memoryview(content).nbytes
        self.size += length
        self.sha256.update(content)
        self.stream.write(content)
        return length

    def flush(self) -> None:
        self.stream.flush()

    def close(self) -> None:
        self.closed = True

    @property
    def facts(self) -> dict[str, Any]:
        return {"size": self.size, "sha256": self.sha256.hexdigest()}


class Part:
    """A part being written, one block at a time; there is no file until the first block."""

    def __init__(
        self, folder: Folder, name: str, of: pa.Schema, compression: str = "zstd",
        group: int = BLOCK, repeated: Sequence[str] = ("label",),
        judged: Sequence[str] = ("path", "label"),
    ) -> None:  # fmt: skip
        """
        Args:
            group: rows of a row group, where more are appended at a time.
            repeated: columns whose values come again and again.
            judged: columns whose smallest and largest value help a reader to skip.
        """
        self.folder, self.name, self.schema, self.compression = folder, name, of, compression
        self.group, self.repeated, self.judged = group, list(repeated), list(judged)
        self.rows = 0
        self._stream: Any = None
        self._hashed: Hashed | None = None
        self._writer: Any = None

    def append(self, table: pa.Table) -> None:
        if not table.num_rows:
            return
        if self._writer is None:
            self._stream = self.folder.create(self.name)
            self._hashed = Hashed(self._stream)
            self._writer = pq.ParquetWriter(
                pa.PythonFile(self._hashed, "w"), self.schema, compression=self.compression,
                use_dictionary=self.repeated, write_statistics=self.judged,
            )  # fmt: skip
        self._writer.write_table(table, row_group_size=self.group)
        self.rows += table.num_rows

    def close(self) -> dict[str, Any]:
        """The file's name, rows, size and sha256; {} where nothing was written."""
        if self._writer is None or self._hashed is None:
            return {}
        self._writer.close()
        self._stream.close()
        return {"name": self.name, "rows": self.rows, **self._hashed.facts}


def feature_table(
    rows: list[tuple[str, str, str]], features: np.ndarray, of: pa.Schema
) -> pa.Table:
    """Rows (path, label, hash) with their features [n, width]."""
    columns = [pa.array([row[at] for row in rows], pa.string()) for at in range(3)]
    values = pa.FixedSizeListArray.from_arrays(
        pa.array(np.ascontiguousarray(features).ravel()), features.shape[1]
    )
    return pa.Table.from_arrays([*columns, values], schema=of)


def features_of(table: pa.Table | pa.RecordBatch) -> np.ndarray:
    """The features of a table: float32 [n, width]."""
    column = table.column("features")
    pieces = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    width = column.type.list_size
    values = [piece.flatten().to_numpy(zero_copy_only=False) for piece in pieces]
    if not values:
        return np.empty((0, width), np.float32)
    return np.concatenate(values).reshape(-1, width)


def with_pca(table: pa.Table, components: np.ndarray, of: pa.Schema) -> pa.Table:
    """The table with its components [n, k] as another column."""
    rows, k = components.shape
    ends = pa.array(np.arange(rows + 1, dtype=np.int32) * k)
    values = pa.ListArray.from_arrays(ends, pa.array(np.ascontiguousarray(components).ravel()))
    return pa.Table.from_arrays([*table.columns, values], schema=of)


@contextmanager
def opened(folder: Folder, name: str) -> Iterator[pq.ParquetFile]:
    with folder.open(name) as file:
        yield pq.ParquetFile(file)


def blocks(folder: Folder, name: str) -> Iterator[pa.Table]:
    """The row groups of a part, one at a time."""
    with opened(folder, name) as file:
        for number in range(file.num_row_groups):
            yield file.read_row_group(number)
