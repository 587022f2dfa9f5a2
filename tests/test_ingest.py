"""Raw files as they really are: any encoding, delimiter and damage is read or reported."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from millrace.datasets import DatasetSpec
from millrace.ingest import RawTable, read_raw
from millrace.problems import FILE, ROW
from millrace.validate import validate

QUICK = settings(deadline=None, max_examples=60)
COLUMNS = ("i", "a", "c", "y")
HEAD = "i,a,c,y\n"


def spec_of(*names: str, **raw: Any) -> DatasetSpec:
    """A spec of text columns, the last being the target."""
    return DatasetSpec.model_validate(
        {
            "name": "any", "description": "", "owner": "nobody", "raw": raw,
            "target": {"column": names[-1], "positive": "1", "negative": "0"},
            "columns": {name: {"role": "categorical"} for name in names[:-1]},
            "candidates": {"tree": {"algorithm": "decision_tree"}},
        }
    )  # fmt: skip


@pytest.fixture
def read(tmp_path: Path):
    def read_files(*contents: str | bytes, **raw: Any) -> RawTable:
        paths = []
        for number, content in enumerate(contents, start=1):
            paths.append(tmp_path / f"part-{number}.csv")
            paths[-1].write_bytes(content.encode() if isinstance(content, str) else content)
        return read_raw(paths, spec_of(*COLUMNS, **raw))

    return read_files


def rows_of(table: RawTable) -> list[list[str]]:
    return table.frame[list(COLUMNS)].to_numpy().tolist()


def found(table: RawTable) -> list[tuple[str, str, int | None, str | None]]:
    return [(item.severity, item.check, item.row, item.column) for item in table.problems]


def test_every_value_stays_text(read):
    table = read(HEAD + "007,1.50,NA,1\n1e3,,null,0\n")
    assert rows_of(table) == [["007", "1.50", "NA", "1"], ["1e3", "", "null", "0"]]
    assert not table.problems


def test_blanks_and_tabs_around_names_and_values_go(read):
    table = read(" i ,\ta,c\t,  y\n 1 ,\t2\t, b b ,\u00a00\n")
    assert rows_of(table) == [["1", "2", "b b", "0"]]


PLAIN = HEAD + "1,é,ü x,1\n2,ß,ÿ,0\n"


@pytest.mark.parametrize(
    ("content", "raw"),
    [
        (PLAIN.encode("utf-8-sig"), {}),
        (PLAIN.encode("utf-8-sig"), {"encoding": "utf-8-sig"}),
        (PLAIN.encode("cp1252"), {"encoding": "cp1252"}),
        (PLAIN.encode("latin-1"), {"encoding": "latin-1"}),
        (PLAIN.encode("utf-16"), {"encoding": "utf-16"}),
        (PLAIN.encode("utf-16-be"), {"encoding": "utf-16-be"}),
        (PLAIN.replace("\n", "\r\n").encode(), {}),
        (PLAIN.replace("\n", "\r").encode(), {}),
        (PLAIN.rstrip().encode(), {}),
        (PLAIN.replace(",", ";").encode(), {"delimiter": ";"}),
        (PLAIN.replace(",", "\t").encode(), {"delimiter": "\t"}),
        (PLAIN.replace(",", "|").encode(), {"delimiter": "|"}),
        (PLAIN.replace("ü x", "'ü x'").encode(), {"quote": "'"}),
    ],
)
def test_a_file_reads_the_same_however_it_is_written(read, content, raw):
    table = read(content, **raw)
    assert rows_of(table) == [["1", "é", "ü x", "1"], ["2", "ß", "ÿ", "0"]]
    assert table.frame[ROW].tolist() == [2, 3]
    assert not table.problems


def test_quoted_delimiters_quotes_and_line_breaks_belong_to_the_value(read):
    table = read(HEAD + '1,"a, b","say ""hi""",1\r\n2,"one\r\n\r\nthree",,0\r\n3,4\r\n5,x,y,1\r\n')
    assert rows_of(table)[:2] == [
        ["1", "a, b", 'say "hi"', "1"], ["2", "one\r\n\r\nthree", "", "0"],
    ]  # fmt: skip
    assert table.frame[ROW].tolist() == [2, 3, 5]
    assert table.unreadable == [("part-1.csv", 4, "3,4")]


def test_a_header_may_hold_quoted_line_breaks(read):
    assert rows_of(read('i,"a\n",c,"y"\n1,2,3,0\n')) == [["1", "2", "3", "0"]]


def test_blank_rows_are_left_out_and_counted_in_row_numbers(read):
    table = read("\n" + HEAD + "\n1,2,b,1\n\n   \n,,,\n3,4\n2,x,c,0\n\n")
    assert table.frame[ROW].tolist() == [4, 9]
    assert table.unreadable == [("part-1.csv", 8, "3,4")]
    assert found(table) == [("row", "fields", 8, None), ("note", "blank rows", 3, None)]
    assert table.problems[1].found == "5 blank row(s)"
    assert table.rows == 3


