"""One raw file before it is split into rows: is it text, are its quotes closed, what is its header.

Row numbers are a spreadsheet's: every record counts, blank ones too, and the first is row 1.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from millrace.datasets import Raw
from millrace.datasets.file import nearest
from millrace.problems import Problem

CHUNK_BYTES = 2**20
DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a vertical bar"}
QUOTE_REMEDY = "look for a quote that is opened and never closed, or mend `raw.quote`"


def check_text(path: Path, raw: Raw) -> Problem | None:
    """What keeps a file from being read at all: bytes of another encoding, a quote left open."""
    decoder = codecs.getincrementaldecoder(raw.encoding)()
    quotes = read = 0
    with path.open("rb") as file:
        while True:
            chunk = file.read(CHUNK_BYTES)
            read += len(chunk)
            try:
                quotes += decoder.decode(chunk, final=not chunk).count(raw.quote)
            except UnicodeDecodeError as error:
                return _undecodable(path, raw, error, read - len(error.object) + error.start)
            except UnicodeError as error:  # UTF-16 or UTF-32 without a byte-order mark
                remedy = f"set `raw.encoding` to {raw.encoding}-le or {raw.encoding}-be"
                return Problem("error", "encoding", str(error), remedy, path.name, 1)
            if not chunk:
                break
    return _unclosed_quote(path, raw) if quotes % 2 else None


def _undecodable(path: Path, raw: Raw, error: UnicodeDecodeError, offset: int) -> Problem:
    with path.open("rb") as file:
        before = file.read(offset).decode(raw.encoding, errors="replace")
    try:
        row = sum(1 for _ in _records(io.StringIO(f"{before}?", newline=""), raw))
    except csv.Error:  # a field longer than the csv module takes: lines must do
        row = before.count("\n") + 1
    found = f"the byte 0x{error.object[error.start]:02x}, which is not {raw.encoding}"
    remedy = "set `raw.encoding` (cp1252 and latin-1 are common), or have the file mended"
    return Problem("error", "encoding", found, remedy, path.name, row)


def _unclosed_quote(path: Path, raw: Raw) -> Problem | None:
    """The problem where the last record ends inside quotes, and so has swallowed all after it."""
    row = 1
    lines: list[str] = []
    last: list[str] = []
    with _open(path, raw) as file:
        try:
            for _ in _records(_kept(file, lines), raw):
                last = lines.copy()
                lines.clear()
                row += 1
            row -= 1
            list(_records(last, raw, strict=True))
        except csv.Error as error:
            if "end of data" in str(error) or "limit" in str(error):
                found = "a quote that is opened and never closed"
                return Problem("error", "quote", found, QUOTE_REMEDY, path.name, row)
    return None


def _kept(source: Iterable[str], lines: list[str]) -> Iterator[str]:
    for line in source:
        lines.append(line)
        yield line


def _records(source: Iterable[str], raw: Raw, *, strict: bool = False) -> Iterator[list[str]]:
    return csv.reader(source, delimiter=raw.delimiter, quotechar=raw.quote, strict=strict)


def _open(path: Path, raw: Raw) -> io.TextIOWrapper:
    """The file as text without a byte-order mark."""
    utf8 = codecs.lookup(raw.encoding).name == "utf-8"
    return path.open(encoding="utf-8-sig" if utf8 else raw.encoding, newline="")


@dataclass(frozen=True)
class Header:
    """The first record that is not blank: its row, its names, and whether records follow."""

    row: int
    names: list[str]
    followed: bool


def read_header(path: Path, raw: Raw) -> Header:
    """The header of a file; its names without stray blanks, tabs and byte-order mark.

    Raises:
        csv.Error: a field is too long to be a name.
    """
    with _open(path, raw) as file:
        records = _records(file, raw)
        for row, record in enumerate(records, start=1):
            names = [name.strip().strip("\ufeff") for name in record]
            if any(names):
                return Header(row, names, _holds_another(records))
    return Header(1, [], False)


def _holds_another(records: Iterator[list[str]]) -> bool:
    try:
        return next(records, None) is not None
    except csv.Error:
        return True


def check_header(file: str, header: Header, raw: Raw, expected: list[str]) -> list[Problem]:
    """Everything wrong with the columns of one file."""
    names, row = header.names, header.row
    if not names:
        return [
            Problem("error", "header", "an empty file", "deliver a file with a header row", file)
        ]
    missing = [name for name in expected if name not in names]
    if missing and (better := _other_delimiter(names, raw.delimiter, expected)):
        remedy = f'set `raw.delimiter: "{better}"`'.replace("\t", "\\t")
        found = f"a header that {DELIMITERS[better]} splits better than {raw.delimiter!r}"
        return [Problem("error", "delimiter", found, remedy, file, row)]
    if not {*names} & {*expected}:  # most likely somebody's data, so none of it is repeated
        found = "a first row that names no column of the spec"
        return [Problem("error", "header", found, "deliver a file with a header row", file, row)]
    problems = [
        Problem("error", "columns", "no such column",
                f"deliver it, or take it out of the spec{nearest(name, names)}", file, row, name)
        for name in missing
    ]  # fmt: skip
    strict = raw.extra_columns == "error"
    watched = names if strict else expected
    for name in sorted({name for name in watched if names.count(name) > 1}):
        problems.append(
            Problem("error", "columns", "the column twice", "name it once", file, row, name)
        )
    for name in names:
        if name not in expected:
            remedy = "give it a role in the spec, or set `raw.extra_columns: ignore`"
            found = "a column the spec lacks"
            severity: Literal["error", "note"] = "error" if strict else "note"
            problems.append(Problem(severity, "columns", found, remedy, file, row, name))
    return problems


def _other_delimiter(header: list[str], delimiter: str, expected: list[str]) -> str | None:
    line = delimiter.join(header)
    known = len(set(header) & set(expected))
    for other in DELIMITERS:
        names = {name.strip().strip('"') for name in line.split(other)}
        if other != delimiter and len(names & set(expected)) > known:
            return other
    return None
