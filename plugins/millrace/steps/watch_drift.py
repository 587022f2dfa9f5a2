"""Step: compare what comes in with what the champion was judged on, and publish the page.

Two things come in: requests that the model service has recorded on the day, and the day's own
partition. The reference are the test rows of the champion's partition, with its predictions.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from millrace import drift
from millrace.datasets.watching import Watch, watch_of
from millrace.errors import MillraceError
from millrace.lake import Attempt, Place, Published, Store, publish, read_published
from millrace.lake.store import Entry
from millrace.pages.drift import drift_page
from millrace.steps.champion import fetch_champion
from millrace.steps.run import Run, content_of
from millrace.tracking import registry
from millrace.tracking.server import connect, within_budget
from millrace.training import transform_locally, unpacked

log = logging.getLogger(__name__)

SAMPLE = 20_000  # rows of each side: the distances are exact to a hundredth with fewer
PROBABILITY = "_probability"
REQUESTS, PARTITION = "requests", "partition"


class NothingToCompare(MillraceError):
    """There is no champion, or too little has come in."""


@dataclass(frozen=True)
class _Reference:
    """What the champion was judged on."""

    version: str
    partition: str
    candidate: str
    processed: Published
    predictions: Published

    @property
    def inputs(self) -> list[Mapping[str, str]]:
        """Name and type of the model's raw columns, in order."""
        found: list[Mapping[str, str]] = self.processed.json("train/transformation.json")["inputs"]
        return found


def watch_drift(run: Run) -> dict[str, Any]:
    """Compare, publish the page and the figures, and say whether there is an alarm.

    Raises:
        NothingToCompare: there is no champion, or neither requests nor a new partition of rows
            enough.
        TrackingUnavailable: MLflow does not answer in time.
    """
    watch, reference = _watch(run), _reference(run)
    recorded = _recorded(run.store, run.spec.name, run.partition)
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
    run: Run, watch: Watch, reference: _Reference, recorded: list[Entry],
    newest: Published | None, attempt: Attempt,
) -> None:  # fmt: skip
    before = _rows(reference.processed, reference.inputs)
    before[PROBABILITY] = _probabilities(reference.predictions.path("predictions.csv"), before)
    sides: dict[str, pd.DataFrame] = {}
    requests = _requests(run.store, recorded, reference.version)
    if len(requests) >= watch.rows:
        sides[REQUESTS] = requests
    if newest is not None:
        rows = _rows(newest, newest.json("train/transformation.json")["inputs"])
        if len(rows) >= watch.rows:
            sides[PARTITION] = _predicted(run, reference, rows)
    if not sides:
        raise NothingToCompare(
            f"{run.spec.name} {run.partition}: {len(requests):,} requests to version"
            f" {reference.version} and {'no' if newest is None else 'a small'} new partition; a"
            f" verdict needs {watch.rows:,} rows (`drift.rows`)"
        )
    private = {*_private(run)}
    before = before.drop(columns=[name for name in before if name in private])
    numbers = {item["name"] for item in reference.inputs if item["type"] == "number"}
    found = {
        name: drift.compare(
            _sample(before), _sample(rows), numbers,
            PROBABILITY if PROBABILITY in rows else None, watch.share,
        )
        for name, rows in sides.items()
    }  # fmt: skip
    alarm = any(each.alarm for each in found.values())
    figures = {
        "dataset": run.spec.name, "partition": run.partition, "version": reference.version,
        "reference": reference.partition, "alarm": alarm, "watch": watch.model_dump(),
        "compared": {name: each.as_dict() for name, each in found.items()},
    }  # fmt: skip
    attempt.write_json("drift.json", figures)
    attempt.write("report.html", drift_page(figures, found, _sample(before), sides))
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


def _said(found: drift.Drift) -> str:
    if found.prediction is None:
        return "not compared"
    return "have drifted" if found.prediction.drifted else "have not"