def test_rows_with_too_few_or_too_many_fields_are_set_aside(read):
    table = read(HEAD + "1,2,3,0\n1,2,3\n1,2,3,0,\n,,,,,\n4,5,6,1\n")
    assert [row for _, row, _ in table.unreadable] == [3, 4, 5]
    assert [item.found for item in table.problems] == [
        "3 fields instead of 4", "5 fields instead of 4", "6 fields instead of 4",
    ]  # fmt: skip
    assert table.frame[ROW].tolist() == [2, 6]
    assert table.rows == 5
    assert not table.broken


def test_several_files_are_read_in_order_each_with_its_own_rows(read):
    table = read(HEAD + "1,2,3,0\n", HEAD.upper().lower() + "4,5,6,1\n7,8,9,0\n")
    assert table.frame[FILE].tolist() == ["part-1.csv", "part-2.csv", "part-2.csv"]
    assert table.frame[ROW].tolist() == [2, 2, 3]


def test_columns_may_stand_in_another_order_in_another_file(read):
    table = read(HEAD + "1,2,3,0\n", "y,c,a,i\n1,6,5,4\n")
    assert rows_of(table) == [["1", "2", "3", "0"], ["4", "5", "6", "1"]]


@pytest.mark.parametrize("text", ["", "\n\n", "   \n", "\ufeff"])
def test_a_file_without_a_header_is_an_error(read, text):
    table = read(text)
    assert found(table) == [("error", "header", None, None)]
    assert table.broken


@pytest.mark.parametrize("text", [HEAD, HEAD.rstrip(), HEAD.rstrip() + "\r\n", HEAD + "\n\n"])
def test_a_header_alone_is_a_file_of_no_rows(read, text):
    table = read(text)
    assert table.rows == 0
    assert not table.broken
    assert list(table.frame) == [*COLUMNS, FILE, ROW]


@pytest.mark.parametrize("actual", [",", ";", "\t", "|"])
@pytest.mark.parametrize("stated", [",", ";", "\t", "|"])
def test_a_wrong_delimiter_is_named_with_the_right_one(read, actual, stated):
    table = read(PLAIN.replace(",", actual), delimiter=stated)
    if actual == stated:
        assert not table.problems
        return
    [problem] = table.problems
    assert (problem.severity, problem.check, problem.row) == ("error", "delimiter", 1)
    assert problem.remedy == f'set `raw.delimiter: "{actual}"`'.replace("\t", "\\t")


def test_all_that_is_wrong_with_the_columns_is_reported_at_once(read):
    table = read("i,A,c,c,more\n1,2,3,4,5\n")
    assert found(table) == [
        ("error", "columns", 1, "a"), ("error", "columns", 1, "y"), ("error", "columns", 1, "c"),
        ("error", "columns", 1, "A"), ("error", "columns", 1, "more"),
    ]  # fmt: skip


def test_a_missing_column_comes_with_the_nearest_name(read):
    table = read("i,aa,c,y\n")
    assert "(did you mean 'aa'?)" in table.problems[0].remedy


def test_extra_columns_can_be_ignored(read):
    text = "i,a,,extra,c,y,\n1,2,,x,3,0,\n"
    assert read(text).broken
    table = read(text, extra_columns="ignore")
    assert rows_of(table) == [["1", "2", "3", "0"]]
    assert {item.severity for item in table.problems} == {"note"}


@pytest.mark.parametrize(
    ("content", "encoding", "row", "byte"),
    [
        (HEAD.encode() + b"1,2,3,0\n2,\xe9,3,1\n", "utf-8", 3, "0xe9"),
        (HEAD.encode() + b'1,"a\n\nb",3,0\n2,\xe9,3,1\n', "utf-8", 3, "0xe9"),
        (HEAD.encode() + b"1,2,3,0\n" * 300_000 + b"2,\xe9,3,1\n", "utf-8", 300_002, "0xe9"),
        (HEAD.encode() + b"1,2,3,0\n2,3,4,\xc3", "utf-8", 3, "0xc3"),
        ((HEAD + "1,2,3,0\n").encode("utf-16")[:-1], "utf-16", 2, "0x0a"),
        (HEAD.encode("utf-16"), "utf-8", 1, "0xff"),
        (HEAD.encode() + b"1,\x81,3,0\n", "cp1252", 2, "0x81"),
        (HEAD.encode() + "1,é,3,0\n".encode(), "ascii", 2, "0xc3"),
    ],
)
def test_a_byte_of_another_encoding_is_named_with_its_row(read, content, encoding, row, byte):
    [problem] = read(content, encoding=encoding).problems
    assert (problem.severity, problem.check, problem.row) == ("error", "encoding", row)
    assert problem.found == f"the byte {byte}, which is not {encoding}"
    assert "raw.encoding" in problem.remedy


