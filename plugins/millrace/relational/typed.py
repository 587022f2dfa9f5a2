"""SQL that reads a table's CSV files and types them, exactly as the spec declares.

Twice: `quick_query` lets the CSV reader parse the numbers, and can only say that something is odd;
`typing_query` reads text, and says of every row whether it is right. Rows that the first lets
through are those that the second would keep, with the same values.
"""

# ruff: noqa: S608 - names come from a checked spec and are quoted

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from millrace.datasets import RelationalSpec
from millrace.relational.engine import quoted, text

BAD = "_bad"
REJECTED = "rejected"  # table of the lines that are no rows
REJECTED_SCANS = "rejecting"  # table of the files they stand in
REJECTED_LIMIT = 100_000  # lines kept; a file with more is no CSV of this kind
EXACT = 2**53  # whole numbers below it are exact in double precision


class Cell:
    """One column: how its text is typed, and when a text cannot be.

    Attributes:
        name: of the column.
        sql_type: of the column.
        raw: expression of the trimmed text; missing where it is blank or a missing marker.
        typed: expression of the value.
        wrong: condition under which a row must be set aside.
        parsed: the type that the CSV reader parses for the quick reading.
        quick: expression of the value of a column of that type.
        odd: condition under which that value may not be what the text says.
        check: what the condition checks, for people.
    """

    def __init__(self, name: str, sql_type: str, spec: RelationalSpec, *, required: bool):
        trimmed = f"TRIM({quoted(name)})"
        self.name, self.sql_type = name, sql_type
        listed = ", ".join(map(text, missing_markers(spec)))
        self.raw = f"CASE WHEN {trimmed} NOT IN ({listed}) THEN {trimmed} END"
        self.check = {"VARCHAR": "text", "BIGINT": "whole number"}.get(sql_type, "number")
        self.typed, fits = self._typed(sql_type)
        unreadable = f"({self.raw} IS NOT NULL AND NOT COALESCE({fits}, FALSE))"
        self.wrong = "FALSE" if sql_type == "VARCHAR" else unreadable
        self.parsed, self.quick, self.odd = self._quick(sql_type)
        if required:
            self.wrong = f"({self.raw} IS NULL OR {self.wrong})"
            self.odd = f"({self.quick} IS NULL OR {self.odd})"
            self.check += ", required"

    def _typed(self, sql_type: str) -> tuple[str, str]:
        if sql_type == "VARCHAR":
            return self.raw, "TRUE"
        value = f"TRY_CAST({self.raw} AS {sql_type})"
        number = f"TRY_CAST({self.raw} AS DOUBLE)"
        if sql_type == "BIGINT":  # 12.0 is a whole number, 12.5 is none
            return value, f"{number} = {value}"
        return value, f"{value} IS NOT NULL AND ISFINITE({number})"

    def _quick(self, sql_type: str) -> tuple[str, str, str]:
        """Type, expression and condition of the quick reading.

        The reader rounds 12.5 to a BIGINT without a word: whole numbers are parsed as DOUBLE.
        """
        column = quoted(self.name)
        if sql_type == "BIGINT":
            whole = f"{column} = TRUNC({column}) AND ABS({column}) < {EXACT}"
            return "DOUBLE", f"TRY_CAST({column} AS BIGINT)", f"NOT COALESCE({whole}, TRUE)"
        if sql_type == "DOUBLE":
            return sql_type, column, f"NOT COALESCE(ISFINITE({column}), TRUE)"
        if sql_type == "VARCHAR":
            return sql_type, self.raw, "FALSE"
        return sql_type, column, "FALSE"


class Label(Cell):
    """The target: one of its two labels, or missing where it is not known."""

    def __init__(self, spec: RelationalSpec):
        super().__init__(spec.target.column, "VARCHAR", spec, required=False)
        target = spec.target
        for label, spellings in target.spellings.items():
            listed = ", ".join(text(spelling) for spelling in spellings)
            self.raw = f"CASE WHEN {self.raw} IN ({listed}) THEN {text(label)} ELSE {self.raw} END"
        self.typed = self.quick = self.raw
        self.odd = self.wrong = (
            f"({self.raw} NOT IN ({text(target.negative)}, {text(target.positive)})"
            f" AND {self.raw} IS NOT NULL)"
        )
        self.check = "label"


