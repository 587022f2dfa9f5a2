"""Predictions kept for drift checks: Parquet in the lake, without anything personal.

A row holds the time, the model's version, the probability and what the model was told, less the
fields that are marked personal. Files stand in `recorded/<dataset>/<day>/`.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from serving.model import ServedModel

log = logging.getLogger(__name__)

EVERY = 60.0  # seconds between two writes
MOST = 50_000  # records in memory; the oldest go first


class Recorder:
    """Keeps predictions and writes them from a thread of its own.

    Args:
        lake: root of the lake, a folder or `s3://bucket/prefix`.
        every: seconds between two writes.
        most: records kept in memory while the lake cannot be written.
    """

    def __init__(self, lake: str, every: float = EVERY, most: int = MOST) -> None:
        self._lake, self._every = lake, every
        self._kept: deque[tuple[str, str, dict[str, Any]]] = deque(maxlen=most)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write what is kept, and end."""
        self._stop.set()
        self._thread.join()

    def add(
        self,
        model: ServedModel,
        records: Sequence[Mapping[str, Any]],
        answers: Sequence[Mapping[str, Any]],
    ) -> None:
        """Keep predictions; never waits."""
        now = dt.datetime.now(dt.UTC)
        open_fields = [each["name"] for each in model.card["fields"] if not each.get("personal")]
        for record, answer in zip(records, answers, strict=True):
            row = {
                "_time": now, "_version": model.source.version, "_class": answer["class"],
                "_probability": answer["probability"],
                **{name: record.get(name) for name in open_fields},
            }  # fmt: skip
            self._kept.append((model.card["dataset"], model.source.version, row))

    def write(self) -> None:
        """Write what is kept, one file a model and day.

        Raises:
            OSError: the lake cannot be written; nothing is lost.
        """
        taken = [self._kept.popleft() for _ in range(len(self._kept))]
        parts: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
        for dataset, version, row in taken:
            parts.setdefault((dataset, version, row["_time"].date().isoformat()), []).append(row)
        while parts:
            (dataset, version, day), rows = parts.popitem()
            try:
                self._write(dataset, version, day, rows)
            except OSError:
                for (name, number, _), left in [((dataset, version, day), rows), *parts.items()]:
                    self._kept.extend((name, number, row) for row in left)
                raise

    def _write(self, dataset: str, version: str, day: str, rows: list[dict[str, Any]]) -> None:
        """One file, which readers see whole or not at all."""
        table = pa.Table.from_pylist(rows)
        name = f"version-{version}-{uuid.uuid4().hex}.parquet"
        place = f"recorded/{dataset}/{day}"
        if self._lake.startswith("s3://"):
            system, root = fs.FileSystem.from_uri(self._lake)
            pq.write_table(table, f"{root}/{place}/{name}", filesystem=system, compression="zstd")
            return
        folder = Path(self._lake) / place
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, folder / f".{name}", compression="zstd")
        (folder / f".{name}").rename(folder / name)

    def _run(self) -> None:
        while True:
            ended = self._stop.wait(self._every)
            try:
                self.write()
            except OSError as error:
                log.warning(
                    "%d predictions are not recorded yet: %s cannot be written (%s).",
                    len(self._kept), self._lake, error,
                )  # fmt: skip
            if ended:
                return
