"""How a file is written: encoding, delimiter, quotes, decimal mark, awkward names."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dataset_draft.conftest import Drafter
from tests.dataset_draft.sample import table, written


@pytest.mark.parametrize(
    ("encoding", "found"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("utf-32", "utf-32"),
        ("cp1252", "cp1252"),
    ],
)
def test_finds_the_encoding(encoding: str, found: str, tmp_path: Path, drafted: Drafter) -> None:
    rows = table(straße=lambda row: "Köln" if row % 2 else "Bonn")
    spec = drafted(written(tmp_path, rows, encoding=encoding))
    assert spec.raw.encoding == found
    assert spec.columns["straße"].values == ["Bonn", "Köln"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("quote", ['"', "'"])
def test_finds_delimiter_and_quote(
    delimiter: str, quote: str, tmp_path: Path, drafted: Drafter
) -> None:
    rows = table(remark=lambda row: f"well{delimiter} {'yes' if row % 3 else 'no'}, or; so")
    spec = drafted(written(tmp_path, rows, "sample.txt", delimiter=delimiter, quotechar=quote))
    assert (spec.raw.delimiter, spec.raw.quote) == (delimiter, quote)
    assert spec.raw.files == "*.txt"
    assert spec.columns["remark"].role == "categorical"


@pytest.mark.parametrize("delimiter", [";", ","])
def test_finds_a_decimal_comma(delimiter: str, tmp_path: Path, drafted: Drafter) -> None:
    rows = table(fee=lambda row: f"{row},5", total=lambda row: f"1.{row:03d},25")
    rows[1:] = [[row[0], row[1].replace(".", ","), *row[2:]] for row in rows[1:]]
    spec = drafted(written(tmp_path, rows, delimiter=delimiter))
    assert spec.raw.decimal == ","
    assert spec.columns_with("numeric") == ["income", "fee", "total"]


def test_the_decimal_mark_of_most_columns_counts(tmp_path: Path, drafted: Drafter) -> None:
    spec = drafted(written(tmp_path, table(odd=lambda row: f"{row},5", fee=lambda row: row / 4)))
    assert spec.raw.decimal == "."
    assert spec.columns_with("numeric") == ["income", "fee"]


def test_thousands_alone_are_no_decimal_comma(tmp_path: Path, drafted: Drafter) -> None:
    rows = [[*row[:1], *row[2:]] for row in table(turnover=lambda row: f"1,{row + 100}")]
    spec = drafted(written(tmp_path, rows))
    assert spec.raw.decimal == "."
    assert spec.columns["turnover"].role == "drop"


def test_blank_lines_line_ends_and_long_values(tmp_path: Path, drafted: Drafter) -> None:
    rows = table(remark=lambda row: "x" * 12_000 if row == 3 else f"note {row % 2}")
    path = written(tmp_path, rows)
    path.write_bytes(b"\r\n" + path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n\r\n")
    assert drafted(path).raw.max_field_bytes == 24_000


def test_awkward_names_and_labels(tmp_path: Path, drafted: Drafter) -> None:
    rows = table(
        **{
            "a: b # c": lambda row: "true" if row % 2 else "null",
            "line\nbreak": lambda row: row % 7 + 0.5,
            "": lambda row: row,
            "{brace}": lambda row: ["007", "1e3", "12:30", "No"][row % 4],
            "x\u2028\x07": lambda row: ["- x", "'q'", '"', "Ünï 🎈"][row % 4],
        }  # type: ignore[arg-type]
    )
    spec = drafted(written(tmp_path, rows))
    assert set(spec.columns) == set(rows[0]) - {"churn"}
    assert spec.columns["{brace}"].values == ["007", "12:30", "1e3", "No"]
    assert spec.columns[""].role == "drop"
