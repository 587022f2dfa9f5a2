"""Taking records out of CSV files; what stays is written byte for byte as it was."""

from __future__ import annotations

import codecs
import csv
import json
import mmap
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from millrace.privacy.subject import Doom, canonical, doomed_fields, is_doomed

LOOKED_FOR = 50  # identifiers; of more it is quicker to read the records at once
LONGEST_FIELD = 2**27  # characters; the csv module would stop at 131,072

Marked = Callable[[int, list[str]], bool]
"""Whether the record of this number, counted from 0 with the header, is to be taken out."""


def drop_records(
    source: Path, target: Path, marked: Marked, *, encoding: str = "utf-8",
    delimiter: str = ",", quote: str = '"',
) -> int:  # fmt: skip
    """Copy a file without the records that are marked; returns how many those were.

    One record at a time is in memory. Bytes that are not of the encoding are kept as they are.
    """
    errors = "surrogateescape" if codecs.lookup(encoding).name == "utf-8" else "strict"
    lines: list[str] = []
    removed = 0
    with (
        _long_fields(),
        source.open(encoding=encoding, errors=errors, newline="") as file,
        target.open("w", encoding=encoding, errors=errors, newline="") as kept,
    ):
        records = csv.reader(_noted(file, lines), delimiter=delimiter, quotechar=quote)
        for number, record in enumerate(records):
            if marked(number, record):
                removed += 1
            else:
                kept.writelines(lines)
            lines.clear()
    return removed


def may_hold(path: Path, doom: Doom, encoding: str, quote: str) -> bool:
    """Whether a file can hold a doomed record: a quick look for the identifiers' bytes."""
    ids = frozenset[str]().union(*doom.values())
    plain = codecs.lookup(encoding).name in ("utf-8", "iso8859-1", "cp1252")
    if not plain or len(ids) > LOOKED_FOR or any(quote in each for each in ids):
        return bool(ids)
    if not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return any(data.find(each.encode(encoding, errors="replace")) >= 0 for each in ids)


def by_header(doom: Doom) -> Marked:
    """Mark records by the columns that the first record with a name in it is the header of."""
    fields: list[tuple[int, frozenset[str]]] | None = None

    def marked(_number: int, record: list[str]) -> bool:
        nonlocal fields
        if fields is not None:
            return is_doomed(record, fields)
        names = [name.strip().strip("\ufeff") for name in record]
        if any(names):
            fields = doomed_fields(names, doom)
        return False

    return marked


def by_first_field(doom: Doom) -> Marked:
    """Mark records of a file without header whose first field is the identifier."""
    ids = frozenset[str]().union(*doom.values())
    return lambda _number, record: bool(record) and canonical(record[0]) in ids


def by_quarantined_record(doom: Doom, delimiter: str, quote: str) -> Marked:
    """Mark the rows of a quarantine whose record is somebody's.

    A record is JSON text where it could be split into columns. One that could not be split is the
    text of the file, and is somebody's where any of its fields is the identifier.
    """
    ids = frozenset[str]().union(*doom.values())

    def marked(number: int, row: list[str]) -> bool:
        if number == 0 or not row:
            return False
        try:
            record = json.loads(row[-1])
            if isinstance(record, dict):
                values = ["" if value is None else str(value) for value in record.values()]
                return is_doomed(values, doomed_fields([*record], doom))
        except ValueError:
            pass
        try:
            fields = [
                field
                for record in csv.reader(row[-1].splitlines(), delimiter=delimiter, quotechar=quote)
                for field in record
            ]
        except csv.Error:
            fields = row[-1].split(delimiter)
        return any(canonical(field) in ids for field in fields)

    return marked


def values_of(
    path: Path, doom: Doom, wanted: str, *, encoding: str, delimiter: str, quote: str
) -> frozenset[str]:
    """The values of the column `wanted` in the records that are doomed."""
    errors = "surrogateescape" if codecs.lookup(encoding).name == "utf-8" else "strict"
    fields: list[tuple[int, frozenset[str]]] | None = None
    found: set[str] = set()
    with _long_fields(), path.open(encoding=encoding, errors=errors, newline="") as file:
        for record in csv.reader(file, delimiter=delimiter, quotechar=quote):
            if fields is None:
                names = [name.strip().strip("\ufeff") for name in record]
                if not any(names):
                    continue
                if wanted not in names:
                    break
                fields, place = doomed_fields(names, doom), names.index(wanted)
            elif is_doomed(record, fields) and len(record) > place:
                found.add(canonical(record[place]))
    return frozenset(found - {""})


def _noted(source: Iterable[str], lines: list[str]) -> Iterator[str]:
    for line in source:
        lines.append(line)
        yield line


@contextmanager
def _long_fields() -> Iterator[None]:
    before = csv.field_size_limit(LONGEST_FIELD)  # one for the whole process
    try:
        yield
    finally:
        csv.field_size_limit(before)
