"""Reading the raw files of a partition as they really are: every value as text, nothing guessed.

What makes a file unreadable (encoding, delimiter, header) is an error; a row that cannot be read
(too few or too many fields) is set aside with its number. Row numbers are a spreadsheet's: the
header is row 1.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from millrace.datasets import DatasetSpec, Raw
from millrace.spec_file import nearest

FILE, ROW = "_file", "_row"
BLOCK_BYTES = 16 * 2**20  # a record longer than this is an unclosed quote, not data
DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a vertical bar"}


@dataclass(frozen=True)
class Problem:
    """One thing wrong with the raw files.

    Attributes:
        severity: `error` stops the run, `row` sets one row aside, `note` is for information.
        row: spreadsheet row (the header is 1), where the problem has one.
    """

    severity: Literal["error", "row", "note"]
    check: str
    found: str
    remedy: str
    file: str = ""
    row: int | None = None
    column: str | None = None


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
    if problem := _undecodable(path, raw.encoding):
        table.problems.append(problem)
        return None
    header = read_header(path, raw)
    found = check_header(path.name, header, raw, expected)
    table.problems += found
    if any(problem.severity == "error" for problem in found):
        return None
    skipped: list[Any] = []
    try:
        columns = _read_columns(path, raw, header, expected, skipped)
    except pa.ArrowInvalid as error:
        remedy = "look for a quote that is opened and never closed, or mend `raw.quote`"
        table.problems.append(Problem("error", "readable", str(error)[:200], remedy, path.name))
        return None
    bad = {row.number or 0: row for row in skipped}
    for number, row in bad.items():
        table.unreadable.append((path.name, number, row.text))
        table.problems.append(_ragged(path.name, number, row, raw))
    frame = columns.to_pandas(strings_to_categorical=False)
    numbers = [n for n in range(2, len(frame) + len(bad) + 2) if n not in bad] if bad else None
    frame[FILE] = path.name
    frame[ROW] = numbers or range(2, len(frame) + 2)
    return frame


def _undecodable(path: Path, encoding: str) -> Problem | None:
    decoder = codecs.getincrementaldecoder(encoding)()
    lines = 0
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError as error:
                row = lines + chunk[: error.start].count(b"\n") + 1
                byte = f"the byte 0x{chunk[error.start]:02x}, which is not {encoding}"
                remedy = (
                    "set `raw.encoding` (cp1252 and latin-1 are common), or have the file mended"
                )
                return Problem("error", "encoding", byte, remedy, path.name, row)
            lines += chunk.count(b"\n")
    return None


def _text_codec(encoding: str) -> str:
    """The codec that also drops a byte-order mark."""
    return "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding


def read_header(path: Path, raw: Raw) -> list[str]:
    """The names in the first record, without stray blanks, tabs and byte-order mark."""
    with path.open(encoding=_text_codec(raw.encoding), newline="") as file:
        first = next(csv.reader(file, delimiter=raw.delimiter, quotechar=raw.quote), [])
    return [name.strip().strip("\ufeff") for name in first]


def check_header(file: str, header: list[str], raw: Raw, expected: list[str]) -> list[Problem]:
    """Everything wrong with the columns of one file."""
    if not any(header):
        return [
            Problem("error", "header", "an empty file", "deliver a file with a header row", file)
        ]
    missing = [name for name in expected if name not in header]
    if missing and (better := _other_delimiter(header, raw.delimiter, expected)):
        remedy = f'set `raw.delimiter: "{better}"`'.replace("\t", "\\t")
        found = f"a header that {DELIMITERS[better]} splits better than {raw.delimiter!r}"
        return [Problem("error", "delimiter", found, remedy, file, 1)]
    problems = [
        Problem("error", "columns", "no such column",
                f"deliver it, or take it out of the spec{nearest(name, header)}", file, 1, name)
        for name in missing
    ]  # fmt: skip
    for name in sorted({name for name in header if header.count(name) > 1}):
        problems.append(
            Problem("error", "columns", "the column twice", "name it once", file, 1, name)
        )
    severity: Literal["error", "note"] = "error" if raw.extra_columns == "error" else "note"
    for name in header:
        if name not in expected:
            remedy = "give it a role in the spec, or set `raw.extra_columns: ignore`"
            problems.append(
                Problem(severity, "columns", "a column the spec lacks", remedy, file, 1, name)
            )
    return problems


def _other_delimiter(header: list[str], delimiter: str, expected: list[str]) -> str | None:
    line = delimiter.join(header)
    known = len(set(header) & set(expected))
    for other in DELIMITERS:
        names = {name.strip().strip('"') for name in line.split(other)}
        if other != delimiter and len(names & set(expected)) > known:
            return other
    return None


def _read_columns(
    path: Path, raw: Raw, header: list[str], expected: list[str], skipped: list[Any]
) -> pa.Table:
    """The expected columns as trimmed text; rows of the wrong length go to `skipped`."""

    def skip(row: Any) -> str:
        skipped.append(row)
        return "skip"

    table = pacsv.read_csv(
        path,
        read_options=pacsv.ReadOptions(
            column_names=header, skip_rows=1, encoding=raw.encoding, use_threads=False,
            block_size=BLOCK_BYTES,
        ),
        parse_options=pacsv.ParseOptions(
            delimiter=raw.delimiter, quote_char=raw.quote, newlines_in_values=True,
            ignore_empty_lines=len(header) > 1, invalid_row_handler=skip,
        ),
        convert_options=pacsv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.large_string()), include_columns=expected,
            strings_can_be_null=False,
        ),
    )  # fmt: skip
    for place, name in enumerate(expected):  # one by one: what was not trimmed is freed at once
        table = table.set_column(place, name, pc.utf8_trim_whitespace(table.column(place)))
    return table


def _ragged(file: str, number: int, row: Any, raw: Raw) -> Problem:
    found = f"{row.actual_columns} fields instead of {row.expected_columns}"
    remedy = f"quote values that hold {raw.delimiter!r}, or have the row mended"
    return Problem("row", "fields", found, remedy, file, number)


def _empty(columns: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame({name: pd.Series(dtype="str") for name in columns})
    return frame.assign(**{FILE: pd.Series(dtype="str"), ROW: pd.Series(dtype="int64")})