def _watch(run: Run) -> Watch:
    found = watch_of(run.spec)
    if found is None:
        raise MillraceError(f"the spec of {run.spec.name} has no section `drift`")
    return found


def _reference(run: Run) -> _Reference:
    """The champion, and the published rows it was judged on."""
    version = within_budget(
        run.settings, lambda: registry.champion(connect(run.settings), run.spec.name)
    )
    if version is None:
        raise NothingToCompare(f"{run.spec.name} has no champion yet; its pipeline promotes one")
    day, candidate = version.tags["millrace.partition"], version.tags["millrace.candidate"]
    processed = read_published(run.store, Place("processed", run.spec.name, day))
    predictions = read_published(run.store, Place("predictions", run.spec.name, day, candidate))
    if processed is None or predictions is None:
        raise NothingToCompare(
            f"the rows that version {version.version} of {run.spec.name} was judged on, partition"
            f" {day}, are no longer in the lake; run that partition again"
        )
    return _Reference(str(version.version), day, candidate, processed, predictions)


def _rows(processed: Published, inputs: list[Mapping[str, str]]) -> pd.DataFrame:
    """Test rows by row id, numbers as float64, missing values as NaN or None."""
    names = [item["name"] for item in inputs]
    frame = pd.read_csv(
        processed.path("test/test.csv"), header=None, names=["", *names], dtype=str,
        keep_default_na=False,
    ).set_index("")  # fmt: skip
    frame = frame.mask(frame == "")
    for item in inputs:
        if item["type"] == "number":
            frame[item["name"]] = pd.to_numeric(frame[item["name"]])
    return frame


def _probabilities(path: Path, rows: pd.DataFrame) -> pd.Series:
    found = pd.read_csv(path, header=None, dtype={0: str}, keep_default_na=False).set_index(0)
    return found[1].reindex(rows.index)


def _predicted(run: Run, reference: _Reference, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with the champion's predictions, where it knows all their columns."""
    names = [item["name"] for item in reference.inputs]
    if missing := sorted(set(names) - set(rows)):
        log.warning("The champion needs the columns %s, which these rows lack.", missing[:10])
        return rows
    champion = fetch_champion(run)
    if champion is None or champion.version != reference.version:
        return rows  # it was exchanged just now
    rows = _sample(rows)
    with tempfile.TemporaryDirectory(prefix="millrace-drift-") as scratch:
        source, target = Path(scratch) / "rows.csv", Path(scratch) / "predictions.csv"
        rows[names].to_csv(source, header=False)
        with unpacked(run.store.local(champion.key, Path(scratch))) as bundle:
            transform_locally(bundle, source, target, timeout=run.settings.job_timeout)
        return rows.assign(**{PROBABILITY: _probabilities(target, rows)})


def _recorded(store: Store, dataset: str, day: str) -> list[Entry]:
    """The files of the day's recorded predictions."""
    return [
        entry for entry in store.list(f"recorded/{dataset}/{day}")
        if entry.key.endswith(".parquet") and "/." not in entry.key
    ]  # fmt: skip


def _requests(store: Store, recorded: list[Entry], version: str) -> pd.DataFrame:
    """What one version was asked, and what it answered."""
    tables = []
    with tempfile.TemporaryDirectory(prefix="millrace-recorded-") as scratch:
        for number, entry in enumerate(recorded):
            folder = Path(scratch) / str(number)
            folder.mkdir()
            tables.append(pq.read_table(store.local(entry.key, folder)))
    if not tables:
        return pd.DataFrame()
    frame: pd.DataFrame = pa.concat_tables(tables, promote_options="permissive").to_pandas()
    frame = frame[frame["_version"] == version]
    return frame.drop(columns=["_time", "_version", "_class"])


def _private(run: Run) -> list[str]:
    from millrace.steps.explain import hidden_features

    return [*run.tables.private_columns(), *hidden_features(run)]


def _sample(rows: pd.DataFrame) -> pd.DataFrame:
    return rows if len(rows) <= SAMPLE else rows.sample(SAMPLE, random_state=0)
