"""Predictions kept for drift checks: Parquet in the lake, without anything personal.

A row holds the time, the model's version, the probability and what the model was told, less the
fields that are marked personal. Files stand in `recorded/<dataset>/<day>/`.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import threading
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
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
        self._kept: deque[tuple[_File, dict[str, Any]]] = deque(maxlen=most)
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
        schema = schema_of(model)
        file = _File(model.card["dataset"], model.source.version, now.date().isoformat(), schema)
        for record, answer in zip(records, answers, strict=True):
            told = {
                "_time": now, "_version": model.source.version, "_class": answer["class"],
                "_probability": answer["probability"],
            }  # fmt: skip
            self._kept.append((file, {**record, **told}))

    def write(self) -> None:
        """Write what is kept, one file a model and day.

        Raises:
            OSError: the lake cannot be written; nothing is lost.
        """
        files: dict[_File, list[dict[str, Any]]] = {}
        for _ in range(len(self._kept)):
            file, row = self._kept.popleft()
            files.setdefault(file, []).append(row)
        for file in list(files):
            try:
                self._write(file, files[file])
            except OSError:
                self._kept.extend((file, row) for file, rows in files.items() for row in rows)
                raise
            del files[file]

    def _write(self, file: _File, rows: list[dict[str, Any]]) -> None:
        """One file, which readers see whole or not at all."""
        table = pa.Table.from_pylist(rows, file.schema)
        place = f"recorded/{file.dataset}/{file.day}"
        name = f"version-{file.version}-{uuid.uuid4().hex}.parquet"
        if self._lake.startswith("s3://"):
            path = f"{self._lake.removeprefix('s3://')}/{place}/{name}"
            pq.write_table(table, path, filesystem=_s3(), compression="zstd")
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


def _s3() -> fs.S3FileSystem:
    """S3 with the credentials and the region of the environment, as ECS gives them to a task."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return fs.S3FileSystem(region=region, endpoint_override=endpoint)


@dataclass(frozen=True)
class _File:
    """Where rows go together."""

    dataset: str
    version: str
    day: str
    schema: pa.Schema


@lru_cache(maxsize=32)
def schema_of(model: ServedModel) -> pa.Schema:
    """The columns that are recorded: those of the answer, and the fields that are not personal."""
    told = [("_time", pa.timestamp("us", "UTC")), ("_version", pa.string()),
            ("_class", pa.string()), ("_probability", pa.float64())]  # fmt: skip
    fields = [
        (each["name"], pa.float64() if each["type"] == "number" else pa.string())
        for each in model.card["fields"]
        if not each.get("personal")
    ]
    return pa.schema([*told, *fields])
