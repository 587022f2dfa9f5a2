"""Standardising in one pass, with values that are missing, and cutting features into pieces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import feature_rows
import reasons
from feature_rows import Table, batches, cut, find, piece_count
from standardise import Gathered, moments, scaler_of
from storage import Folder


def rows(count: int, seed: int = 0, mean: float = 0.0) -> np.ndarray:
    """Six columns: missing at different rates, one constant, one empty, one infinite at times."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(count, 6)) * [1, 2, 3, 0, 1, 4] + mean
    values[:, 1] += values[:, 0]
    for column, share in ((1, 0.3), (2, 0.8), (5, 0.1)):
        values[random.random(count) < share, column] = np.nan
    values[:, 4] = np.nan
    values[::17, 5] = np.inf
    return values


def gathered(pieces: list[np.ndarray]) -> Gathered:
    first, *others = [Gathered.of(piece) for piece in pieces if len(piece)]
    for other in others:
        first = first.merged(Gathered.unpacked(other.packed()))
    return first


def standardised(values: np.ndarray) -> np.ndarray:
    """The textbook's way, in two passes."""
    seen = np.where(np.isfinite(values), values, np.nan)
    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning):
        mean, scale = np.nanmean(seen, axis=0), np.nanstd(seen, axis=0)
    scale[~(scale > 1e-12 * np.maximum(np.abs(mean), 1))] = 1
    return np.nan_to_num((seen - mean) / scale)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 80), min_size=1, max_size=7), st.sampled_from([0.0, 1e5]))
def test_pieces_of_any_size_give_what_two_passes_give(sizes: list[int], mean: float) -> None:
    values = rows(sum(sizes), seed=len(sizes), mean=mean)
    found = gathered(np.split(values, np.cumsum(sizes)[:-1]))
    scaler = scaler_of(found, list("abcdef"))
    expected = standardised(values)
    np.testing.assert_allclose(scaler.standardise(values), expected, atol=1e-6)
    scatter = moments(found, scaler).scatter
    np.testing.assert_allclose(scatter, expected.T @ expected, atol=1e-6 * len(values))
    assert scaler.seen.tolist() == np.isfinite(values).sum(axis=0).tolist()


def test_a_large_mean_costs_no_digits() -> None:
    """Sums of raw products and their means would leave nothing of this spread."""
    near = rows(3000, mean=0.0)
    far = near + 1e8
    mine, its = (
        moments(found, scaler_of(found, list("abcdef"))).scatter
        for found in (gathered(np.split(values, 7 * [0] + [100, 1500])) for values in (near, far))
    )
    spread = [0, 1, 2, 5]
    np.testing.assert_allclose(
        mine[np.ix_(spread, spread)], its[np.ix_(spread, spread)], rtol=1e-6, atol=1e-3
    )


def test_nothing_missing_takes_the_short_way_to_the_same() -> None:
    whole = np.random.default_rng(0).normal(size=(200, 4)) + 5
    with_one = np.vstack([whole, [np.nan, 1, 2, 3]])
    short, long = Gathered.of(whole), Gathered.of(with_one)
    merged = short.merged(Gathered.of(with_one[200:]))
    for name in ("mean", "seen", "scatter", "mixed"):
        np.testing.assert_allclose(getattr(merged, name), getattr(long, name), atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=6), st.integers(1, 40))
def test_pieces_hold_every_row_once(files: list[int], count: int) -> None:
    table = Table(
        Folder("/x"), tuple((f"{n}", rows) for n, rows in enumerate(files)), pa.schema([])
    )
    pieces = cut(table, count)
    assert len(pieces) == min(count, table.rows)
    found = [(name, row) for piece in pieces for name, start, end in piece
             for row in range(start, end)]  # fmt: skip
    assert found == [(f"{n}", row) for n, rows in enumerate(files) for row in range(rows)]
    sizes = [sum(end - start for _, start, end in piece) for piece in pieces]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(("rows", "cores", "pieces"), [(10, 2, 1), (3_000, 2, 3), (10**6, 2, 20)])
def test_pieces_are_neither_tiny_nor_large(rows: int, cores: int, pieces: int) -> None:
    assert piece_count(rows, cores) == pieces


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_piece_is_read_across_row_groups_and_files(tmp_path: Path, size: int) -> None:
    for number in range(3):
        table = pa.table({"_row_id": [f"{number}-{row}" for row in range(25)], "x": range(25)})
        pq.write_table(table, tmp_path / f"part-{number}.parquet", row_group_size=10)
    table = find(Folder.of(str(tmp_path)))
    assert table.rows == 75
    seen = []
    for piece in cut(table, 4):
        for batch in batches(table.folder, piece, ["_row_id"], size):
            assert 0 < batch.num_rows <= size
            seen += batch.column(0).to_pylist()
    assert seen == [f"{number}-{row}" for number in range(3) for row in range(25)]


def test_columns_of_numbers_are_what_can_be_standardised() -> None:
    schema = pa.schema([("_row_id", pa.string()), ("a", pa.float64()), ("b", pa.int8()),
                        ("c", pa.decimal128(18, 3)), ("d", pa.string())])  # fmt: skip
    assert Table(Folder("/x"), (), schema).numbers(["b"]) == ["a", "c"]
    assert feature_rows.is_text(pa.dictionary(pa.int32(), pa.string()))


def test_equal_contributions_are_told_in_the_order_of_the_columns() -> None:
    each = np.array([[0.5, 0.7, 0.5, -1.0], [-1.0, -2.0, 0.0, -3.0]])
    names = pa.array(["a", "b", "c", "d"])
    told = [column.to_pylist() for column in reasons.columns(names, each, 5)]
    assert [one and one["feature"] for one in (column[0] for column in told)] == [
        "b", "a", "c", None, None,
    ]  # fmt: skip
    assert all(column[1] is None for column in told), "0 raises nothing"
