"""Rows that are set aside: where they stand, why, and their text."""

# ruff: noqa: S608 - names come from a checked spec and are quoted

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from millrace.datasets import RelationalSpec
from millrace.problems import HIDDEN, LISTED, Problem, shown_as
from millrace.relational.engine import BATCH
from millrace.relational.typed import REJECTED, REJECTED_SCANS, Cell, bad_rows_query, read_text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Row = tuple[str, int, str, str]  # file, row, reasons, record


class Source(NamedTuple):
    """One file of a table: its name in the partition, where it is, and its columns."""

    name: str
    path: Path
    header: list[str]


@dataclass
class SetAside:
    """Rows that are set aside, and of each file the first `LISTED` of their problems."""

    rows: list[Row] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def __iadd__(self, other: SetAside) -> SetAside:
        self.rows += other.rows
        self.problems += other.problems
        return self


def forget_rejected(engine: DuckDBPyConnection) -> None:
    """Forget the lines of the file before: each file begins with none."""
    for table in (REJECTED, REJECTED_SCANS):
        engine.execute(f"DROP TABLE IF EXISTS {table}")


def unreadable_lines(engine: DuckDBPyConnection, name: str) -> SetAside:
    """Lines that are no rows: too few or many fields, a quote that does not end, a bad byte.

    Args:
        name: of the file that was read last.
    """
    found = engine.execute(
        "SELECT line, MIN(LOWER(CAST(error_type AS VARCHAR))), COALESCE(MIN(csv_line), '')"
        f" FROM {REJECTED} GROUP BY line ORDER BY line"
    ).fetchall()
    remedy = "write one field for each column, and quote text that holds a delimiter"
    return SetAside(
        [(name, line, kind, record) for line, kind, record in found],
        [Problem("row", "fields", kind, remedy, name, line) for line, kind, _ in found[:LISTED]],
    )


def bad_rows(
    spec: RelationalSpec, cells: Sequence[Cell], source: Source, engine: DuckDBPyConnection
) -> SetAside:
    """Rows whose text cannot be typed; the file is read once more for their text and place."""
    name, path, header = source
    by_name, private = {cell.name: cell for cell in cells}, set(spec.private_columns())
    forget_rejected(engine)
    aside = SetAside()
    query = bad_rows_query(cells, read_text(path, header, spec))
    for batch in engine.sql(query).to_arrow_reader(BATCH):
        for record in batch.to_pylist():
            row, faults = record.pop("row"), record.pop("faults")
            reasons = []
            for column in faults:
                check, value = by_name[column].check, record[column]
                shown = HIDDEN if column in private else shown_as(value)
                reasons.append(
                    Problem("row", check, shown, _remedy(by_name[column], spec), name, row, column)
                )
            why = "; ".join(f"{each.column}: {each.check}: {each.found}" for each in reasons)
            aside.rows.append((name, row, why, json.dumps(record, ensure_ascii=False)))
            if len(aside.rows) <= LISTED:
                aside.problems += reasons
    return aside


def _remedy(cell: Cell, spec: RelationalSpec) -> str:
    if cell.check == "label":
        labels = f"{spec.target.negative!r} or {spec.target.positive!r}"
        return f"write {labels}, nothing where it is not known, or add it to `target.spellings`"
    if "required" in cell.check:
        return "deliver a value: the row belongs to nothing without it"
    return f"write a {cell.check}, or list the text under `raw.missing`"
