"""Which files hold which table, and whether their headers are what the spec declares.

Everything here is found before a single row is read.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from millrace.datasets import RelationalSpec, Table
from millrace.datasets.file import nearest
from millrace.lake import matches
from millrace.problems import Problem

MAX_HEADER = 1_000_000  # bytes


def published_file(table: str) -> str:
    """The file of a table among the published tables: alone in a folder, as Athena reads them."""
    return f"{table}/part-0.parquet"


def files_of(spec: RelationalSpec, names: Sequence[str]) -> dict[str, list[str]]:
    """The files of every table among `names`, in their order."""
    return {
        table: [name for name in names if matches(name, facts.files)]
        for table, facts in spec.tables.items()
    }


def absent_tables(spec: RelationalSpec, files: Mapping[str, Sequence[str]]) -> Iterator[Problem]:
    """Tables without a file: an error, or where they are optional a note."""
    for name, found in files.items():
        table = spec.tables[name]
        if found:
            continue
        if table.optional:
            yield Problem("note", "table", f"no file like {table.files!r}",
                          f"nobody has a history in {name}: its features are missing",
                          table.files)  # fmt: skip
        else:
            yield Problem("error", "table", f"no file like {table.files!r}",
                          f"deliver the table {name}, or say `optional: true`",
                          table.files)  # fmt: skip


def read_header(path: Path, spec: RelationalSpec) -> list[str]:
    """Names of a file's columns, trimmed; empty for an empty file.

    Raises:
        UnicodeDecodeError: it is not in the encoding that the spec says.
    """
    raw = spec.raw
    encoding = "utf-8-sig" if raw.encoding == "utf-8" else raw.encoding
    with path.open(encoding=encoding, newline="") as file:
        line = file.readline(MAX_HEADER)
    row = next(csv.reader([line], delimiter=raw.delimiter, quotechar=raw.quote), [])
    return [name.strip() for name in row]


def header_problems(
    file: str, found: Sequence[str], table: Table, spec: RelationalSpec, *, target: bool
) -> Iterator[Problem]:
    """How a header differs from the columns of its table."""
    wanted = [*table.columns.types(), *([spec.target.column] if target else [])]
    if not found or found == [""]:
        yield Problem("error", "header", "an empty file", "deliver a file with a header", file)
        return
    if not {*found} & {*wanted}:  # most likely somebody's data, so none of it is repeated
        yield Problem("error", "header", "a first row that names no column of the table",
                      "deliver a file with a header", file, 1)  # fmt: skip
        return
    for name in dict.fromkeys(found):
        if found.count(name) > 1:
            yield Problem("error", "header", f"{name!r} {found.count(name)} times",
                          "name each column once", file, 1, name)  # fmt: skip
    missing = [name for name in wanted if name not in found]
    extra = [name for name in found if name not in wanted]
    for name in missing:
        renamed = nearest(name, extra)
        remedy = f"deliver the column{renamed}" if renamed else "deliver the column"
        yield Problem("error", "missing column", "not in the header", remedy, file, 1, name)
    if spec.raw.extra_columns == "ignore" and not missing:
        return
    for name in extra:
        remedy = "remove it, declare it under `columns:`, or set `raw.extra_columns: ignore`"
        yield Problem("error", "extra column", repr(name)[:60], remedy, file, 1, name[:60])
