"""Reading the raw files of a partition as they really are: every value as text, nothing guessed.

What makes a file unreadable (encoding, delimiter, header) is an error; a row that cannot be read
(too few or too many fields) is set aside with its number. Row numbers are a spreadsheet's: the
header is row 1, and blank rows count, though they are left out.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from millrace.datasets import DatasetSpec, Raw
from millrace.problems import FILE, ROW, Problem
from millrace.raw_file import (
    QUOTE_REMEDY,
    Header,
    check_header,
    check_text,
    read_header,
)

BLOCK_BYTES = 16 * 2**20  # a record longer than this is an unclosed quote, not data


@dataclass
class RawTable:
    """The rows of all files of a partition, as text.

    Attributes:
        frame: one text column for each column of the spec, plus `_file` and `_row`.
        unreadable: rows that could not be split into fields: file, row, and their text.
        rows: rows read, unreadable ones included.
    """

    frame: pd.DataFrame
    problems: list[Problem] = field(default_factory=list)
    unreadable: list[tuple[str, int, str]] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return len(self.frame) + len(self.unreadable)

    @property
    def broken(self) -> bool:
        """True where a file could not be read at all."""
        return any(problem.severity == "error" for problem in self.problems)


def read_raw(paths: Sequence[Path], spec: DatasetSpec) -> RawTable:
    """Read the raw files of a partition, in the order given.

    Never raises for what a file holds: everything wrong is in `problems`.
    """
    expected = [*spec.columns, spec.target.column]
    table = RawTable(_empty(expected))
    frames = []
    for path in paths:
        frame = _read_file(path, spec.raw, expected, table)
        if frame is not None:
            frames.append(frame)
    if frames:
        table.frame = pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]
    return table


def _read_file(path: Path, raw: Raw, expected: list[str], table: RawTable) -> pd.DataFrame | None:
    if problem := check_text(path, raw):
        table.problems.append(problem)
        return None
    try:
        header = read_header(path, raw)
        found = check_header(path.name, header, raw, expected)
    except csv.Error as error:
        found = [Problem("error", "header", str(error), QUOTE_REMEDY, path.name, 1)]
    table.problems += found
    if any(problem.severity == "error" for problem in found):
        return None
    if not header.followed:
        return _empty(expected)
    skipped: list[Any] = []
    try:
        columns = _read_columns(path, raw, header, expected, skipped)
    except pa.ArrowInvalid as error:
        reason = str(error)[:200]
        table.problems.append(Problem("error", "readable", reason, QUOTE_REMEDY, path.name))
        return None
    blank = {row.number for row in skipped if not row.text.strip()}
    ragged = [row for row in skipped if row.number not in blank]
    table.unreadable += [(path.name, row.number, row.text) for row in ragged]
    table.problems += [_ragged(path.name, row, raw) for row in ragged]
    frame = _numbered(columns, path.name, header.row, {row.number for row in skipped})
    is_blank = (frame[expected] == "").all(axis=1)
    blank |= set(frame.loc[is_blank, ROW])
    if blank:
        count, remedy = f"{len(blank)} blank row(s)", "left out; the first is named"
        table.problems.append(
            Problem("note", "blank rows", count, remedy, path.name, int(min(blank)))
        )
    return frame.loc[~is_blank].reset_index(drop=True) if is_blank.any() else frame


def _read_columns(
    path: Path, raw: Raw, header: Header, expected: list[str], skipped: list[Any]
) -> pa.Table:
    """The expected columns as trimmed text; rows of the wrong length go to `skipped`."""

    def skip(row: Any) -> str:
        skipped.append(row)
        return "skip"

    table = pacsv.read_csv(
        path,
        read_options=pacsv.ReadOptions(
            column_names=header.names, skip_rows_after_names=header.row, encoding=raw.encoding,
            use_threads=False, block_size=BLOCK_BYTES,
        ),
        parse_options=pacsv.ParseOptions(
            delimiter=raw.delimiter, quote_char=raw.quote, newlines_in_values=True,
            ignore_empty_lines=False, invalid_row_handler=skip,
        ),
        convert_options=pacsv.ConvertOptions(
            column_types=dict.fromkeys(header.names, pa.large_string()), include_columns=expected,
            strings_can_be_null=False,
        ),
    )  # fmt: skip
    for place, name in enumerate(expected):  # one by one, so that two texts of all never coexist
        table = table.set_column(place, name, pc.utf8_trim_whitespace(table.column(place)))
    return table


def _numbered(columns: pa.Table, file: str, header_row: int, skipped: set[int]) -> pd.DataFrame:
    """The rows with file and row number; the numbers of skipped rows are left out."""
    frame = columns.to_pandas(strings_to_categorical=False)
    first = header_row + 1
    numbers = np.arange(first, first + len(frame) + len(skipped))
    frame[FILE] = file
    frame[ROW] = numbers[~np.isin(numbers, list(skipped))]
    return frame


def _ragged(file: str, row: Any, raw: Raw) -> Problem:
    found = f"{row.actual_columns} fields instead of {row.expected_columns}"
    remedy = f"quote values that hold {raw.delimiter!r}, or have the row mended"
    return Problem("row", "fields", found, remedy, file, row.number)


def _empty(columns: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame({name: pd.Series(dtype="str") for name in columns})
    return frame.assign(**{FILE: pd.Series(dtype="str"), ROW: pd.Series(dtype="int64")})
