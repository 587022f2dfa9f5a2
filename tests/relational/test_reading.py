"""The quick reading of a table keeps only what the careful one keeps, with the same values."""

from __future__ import annotations

import csv
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millrace.datasets import RelationalSpec
from millrace.relational.engine import open_engine
from millrace.relational.reading import Odd, Reader, Source

TABLE = "credit_card_balance"  # it has whole numbers, amounts and text
KEY = {"SK_ID_PREV": "1", "SK_ID_CURR": "2", "MONTHS_BALANCE": "-3"}
WHOLE, AMOUNT, TEXT = "SK_DPD", "AMT_BALANCE", "NAME_CONTRACT_STATUS"

ODD = ["12.5", "1e3", "1e400", "+7", "007", "0x1F", "1_000", "true", "inf", "-inf", "nan", "NaN",
       "", " ", " 12 ", "1 2", "9007199254740991", "9007199254740993", "9223372036854775807",
       "9223372036854775808", "99999999999999999999", "0.0005", "1.0015", "-0", "-.5", "5.",
       "1,5", "XNA", "n/a", "12:30", "'5'"]  # fmt: skip
numbers = st.one_of(
    st.integers(-(10**6), 10**6).map(str),
    st.decimals(-(10**6), 10**6, places=3).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(ODD),
)
texts = st.one_of(st.sampled_from(["Active", "XNA", " padded ", "a,b", 'q"q', "", "é"]), numbers)
rows = st.lists(st.tuples(numbers, numbers, texts), min_size=1, max_size=3)


def read(folder: Path, spec: RelationalSpec, quick: bool) -> tuple[pa.Table | None, int]:
    path = folder / "cards.csv"
    with path.open(newline="") as file:
        header = next(csv.reader(file))
    with open_engine(folder, threads=1) as engine:
        reader = Reader(TABLE, spec, [Source("cards.csv", path, header)], engine)
        try:
            found = list(reader.quickly() if quick else reader.carefully())
        except (Odd, duckdb.Error):
            assert quick, "a careful reading sets aside what it cannot read"
            return None, 0
    return pa.Table.from_batches(found, reader.schema), reader.bad


def write(folder: Path, spec: RelationalSpec, values: list[tuple[str, str, str]]) -> None:
    columns = list(spec.tables[TABLE].columns.types())
    with (folder / "cards.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        for whole, amount, text in values:
            writer.writerow({**KEY, WHOLE: whole, AMOUNT: amount, TEXT: text})


@given(values=rows)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_both_readings_agree(
    spec: RelationalSpec, tmp_path: Path, values: list[tuple[str, str, str]]
) -> None:
    write(tmp_path, spec, values)
    quick, _ = read(tmp_path, spec, quick=True)
    careful, bad = read(tmp_path, spec, quick=False)
    if quick is not None:
        assert bad == 0
        assert quick.equals(careful)


@pytest.mark.parametrize("value", ["12.5", "inf", "9007199254740993", "x"])
def test_a_whole_number_that_may_be_none_is_odd(
    spec: RelationalSpec, tmp_path: Path, value: str
) -> None:
    write(tmp_path, spec, [("1", "2", "a"), (value, "2", "a")])
    assert read(tmp_path, spec, quick=True)[0] is None


def test_ordinary_rows_need_no_second_reading(spec: RelationalSpec, tmp_path: Path) -> None:
    values = [("1", "2.5", "Active"), ("12.0", "", "XNA"), ("", "-1e3", "")]
    write(tmp_path, spec, values)
    quick, _ = read(tmp_path, spec, quick=True)
    assert quick is not None
    assert quick[WHOLE].to_pylist() == [1, 12, None]
    assert [None if each is None else float(each) for each in quick[AMOUNT].to_pylist()] == [
        2.5, None, -1000.0
    ]  # fmt: skip
    assert quick[TEXT].to_pylist() == ["Active", "XNA", None]