def cells_of(name: str, spec: RelationalSpec) -> list[Cell]:
    """The columns of a table in the order of the spec; the target stands last."""
    table = spec.tables[name]
    required = {*table.key, *table.references}
    cells = [
        Cell(column, sql_type, spec, required=column in required)
        for column, sql_type in table.columns.types().items()
    ]
    return [*cells, Label(spec)] if name == spec.entity else cells


def read_text(path: Path, header: Sequence[str], spec: RelationalSpec) -> str:
    """The table function that reads one file as text; lines that are no rows go to `rejected`."""
    keeping = [
        "store_rejects = true", f"rejects_table = {text(REJECTED)}",
        f"rejects_scan = {text(REJECTED_SCANS)}", f"rejects_limit = {REJECTED_LIMIT}",
    ]  # fmt: skip
    return _read_csv(path, dict.fromkeys(header, "VARCHAR"), [""], spec, keeping)


def read_numbers(
    path: Path, header: Sequence[str], cells: Sequence[Cell], spec: RelationalSpec
) -> str:
    """The table function that parses one file for the quick reading, and fails where it cannot."""
    types = {cell.name: cell.parsed for cell in cells}
    columns = {name: types.get(name, "VARCHAR") for name in header}
    return _read_csv(path, columns, missing_markers(spec), spec, [])


def missing_markers(spec: RelationalSpec) -> list[str]:
    """Texts that stand for a missing value."""
    return sorted({"", *(marker.strip() for marker in spec.raw.missing)})


def _read_csv(
    path: Path, columns: Mapping[str, str], missing: Sequence[str], spec: RelationalSpec,
    more: Sequence[str],
) -> str:  # fmt: skip
    raw = spec.raw
    types = ", ".join(f"{text(name)}: {text(sql_type)}" for name, sql_type in columns.items())
    options = [
        "auto_detect = false", "header = true", f"columns = {{{types}}}",
        f"delim = {text(raw.delimiter)}", f"quote = {text(raw.quote)}",
        f"escape = {text(raw.quote)}", f"nullstr = [{', '.join(map(text, missing))}]",
        f"encoding = {text(raw.encoding)}", *more,
    ]  # fmt: skip
    return f"read_csv({text(str(path))}, {', '.join(options)})"


def quick_query(cells: Sequence[Cell], source: str) -> str:
    """Every row typed, with `_bad` where the quick reading is not sure."""
    columns = ",\n    ".join(f"{cell.quick} AS {quoted(cell.name)}" for cell in cells)
    odd = " OR ".join(cell.odd for cell in cells if cell.odd != "FALSE") or "FALSE"
    return f"SELECT {columns},\n    COALESCE({odd}, FALSE) AS {BAD}\nFROM {source}"


def typing_query(cells: Sequence[Cell], source: str) -> str:
    """Every row typed, with `_bad` where it must be set aside."""
    columns = ",\n    ".join(f"{cell.typed} AS {quoted(cell.name)}" for cell in cells)
    bad = " OR ".join(cell.wrong for cell in cells if cell.wrong != "FALSE") or "FALSE"
    return f"SELECT {columns},\n    COALESCE({bad}, FALSE) AS {BAD}\nFROM {source}"


def bad_rows_query(cells: Sequence[Cell], source: str) -> str:
    """Rows to be set aside: their number in the file, the columns at fault, and their text."""
    checked = [cell for cell in cells if cell.wrong != "FALSE"]
    faults = ", ".join(f"CASE WHEN {cell.wrong} THEN {text(cell.name)} END" for cell in checked)
    bad = " OR ".join(cell.wrong for cell in checked)
    return (
        f"SELECT row, list_filter([{faults}], lambda name: name IS NOT NULL) AS faults,"
        f" * EXCLUDE (row) FROM (SELECT row_number() OVER () + 1 AS row, * FROM {source})"
        f" WHERE {bad}"
    )
