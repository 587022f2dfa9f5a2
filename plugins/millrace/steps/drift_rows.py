"""The rows that a watch compares: those the champion was judged on, and what has come in since.

Of tables they are the model's raw columns. Of images they are the leading principal components of
what the network sees, by the champion's own projection: those of another partition's projection
mean something else. Beside each row stands the champion's prediction: the probability, and of
several classes also the class. No picture is read or kept.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from millrace.errors import MillraceError
from millrace.lake import Place, Published, read_published
from millrace.steps.champion import fetch_champion
from millrace.steps.champion_classes import write_components
from millrace.steps.predictions import labels_of, probabilities
from millrace.steps.run import Run
from millrace.tracking import registry
from millrace.tracking.server import connect, within_budget
from millrace.training import transform_locally, unpacked

log = logging.getLogger(__name__)

SAMPLE = 20_000  # rows of each side: the distances are exact to a hundredth with fewer
LEADING = 20  # components; they hold 94 % of the variance of 24 varieties of photographed fruit
PROBABILITY, CLASS = "_probability", "_class"


class NothingToCompare(MillraceError):
    """There is no champion, or too little has come in."""


@dataclass(frozen=True)
class Reference:
    """What the champion was judged on.

    Attributes:
        version: of the champion, in the registry.
        partition: whose test rows they are.
        classes: names of the classes of an image model, else none.
    """

    version: str
    partition: str
    processed: Published
    predictions: Published

    @property
    def classes(self) -> list[str]:
        return list(self.processed.facts.get("classes", []))

    @property
    def inputs(self) -> list[Mapping[str, str]]:
        """Name and type of the model's inputs, in order."""
        found: list[Mapping[str, str]] = self.processed.json("train/transformation.json")["inputs"]
        return found

    @property
    def numbers(self) -> set[str]:
        """The compared columns that hold numbers."""
        return {PROBABILITY, *(each["name"] for each in self.inputs if each["type"] == "number")}

    def rows(self) -> pd.DataFrame:
        """The test rows with the predictions that judged the champion."""
        inputs = self.inputs[:LEADING] if self.classes else self.inputs
        found = _read(self.processed.path("test/test.csv"), self.inputs, inputs)
        return _with_predictions(found, self.predictions.path("predictions.csv"), self.classes)


def reference_of(run: Run) -> Reference:
    """The champion, and the published rows it was judged on.

    Raises:
        NothingToCompare: there is no champion, or its rows are gone.
        TrackingUnavailable: MLflow does not answer in time.
    """
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
    return Reference(str(version.version), day, processed, predictions)


def partition_rows(run: Run, reference: Reference, newest: Published) -> pd.DataFrame | None:
    """The test rows of a new partition, a sample of many, with the champion's predictions.

    Returns:
        Of tables whose columns the champion does not all find, rows without predictions. Of images
        of which it cannot make components, None.
    """
    if reference.classes:
        return _seen_images(run, reference, newest)
    inputs = newest.json("train/transformation.json")["inputs"]
    rows = sample(_read(newest.path("test/test.csv"), inputs, inputs))
    names = [item["name"] for item in reference.inputs]
    if missing := sorted(set(names) - set(rows)):
        log.warning("The champion needs the columns %s, which these rows lack.", missing[:10])
        return rows
    with _champion(run, reference) as (bundle, scratch):
        if bundle is None:
            return rows
        rows[names].to_csv(scratch / "rows.csv", header=False)
        return _predicted(run, reference, bundle, rows, scratch)


def sample(rows: pd.DataFrame) -> pd.DataFrame:
    """At most `SAMPLE` of the rows."""
    return rows if len(rows) <= SAMPLE else rows.sample(SAMPLE, random_state=0)


def _seen_images(run: Run, reference: Reference, newest: Published) -> pd.DataFrame | None:
    ids = sample(labels_of(run, newest).to_frame()).index
    with _champion(run, reference) as (bundle, scratch):
        if bundle is None:
            return None
        try:
            write_components(run, newest, bundle, scratch / "rows.csv", ids)
        except MillraceError as error:
            log.warning("The champion does not see the images of %s: %s", run.partition, error)
            return None
        rows = _read(scratch / "rows.csv", reference.inputs, reference.inputs[:LEADING])
        return _predicted(run, reference, bundle, rows, scratch)


@contextmanager
def _champion(run: Run, reference: Reference) -> Iterator[tuple[Path | None, Path]]:
    """The champion's files, None where it was exchanged just now; and a folder to work in."""
    champion = fetch_champion(run)
    with tempfile.TemporaryDirectory(prefix="millrace-drift-") as folder:
        scratch = Path(folder)
        if champion is None or champion.version != reference.version:
            yield None, scratch
            return
        with unpacked(run.store.local(champion.key, scratch)) as bundle:
            yield bundle, scratch


def _predicted(
    run: Run, reference: Reference, bundle: Path, rows: pd.DataFrame, scratch: Path
) -> pd.DataFrame:
    """The rows with the champion's predictions of `rows.csv`."""
    source, target = scratch / "rows.csv", scratch / "predictions.csv"
    transform_locally(bundle, source, target, timeout=run.settings.job_timeout)
    return _with_predictions(rows, target, reference.classes)


def _with_predictions(rows: pd.DataFrame, path: Path, classes: Sequence[str]) -> pd.DataFrame:
    found = probabilities(path, rows.iloc[:, 0])
    if not classes:
        return rows.assign(**{PROBABILITY: found})
    best = np.array(classes)[found.argmax(axis=1)]
    return rows.assign(**{PROBABILITY: found.max(axis=1), CLASS: best})


def _read(
    path: Path, inputs: Sequence[Mapping[str, str]], wanted: Sequence[Mapping[str, str]]
) -> pd.DataFrame:
    """Wanted columns by row id, numbers as float64, missing values as NaN or None."""
    names = ["", *(item["name"] for item in inputs)]
    frame = pd.read_csv(
        path, header=None, names=names, usecols=["", *(item["name"] for item in wanted)],
        dtype=str, keep_default_na=False,
    ).set_index("")  # fmt: skip
    frame = frame.mask(frame == "")
    for item in wanted:
        if item["type"] == "number":
            frame[item["name"]] = pd.to_numeric(frame[item["name"]])
    return frame
