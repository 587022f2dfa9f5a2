"""Which partitions are complete, and which of them have no run yet: on a folder and on S3."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from millrace.arrivals.partitions import Arrival, arrival_of, arrivals_in, without_run
from millrace.datasets import DatasetSpec
from millrace.lake import LocalStore, Store
from tests.orchard import orchard
from tests.photos import photo_spec


def put(store: Store, address: str, content: str = "x") -> None:
    present = store.read(f"raw/{address}")
    store.replace(f"raw/{address}", content.encode(), present[1] if present else None)


def days(store: Store, spec: DatasetSpec) -> list[str]:
    return [arrival.partition for arrival in arrivals_in(store, spec)]


def test_a_partition_is_complete_with_its_files(store: Store) -> None:
    spec = orchard()
    assert arrivals_in(store, spec) == []
    for address in (
        "orchard/2026-01-06/b.csv", "orchard/2026-01-05/a.csv", "orchard/2026-01-05/b.csv",
        "orchard/2026-01-07/rows.part", "orchard/2026-01-08/deeper/a.csv",
        "orchard/2026-02-30/a.csv", "orchard/a.csv", "orchards/2026-01-09/a.csv",
    ):  # fmt: skip
        put(store, address)
    assert days(store, spec) == ["2026-01-05", "2026-01-06"]
    first = arrivals_in(store, spec)[0]
    assert (first.files, first.bytes) == (2, 2)
    assert arrival_of(store, spec, "2026-01-05") == first
    assert arrival_of(store, spec, "2026-01-07") is None


def test_with_a_marker_only_the_marker_completes_it(store: Store) -> None:
    spec = orchard(raw={"ready": "_READY"})
    put(store, "orchard/2026-01-05/a.csv")
    assert days(store, spec) == []
    put(store, "orchard/2026-01-05/_READY")
    assert days(store, spec) == ["2026-01-05"]


def test_images_in_folders_are_complete_with_their_marker(store: Store) -> None:
    raw = {"files": "images/*/*.jpg", "ready": "_SUCCESS"}
    spec = photo_spec(raw=raw)
    for name in ("images/a b/1.jpg", "images/c/1.jpg", "images/c/deeper/1.jpg", "notes.txt"):
        put(store, f"photos/2026-01-05/{name}")
    assert arrivals_in(store, spec) == []
    put(store, "photos/2026-01-05/_SUCCESS")
    [arrival] = arrivals_in(store, spec)
    assert (arrival.dataset, arrival.partition, arrival.files) == ("photos", "2026-01-05", 3)


def test_the_run_is_named_by_the_content(tmp_path: Path) -> None:
    store, spec = LocalStore(tmp_path), orchard(raw={"ready": "_READY"})

    def run_id() -> str:
        found = arrival_of(store, spec, "2026-01-05")
        assert found
        return found.run_id

    put(store, "orchard/2026-01-05/a.csv", "1")
    put(store, "orchard/2026-01-05/_READY")
    seen = [run_id()]
    put(store, "orchard/2026-01-05/notes.txt")
    assert run_id() == seen[0], "a file that nobody awaits is no content"
    put(store, "orchard/2026-01-05/a.csv", "22")
    seen.append(run_id())
    put(store, "orchard/2026-01-05/b.csv")
    seen.append(run_id())
    os.utime(tmp_path / "raw/orchard/2026-01-05/_READY", (1, 1))
    seen.append(run_id())
    assert len(set(seen)) == len(seen)
    assert seen[0].startswith("arrival__2026-01-05__")


def arrivals(count: int, dataset: str = "orchard") -> list[Arrival]:
    return [Arrival(dataset, f"day {number}", "c", 1, 1, 0.0) for number in range(count)]


@given(count=st.integers(0, 230), known=st.sets(st.integers(0, 229)))
def test_those_without_a_run_are_found(count: int, known: set[int]) -> None:
    both = arrivals(count) + arrivals(3, "vineyard")
    ids = {both[index].run_id for index in known if index < count}

    def runs(dag_id: str, run_ids: list[str]) -> int:
        assert 0 < len(run_ids) <= 50
        return len(ids & set(run_ids)) if dag_id == "orchard" else 0

    expected = [
        arrival for arrival in both if arrival.dataset == "vineyard" or arrival.run_id not in ids
    ]
    assert without_run(both, runs) == expected


def test_many_known_ones_take_few_questions() -> None:
    asked = []

    def runs(dag_id: str, run_ids: list[str]) -> int:
        asked.append(run_ids)
        return len([one for one in run_ids if "day 123__" not in one])

    assert [found.partition for found in without_run(arrivals(1000), runs)] == ["day 123"]
    assert len(asked) < 35
