"""How a sample file is written: its encoding, delimiter, quote and header, found by trying.

Each delimiter is tried on the beginning of the file and the one that splits it best is kept, as
the sniffers of DuckDB and CleverCSV do. `csv.Sniffer` goes by how often characters stand in a line
and around quotes, and does not say how sure it is.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from dataclasses import dataclass
from pathlib import Path

from millrace.datasets import RESERVED
from millrace.errors import MillraceError
from millrace.raw_file import DELIMITERS

HEAD_BYTES, HEAD_RECORDS = 2**20, 1000
LARGEST = 500 * 2**20  # bytes; more than a draft needs, and all of it is held in memory
LONGEST_NAME = 200  # characters of a column name
QUOTES = ('"', "'")
SPLITS = 0.5  # share of records that must have as many fields as the header
CONTROLS = bytes({*range(32)} - set(b"\t\n\r\f"))  # hardly ever in text
MAGIC = {
    b"\x1f\x8b": "a gzip file; unpack it first: gunzip -k FILE",
    b"PK\x03\x04": "an Excel workbook or a zip archive; export or unpack it as CSV first",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; export it as CSV first",
    b"PAR1": "a Parquet file; write it as CSV first",
    b"BZh": "a bzip2 file; unpack it first",
    b"\xfd7zXZ": "an xz file; unpack it first",
    b"\x28\xb5\x2f\xfd": "a zstd file; unpack it first",
    b"%PDF": "a PDF document; get the table as CSV",
    b"SQLite": "an SQLite database; export the table as CSV first",
}
MARKS = {  # longest first: the mark of UTF-32 begins with the one of UTF-16
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
    b"\xef\xbb\xbf": "utf-8",
}


class DraftError(MillraceError):
    """No spec can be drafted from this file; the message says why and what to do."""


@dataclass(frozen=True)
class Dialect:
    """How a file is written.

    Attributes:
        marked: whether the encoding is certain: the file says so, or only UTF-8 fits.
        header: the column names, trimmed, as `ingest` reads them.
    """

    encoding: str
    marked: bool
    delimiter: str
    quote: str
    header: tuple[str, ...]


def detect(path: Path) -> Dialect:
    """Find out how `path` is written.

    Raises:
        DraftError: it is missing, empty, too large or no text, or has no usable header.
    """
    if not path.is_file():
        raise DraftError(f"{path}: found no such file; give the path of a CSV file")
    size = path.stat().st_size
    if size == 0:
        raise DraftError(f"{path}: the file is empty; give one with a header and data rows")
    if size > LARGEST:
        raise DraftError(
            f"{path}: {size / 2**20:,.0f} MiB are more than a draft needs; give it a part:"
            f" head -n 100000 {path.name} > sample.csv"
        )
    encoding, marked = encoding_of(path)
    delimiter, quote, records = _best_split(path, _head(path, encoding))
    header = tuple(name.strip().strip("\ufeff") for name in records[0])
    _check_header(path, header, records)
    return Dialect(encoding, marked, delimiter, quote, header)


def encoding_of(path: Path) -> tuple[str, bool]:
    """The encoding, and whether it is certain rather than a guess.

    What is no Unicode is taken for cp1252, the usual encoding of exports in western Europe.
    charset-normalizer was tried and left out: it is meant for prose, and took tables with a few
    umlauts for mac_iceland, big5 or cp775, which decode without an error and to other letters.
    """
    with path.open("rb") as file:
        head = file.read(2**16)
    for start, kind in MAGIC.items():
        if head.startswith(start):
            raise DraftError(f"{path}: found {kind}")
    for mark, encoding in MARKS.items():
        if head.startswith(mark):
            return _require(path, encoding), True
    if head.count(0) > len(head) / 5:
        return _require(path, _wide_encoding(head)), True
    if len(head.translate(None, CONTROLS)) < len(head) * 0.99:
        raise DraftError(f"{path}: found a binary file; export the table as CSV text")
    if _decodes(path, "utf-8"):
        return "utf-8", True
    return ("cp1252" if _decodes(path, "cp1252") else "latin-1"), False


def _wide_encoding(head: bytes) -> str:
    """UTF-16 without a mark: every other byte of mostly Latin text is NUL."""
    return "utf-16-be" if head[::2].count(0) > head[1::2].count(0) else "utf-16-le"


def _require(path: Path, encoding: str) -> str:
    if not _decodes(path, encoding):
        raise DraftError(
            f"{path}: found a binary file (no readable {encoding}); export the table as CSV text"
        )
    return encoding


def _decodes(path: Path, encoding: str) -> bool:
    try:
        with path.open(encoding=encoding, newline="") as file:
            while text := file.read(HEAD_BYTES):
                if encoding.startswith("utf-16") and "\x00" in text:
                    return False
    except UnicodeError:
        return False
    return True


def _head(path: Path, encoding: str) -> str:
    with path.open(encoding=encoding, newline="") as file:
        text = file.read(HEAD_BYTES).removeprefix("\ufeff")
        if file.read(1):  # the last line is cut off
            text = text[: text.rfind("\n") + 1] or text
    return text


def _best_split(path: Path, text: str) -> tuple[str, str, list[list[str]]]:
    """Delimiter, quote and the first records: the split that gives most records like the header."""
    _refuse_preamble(path, text)
    quoted = {each: _quoted(text, *each) for each in itertools.product(DELIMITERS, QUOTES)}
    tried = {
        each: _records(text, *each)
        for each, count in quoted.items()
        if count or each[1] == QUOTES[0]
    }

    def score(dialect: tuple[str, str]) -> tuple[float, int, int]:
        fields = len(tried[dialect][0]) if tried[dialect] else 0
        alike = _alike(tried[dialect]) if fields > 1 else 0.0
        return round(alike, 1), fields, quoted[dialect]

    best = max(tried, key=score)
    records = tried[best]
    if score(best)[1] < 2:
        known = ", ".join(DELIMITERS.values())
        raise DraftError(
            f"{path}: found one column; a data set needs a target and at least one feature, split"
            f" by {known}. The first line is {text.strip().partition(chr(10))[0][:60]!r}"
        )
    if len(records) > 1 and _alike(records) < SPLITS:
        fields = [len(record) for record in records[1:]]
        usual = max(set(fields), key=fields.count)
        raise DraftError(
            f"{path}: found {len(records[0])} names in the first line, but {usual} fields in most"
            " of the others; take away lines above the header, and give every column a name"
        )
    return *best, records


def _refuse_preamble(path: Path, text: str) -> None:
    first = text.strip().partition("\n")[0].strip()
    if first.lower().startswith("sep="):
        raise DraftError(f"{path}: the first line is {first!r}; take it away: Excel alone reads it")
    if not first:
        raise DraftError(f"{path}: the file holds nothing but blanks; give one with data rows")


def _records(text: str, delimiter: str, quote: str) -> list[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quotechar=quote)
    try:
        return [record for record in itertools.islice(reader, HEAD_RECORDS) if any(record)]
    except csv.Error:  # a field of more than 128 KiB: a quote that is none
        return []


def _alike(records: list[list[str]]) -> float:
    """Share of the data records with as many fields as the header."""
    data = records[1:]
    return sum(len(record) == len(records[0]) for record in data) / len(data) if data else 1.0


def _quoted(text: str, delimiter: str, quote: str) -> int:
    """How many fields stand in this quote."""
    edge = re.escape(delimiter)
    inside = rf"(?:[^{quote}\r\n]|{quote}{quote})*"
    return len(re.findall(rf"(?:^|{edge}){quote}{inside}{quote}(?={edge}|\r?$)", text, re.M))


def _check_header(path: Path, header: tuple[str, ...], records: list[list[str]]) -> None:
    if repeated := sorted({name for name in header if header.count(name) > 1}):
        raise DraftError(f"{path}: the header names {repeated} more than once; name each once")
    if reserved := sorted(RESERVED & set(header)):
        raise DraftError(f"{path}: the columns {reserved} have names that are in use; rename them")
    for name in header:
        if len(name) > LONGEST_NAME:
            raise DraftError(
                f"{path}: the column name {name[:40]!r} has more than {LONGEST_NAME} characters;"
                " shorten it, or look for a missing header or an unclosed quote"
            )
    if all(re.fullmatch(r"[-+]?[\d.,]+", name) for name in header):
        shown = ", ".join(header[:5])
        raise DraftError(f"{path}: the first line ({shown}) holds no names; add a header line")
    if len(records) < 2:
        raise DraftError(f"{path}: found a header but no data rows; give a file with some")
