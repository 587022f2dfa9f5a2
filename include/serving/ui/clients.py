"""Clients in the lake: their features, and how the champion scored all of them.

What is read is checked against its manifest once, and read anew when another one is published: a
person who is erased from the lake is gone from here too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from millrace.lake import Place, Published, Store, open_store, read_published
from millrace.lake.manifest import MANIFEST

ROW_ID = "_row_id"
LOOK = 30.0  # seconds between two looks for a newer partition


@dataclass(frozen=True)
class Rows:
    """The rows of a published partition.

    Attributes:
        folder: in which the Parquet files stand.
    """

    published: Published
    folder: str

    @property
    def partition(self) -> str:
        """The day of the data."""
        return self.published.place.split("/")[2]

    @cached_property
    def files(self) -> list[pq.ParquetFile]:
        """The files, checked and open."""
        names = sorted(self.published.manifest.files)
        return [pq.ParquetFile(self.published.path(name)) for name in names
                if name.startswith(self.folder) and name.endswith(".parquet")]  # fmt: skip

    @cached_property
    def ids(self) -> list[pa.Array]:
        """The clients' ids, as text, a file each."""
        columns = (file.read(columns=[ROW_ID])[ROW_ID] for file in self.files)
        return [pc.cast(column, pa.string()).combine_chunks() for column in columns]

    def row(self, identifier: str, columns: Sequence[str]) -> dict[str, Any] | None:
        """One client's values of some columns, None where there is no such client."""
        for file, ids in zip(self.files, self.ids, strict=True):
            place = pc.index(ids, identifier).as_py()
            if place >= 0:
                return _row(file, place, columns)
        return None

    @cached_property
    def probability(self) -> np.ndarray:
        """The scores of all clients, shape (rows,)."""
        parts = [file.read(columns=["probability"])["probability"].to_numpy()
                 for file in self.files]  # fmt: skip
        return np.concatenate(parts) if parts else np.empty(0)

    @property
    def model(self) -> str:
        """Which model scored them, as the scoring job names it."""
        return str(self.published.facts.get("model_version", ""))


class Clients:
    """The clients of one data set in the newest partition of a lake.

    Args:
        opened: opens the lake. Each partition is read through a store of its own, whose copies of
            files on S3 go with it: neither who was erased nor old partitions stay on this disk.
    """

    def __init__(self, opened: Callable[[], Store], dataset: str) -> None:
        self.opened, self.store, self.dataset = opened, opened(), dataset
        self._known: dict[str, tuple[float, Rows | None]] = {}
        self._looking = threading.Lock()

    def features(self) -> Rows | None:
        """The newest published features, None where there are none."""
        return self._newest("features", "", "features/")

    def scores(self) -> Rows | None:
        """The newest published scores, None where there are none."""
        return self._newest("predictions", "scores", "predictions/")

    def _newest(self, area: str, name: str, folder: str) -> Rows | None:
        with self._looking:
            looked, present = self._known.get(area, (-LOOK, None))
            if time.monotonic() - looked < LOOK:
                return present
            found = self._published(area, name)
            if found is None or present is None or found.manifest != present.published.manifest:
                present = Rows(replace(found, store=self.opened()), folder) if found else None
            self._known[area] = (time.monotonic(), present)
            return present

    def _published(self, area: str, name: str) -> Published | None:
        ending = "/".join(filter(None, (name, MANIFEST)))
        keys = [entry.key.split("/") for entry in self.store.list(f"{area}/{self.dataset}")]
        days = sorted(key[2] for key in keys if "/".join(key[3:]) == ending)
        place = Place(area, self.dataset, days[-1], name) if days else None
        return read_published(self.store, place) if place else None


def clients_of(lake: str | None, dataset: str) -> Clients | None:
    """The clients of a data set, None where no lake is named."""
    return Clients(partial(store_of, lake), dataset) if lake else None


def store_of(lake: str) -> Store:
    """The lake for reading; on S3 with the rights of the process."""
    if not lake.startswith("s3://"):
        return open_store(lake)
    import boto3

    return open_store(lake, boto3.client("s3"))


def as_record(row: Mapping[str, Any], fields: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A row of features as a request: numbers are floats, and what is missing is left out."""
    found: dict[str, Any] = {}
    for field in fields:
        value = row.get(field["name"])
        if value is None or value != value:
            continue
        found[field["name"]] = float(value) if field["type"] == "number" else str(value)
    return found


def _row(file: pq.ParquetFile, place: int, columns: Sequence[str]) -> dict[str, Any]:
    """The row at a place, reading no more than its row group."""
    wanted = [name for name in columns if name in file.schema_arrow.names]
    for group in range(file.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if place < rows:
            found: dict[str, Any] = (
                file.read_row_group(group, columns=wanted).slice(place, 1).to_pylist()[0]
            )
            return found
        place -= rows
    raise AssertionError("the ids and the rows of a file are as many")
