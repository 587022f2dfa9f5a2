"""One pass of a pipeline over one partition, and what all steps share."""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from millrace.datasets import AnySpec, DatasetSpec, ImageSpec, RelationalSpec
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
        engine: where training and predictions run, `local` or `aws`.
        run_id: id of the DAG run.
        started: when the DAG run started.
        client: gives boto3's client of an AWS service.
        keys: gives the variables with which a job on this machine reaches S3.
    """

    spec: AnySpec
    partition: str
    store: Store
    settings: Settings
    candidates: tuple[str, ...]
    engine: str = "local"
    promote: Literal["auto", "yes", "no"] = "auto"
    backfill: bool = False
    again: bool = False
    run_id: str = ""
    started: dt.datetime | None = None
    client: Callable[[str], Any] | None = None
    keys: Callable[[], dict[str, str]] | None = None

    @property
    def tables(self) -> DatasetSpec:
        """The spec, for steps that work on one table: of several tables, that of their features.

        Raises:
            LakeError: the features of several tables are not published yet.
        """
        if isinstance(self.spec, RelationalSpec):
            from millrace.features_sql.table import features_from_json

            return self.spec.tabular(features_from_json(self.features().json("features.json")))
        if not isinstance(self.spec, DatasetSpec):
            raise TypeError(f"{self.spec.name} is a data set of images, not of tables")
        return self.spec

    @property
    def images(self) -> ImageSpec:
        """The spec, for steps that work on images."""
        if not isinstance(self.spec, ImageSpec):
            raise TypeError(f"{self.spec.name} is a data set of tables, not of images")
        return self.spec

    @property
    def relational(self) -> RelationalSpec:
        """The spec, for steps that work on several tables."""
        if not isinstance(self.spec, RelationalSpec):
            raise TypeError(f"{self.spec.name} is no data set of several tables")
        return self.spec

    @property
    def is_remote(self) -> bool:
        """Whether jobs run on AWS."""
        return self.engine == "aws"

    def place(self, area: str, name: str = "") -> Place:
        """Where an output of this run stands in the lake."""
        return Place(area, self.spec.name, self.partition, name)

    def published(self, area: str, name: str, step: str) -> Published:
        """What an earlier step of this run published."""
        return require_published(self.store, self.place(area, name), step)

    def processed(self) -> Published:
        """The train channel and the test rows of this run."""
        images = isinstance(self.spec, ImageSpec)
        return self.published("processed", "", "split_components" if images else "preprocess")

    def features(self) -> Published:
        """The features that SQL made of several tables."""
        return self.published("features", "", "sql_features")

    def validation(self) -> Published:
        """The report on this run's raw files, or on the features of its images."""
        steps = {ImageSpec: "check_features", RelationalSpec: "load_tables"}
        step = steps.get(type(self.spec), "validate_raw")
        return self.published("reports", "validation", step)


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
