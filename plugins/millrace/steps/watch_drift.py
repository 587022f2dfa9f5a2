"""Step: compare what comes in with what the champion was judged on, and publish the page.

Two things come in: requests that the model service has recorded on the day, and the day's own
partition. The reference are the test rows of the champion's partition, with its predictions.
"""

from __future__ import annotations

import logging
from typing import Any

import pandas as pd

from millrace import drift
from millrace.datasets import ImageSpec
from millrace.datasets.watching import Watch, watch_of
from millrace.errors import MillraceError
from millrace.lake import Attempt, Published, publish, read_published
from millrace.lake.store import Entry
from millrace.pages.drift import drift_page
from millrace.steps.drift_rows import (
    CLASS,
    PROBABILITY,
    NothingToCompare,
    Reference,
    partition_rows,
    reference_of,
    sample,
)
from millrace.steps.explain import hidden_features
from millrace.steps.recorded import recorded_files, requests
from millrace.steps.run import Run, content_of

__all__ = ["NothingToCompare", "watch_drift"]

log = logging.getLogger(__name__)

REQUESTS, PARTITION = "requests", "partition"


def watch_drift(run: Run) -> dict[str, Any]:
    """Compare, publish the page and the figures, and say whether there is an alarm.

    Raises:
        NothingToCompare: there is no champion, or neither requests nor a new partition of rows
            enough.
        TrackingUnavailable: MLflow does not answer in time.
    """
    watch, reference = _watch(run), reference_of(run)
    recorded = recorded_files(run.store, run.spec.name, run.partition)
    newest = read_published(run.store, run.place("processed"))
    if newest is not None and run.partition == reference.partition:
        newest = None
    published = publish(
        run.store, run.place("reports", "drift"),
        depends_on={
            "reference": content_of(reference.processed, "test/"), "version": reference.version,
            "requests": {entry.key: entry.size for entry in recorded},
            "partition": content_of(newest, "test/") if newest else None,
            "watch": watch.model_dump(),
        },
        inputs={reference.processed.uri: reference.processed.manifest.content},
        build=lambda attempt: _build(run, watch, reference, recorded, newest, attempt),
        again=run.again,
    )  # fmt: skip
    return {**published.facts, "report": f"{published.uri}/report.html"}


def _build(
    run: Run, watch: Watch, reference: Reference, recorded: list[Entry],
    newest: Published | None, attempt: Attempt,
) -> None:  # fmt: skip
    private = {*_private(run)}
    before = reference.rows().drop(columns=[*private], errors="ignore")
    sides = _sides(run, watch, reference, recorded, newest)
    found = {
        name: drift.compare(
            sample(before), sample(rows), reference.numbers, (PROBABILITY, CLASS), watch.share
        )
        for name, rows in sides.items()
    }
    alarm = any(each.alarm for each in found.values())
    figures = {
        "dataset": run.spec.name, "partition": run.partition, "version": reference.version,
        "reference": reference.partition, "images": isinstance(run.spec, ImageSpec),
        "alarm": alarm, "watch": watch.model_dump(),
        "compared": {name: each.as_dict() for name, each in found.items()},
    }  # fmt: skip
    attempt.write_json("drift.json", figures)
    attempt.write("report.html", drift_page(figures, found, sample(before), sides))
    attempt.facts |= {
        "alarm": alarm, "version": reference.version,
        "share": {name: round(each.share, 4) for name, each in found.items()},
        "drifted": {
            name: [shift.name for shift in each.columns if shift.drifted][:20]
            for name, each in found.items()
        },
    }  # fmt: skip
    for name, each in found.items():
        log.info("%s: %d of %d columns have drifted (alarm from %.0f %%), predictions %s.",
                 name, sum(shift.drifted for shift in each.columns), len(each.columns),
                 100 * watch.share, _said(each))  # fmt: skip


def _sides(
    run: Run, watch: Watch, reference: Reference, recorded: list[Entry], newest: Published | None
) -> dict[str, pd.DataFrame]:
    """What has come in, as far as there are rows enough for a verdict."""
    found: dict[str, pd.DataFrame] = {}
    asked = requests(run.store, recorded, reference.version)
    if len(asked) >= watch.rows:
        found[REQUESTS] = asked
    tested = newest.facts["rows"]["test"] if newest else 0
    if newest and tested >= watch.rows:
        rows = partition_rows(run, reference, newest)
        if rows is not None:
            found[PARTITION] = rows
    if not found:
        raise NothingToCompare(
            f"{run.spec.name} {run.partition}: {len(asked):,} requests to version"
            f" {reference.version}, and {tested:,} test rows of a new partition; a verdict needs"
            f" {watch.rows:,} rows (`drift.rows`) that the champion can predict"
        )
    return found


def _said(found: drift.Drift) -> str:
    if not found.predictions:
        return "not compared"
    return "have drifted" if any(each.drifted for each in found.predictions) else "have not"


def _watch(run: Run) -> Watch:
    found = watch_of(run.spec)
    if found is None:
        raise MillraceError(f"the spec of {run.spec.name} has no section `drift`")
    return found


def _private(run: Run) -> list[str]:
    spec = run.spec if isinstance(run.spec, ImageSpec) else run.tables
    return [*spec.private_columns(), *hidden_features(run)]