def test_utf_16_without_a_byte_order_mark_needs_its_order(read):
    [problem] = read(PLAIN.encode("utf-16-le"), encoding="utf-16").problems
    assert (problem.severity, problem.check) == ("error", "encoding")
    assert problem.remedy == "set `raw.encoding` to utf-16-le or utf-16-be"
    assert not read(PLAIN.encode("utf-16-le"), encoding="utf-16-le").problems


@pytest.mark.parametrize("rows", [2, 50_000])
@pytest.mark.parametrize(
    ("broken", "row"), [('2,"x,b,0\n', 3), ('2,x,b,"0\n', 3), ('2,x,b,"0', 3), ('2,"', 3)]
)
def test_a_quote_left_open_is_an_error_at_its_row(read, broken, row, rows):
    good = "1,2,3,0\n"
    text = HEAD + good + broken + ("" if not broken.endswith("\n") else good * rows)
    [problem] = read(text).problems
    assert (problem.severity, problem.check, problem.row) == ("error", "quote", row)


def test_a_quote_inside_a_value_is_no_open_quote(read):
    table = read(HEAD + '1,5" pipe,3,0\n2,x,y,1\n')
    assert rows_of(table)[0] == ["1", '5" pipe', "3", "0"]
    assert not table.problems


def test_a_header_left_open_is_an_error(read):
    [problem] = read('i,a,"c,y\n1,2,3,0\n').problems
    assert (problem.check, problem.row) == ("quote", 1)
    [problem] = read(f'i,"{"a" * 200_000}",c,y\n1,2,3,0\n').problems
    assert (problem.severity, problem.row) == ("error", 1)


def test_nul_bytes_reach_validation_as_they_are(read):
    assert rows_of(read(HEAD + "1,2\x00,3,0\n"))[0][1] == "2\x00"


def test_one_unreadable_file_does_not_hide_what_is_wrong_with_another(read):
    table = read(b"\xff\xfe", "i,a\n", HEAD + "1,2,3\n")
    assert {(item.file, item.check) for item in table.problems} == {
        ("part-1.csv", "encoding"), ("part-2.csv", "columns"), ("part-3.csv", "fields"),
    }  # fmt: skip


texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
tables = st.integers(2, 5).flatmap(
    lambda width: st.lists(st.lists(texts, min_size=width, max_size=width), max_size=8)
)


@QUICK
@example([["\ufeff", ""]], ",", "\n")
@example([["a\rb", "\r"], ['"', '""']], ",", "\n")
@given(tables, st.sampled_from(",;\t|"), st.sampled_from(["\n", "\r\n"]))
def test_whatever_the_csv_module_writes_is_read_back(tmp_path_factory, rows, delimiter, ending):
    width = len(rows[0]) if rows else 2
    names = [f"c{number}" for number in range(width)]
    path = tmp_path_factory.mktemp("any") / "any.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator=ending, quoting=csv.QUOTE_ALL)
        writer.writerows([names, *rows])
    table = read_raw([path], spec_of(*names, delimiter=delimiter))
    expected = [trimmed for row in rows if any(trimmed := [value.strip() for value in row])]
    assert table.frame[names].to_numpy().tolist() == expected
    assert not [item for item in table.problems if item.severity != "note"]


GOOD = (HEAD + '1,"a b",c,1\n2,"d\n""e""",f,0\n3,4,5,1\n' * 3).encode()


@QUICK
@given(st.data(), st.sampled_from(["utf-8", "utf-16", "cp1252", "gb18030", "utf-7"]))
def test_no_damage_raises(tmp_path_factory, data, encoding):
    content = bytearray(GOOD.decode().encode(encoding))
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(content)))
        cut = data.draw(st.integers(0, 9))
        content[place : place + cut] = data.draw(
            st.binary(max_size=4) | st.sampled_from([b'"', b",", b"\n", b"\r", b"\x00"])
        )
    path = tmp_path_factory.mktemp("any") / "any.csv"
    path.write_bytes(bytes(content))
    spec = spec_of(*COLUMNS, encoding=encoding)
    table = read_raw([path], spec)
    report = validate(table, spec).report
    accounted = report["rows_clean"] + report["rows_quarantined"] + report["rows_duplicate"]
    assert table.broken or accounted == report["rows_read"]
    assert all(item.remedy for item in table.problems)


@QUICK
@given(st.binary(max_size=200), st.sampled_from(["utf-8", "utf-16", "latin-1"]))
def test_no_rubbish_raises(tmp_path_factory, content, encoding):
    path = tmp_path_factory.mktemp("any") / "any.csv"
    path.write_bytes(content)
    assert read_raw([path], spec_of(*COLUMNS, encoding=encoding)).broken


def test_rows_as_the_csv_module_counts_them(read):
    """Row numbers agree with an independent reader on a file with everything in it."""
    text = HEAD + '1,"x\ny",b,0\n\n2,3\n"4",5,"6,7",1\n\n8,9,10,0\n'
    records = list(csv.reader(io.StringIO(text)))
    table = read(text)
    for row, (_, values) in zip(table.frame[ROW], table.frame.iterrows(), strict=True):
        assert records[row - 1] == values[list(COLUMNS)].tolist()
