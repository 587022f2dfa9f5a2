"""Reading the files of one table: quickly where nothing is odd, carefully where something is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from millrace.datasets import RelationalSpec
from millrace.relational.engine import BATCH
from millrace.relational.quarantine import (
    SetAside,
    Source,
    bad_rows,
    forget_rejected,
    unreadable_lines,
)
from millrace.relational.typed import (
    BAD,
    cells_of,
    quick_query,
    read_numbers,
    read_text,
    typing_query,
)

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["Odd", "Reader", "Source"]

KINDS = {
    "BIGINT": pa.int64(), "DECIMAL(18, 3)": pa.decimal128(18, 3), "DOUBLE": pa.float64(),
    "VARCHAR": pa.string(),
}  # fmt: skip


class Odd(Exception):
    """The quick reading met something that it cannot judge."""


class Reader:
    """The files of one table.

    Attributes:
        schema: its columns in the order of the spec; the target stands last.
        aside: rows that were set aside, and why.
        bad: how many those are.
    """

    def __init__(
        self, table: str, spec: RelationalSpec, sources: Sequence[Source],
        engine: DuckDBPyConnection,
    ):  # fmt: skip
        self._spec, self._sources, self._engine = spec, sources, engine
        self._cells = cells_of(table, spec)
        self.schema = pa.schema([(cell.name, KINDS[cell.sql_type]) for cell in self._cells])
        self.aside, self.bad = SetAside(), 0

    def quickly(self) -> Iterator[pa.RecordBatch]:
        """All rows, numbers parsed by the CSV reader.

        Raises:
            Odd: a value may not be what its text says.
            duckdb.Error: a text is no value of its column, or a line is no row.
        """
        for source in self._sources:
            read = read_numbers(source.path, source.header, self._cells, self._spec)
            for batch in self._engine.sql(quick_query(self._cells, read)).to_arrow_reader(BATCH):
                if pc.any(batch.column(BAD)).as_py():
                    raise Odd
                yield batch.drop_columns([BAD]).cast(self.schema)

    def carefully(self) -> Iterator[pa.RecordBatch]:
        """The good rows, read as text; the others are set aside.

        Raises:
            duckdb.Error: a file cannot be read at all.
        """
        for source in self._sources:
            forget_rejected(self._engine)
            query = typing_query(self._cells, read_text(source.path, source.header, self._spec))
            faulty = 0
            for batch in self._engine.sql(query).to_arrow_reader(BATCH):
                wrong = batch.column(BAD)
                count = pc.sum(wrong).as_py() or 0
                faulty += count
                kept = batch.filter(pc.invert(wrong)) if count else batch
                yield kept.drop_columns([BAD]).cast(self.schema)
            lines = unreadable_lines(self._engine, source.name)
            if faulty:
                self.aside += bad_rows(self._spec, self._cells, source, self._engine)
            self.aside += lines
            self.bad += faulty + len(lines.rows)
