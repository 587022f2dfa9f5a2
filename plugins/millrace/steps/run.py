"""One pass of a pipeline over one partition, and what all steps share."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Literal

from millrace.datasets import DatasetSpec
from millrace.lake import Place, Published, Store, require_published
from millrace.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """One pass of a pipeline over one partition.

    Attributes:
        partition: day of the data, `YYYY-MM-DD`.
        candidates: names of the spec's candidates to train.
        promote: `auto` lets every run but a backfill move the champion.
        backfill: whether this run is part of one.
        again: make outputs anew even where the published ones answer.
    """

    spec: DatasetSpec
    partition: str
    store: Store
    settings: Settings
    candidates: tuple[str, ...]
    engine: str = "local"
    promote: Literal["auto", "yes", "no"] = "auto"
    backfill: bool = False
    again: bool = False

    def place(self, area: str, name: str = "") -> Place:
        """Where an output of this run stands in the lake."""
        return Place(area, self.spec.name, self.partition, name)

    def published(self, area: str, name: str, step: str) -> Published:
        """What an earlier step of this run published."""
        return require_published(self.store, self.place(area, name), step)


def content_of(published: Published, prefix: str) -> dict[str, str]:
    """Hashes of the files below `prefix`: what a step depends on, and no more."""
    return {
        name: facts["sha256"]
        for name, facts in published.manifest.files.items()
        if name.startswith(prefix)
    }


def log_rate(done: str, rows: int, started: float) -> None:
    seconds = time.monotonic() - started
    log.info(
        "%s %s rows in %.1f s (%s rows/s).", done, f"{rows:,}", seconds, f"{rows / seconds:,.0f}"
    )
