"""What one task of the scoring job does: read, score and write rows, and gather their moments."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.types as kinds
import transformation

import bundle
import contributions
import feature_rows
import parts
import reasons
from feature_rows import ROW_ID, Span
from pca import Model
from standardise import Gathered, Scaler
from storage import Folder
from timing import timed

PROJECTED = pa.schema(
    [
        pa.field(ROW_ID, pa.string(), nullable=False),
        pa.field("pca", pa.list_(pa.float32()), nullable=False),
    ]
)
GROUP = 16_384  # rows of a row group of the output


@dataclass(frozen=True)
class ScoringJob:
    """What every task knows.

    Attributes:
        features: folder of the features' files.
        target: the attempt's folder.
        model: sha256 of the bundle.
        columns: what is read of the features.
        numbers: those among them that have components; none where there are to be none.
        metadata: of the predictions' files.
    """

    features: Folder
    target: Folder
    model: str
    columns: tuple[str, ...]
    numbers: tuple[str, ...]
    reasons: int
    batch: int
    threshold: float
    metadata: tuple[tuple[str, str], ...]

    @property
    def schema(self) -> pa.Schema:
        """Columns of the predictions."""
        fields = [
            pa.field(ROW_ID, pa.string(), nullable=False),
            pa.field("probability", pa.float64(), nullable=False),
            pa.field("decision", pa.int8(), nullable=False),
        ]
        fields += [pa.field(f"reason_{n}", reasons.REASON) for n in range(1, self.reasons + 1)]
        return pa.schema(fields, dict(self.metadata))


@dataclass
class Report:
    """What a task did.

    Attributes:
        part: name, rows, size and sha256 of its predictions.
        positive: rows at or above the threshold.
        seconds: of the task by activity; `cpu` is the process' time on a core.
    """

    number: int
    part: dict[str, Any] = field(default_factory=dict)
    moments: str = ""
    positive: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: collections.defaultdict(float))


def score(job: ScoringJob, content: Any, done: Any, piece: tuple[int, Sequence[Span]]) -> Report:
    """Score one piece; `content` is the broadcast bundle, `done` counts rows."""
    number, spans = piece
    started, busy = time.perf_counter(), time.process_time()
    report = Report(number)
    with timed(report.seconds, "start"):
        scorer = _Scorer(job, lambda: content.value, report)
    part = _part(job.target.child("predictions"), number, job.schema, job.reasons)
    gathered: Gathered | None = None
    rows = feature_rows.batches(job.features, spans, job.columns, job.batch)
    while (batch := _next(rows, report)) is not None:
        table = scorer.score(batch)
        with timed(report.seconds, "write"):
            part.append(table)
        if job.numbers:
            with timed(report.seconds, "moments"):
                found = Gathered.of(matrix(batch, job.numbers))
                gathered = gathered.merged(found) if gathered else found
        done.add(batch.num_rows)
    with timed(report.seconds, "write"):
        report.part = part.close()
        if gathered:
            report.moments = parts.own_name("moments", number, ".npz")
            job.target.child("_work").write(report.moments, gathered.packed())
    report.seconds["cpu"] = time.process_time() - busy
    report.seconds["task"] = time.perf_counter() - started
    return report


def _part(folder: Folder, number: int, of: pa.Schema, count: int = 0) -> parts.Part:
    repeated = [f"reason_{n}.feature" for n in range(1, count + 1)]
    return parts.Part(
        folder, parts.own_name("part", number), of, group=GROUP, repeated=repeated, judged=[ROW_ID]
    )


def _next(rows: Iterator[pa.RecordBatch], report: Report) -> pa.RecordBatch | None:
    with timed(report.seconds, "read"):
        return next(rows, None)


def matrix(batch: pa.RecordBatch, names: Sequence[str]) -> np.ndarray:
    """Columns of numbers: float64 [n, width], NaN where a value is missing."""
    values = np.empty((batch.num_rows, len(names)))
    for at, name in enumerate(names):
        column = batch.column(name)
        if not kinds.is_floating(column.type):
            column = column.cast(pa.float64())
        values[:, at] = column.to_numpy(zero_copy_only=False)
    return values


class _Scorer:
    """A model, and what its scores are told with."""

    def __init__(self, job: ScoringJob, content: Callable[[], bytes], report: Report) -> None:
        self.job, self.report = job, report
        self.model = bundle.built_once(job.model, content)
        self.grouped = reasons.Grouped.of(self.model.state)
        self.names = pa.array(self.grouped.names, pa.string())

    def score(self, batch: pa.RecordBatch) -> pa.Table:
        """The predictions of some rows."""
        seconds = self.report.seconds
        with timed(seconds, "prepare"):
            frame = frame_of(batch.select(self.model.inputs))
        with timed(seconds, "predict"):
            probability = self.model.probability(frame)
        decision = (probability >= self.job.threshold).astype(np.int8)
        self.report.positive += int(decision.sum())
        columns = [
            batch.column(ROW_ID).cast(pa.string()),
            pa.array(probability),
            pa.array(decision),
        ]
        if self.job.reasons:
            with timed(seconds, "prepare"):
                state, algorithm = self.model.state, self.model.facts["algorithm"]
                features = transformation.apply(state, transformation.columns_of(state, frame))
            with timed(seconds, "explain"):
                found = contributions.contributions(
                    algorithm, self.model.estimator, features
                ).values
            with timed(seconds, "reasons"):
                columns += reasons.columns(self.names, self.grouped.added(found), self.job.reasons)
        return pa.Table.from_arrays(columns, schema=self.job.schema)


def frame_of(batch: pa.RecordBatch) -> pd.DataFrame:
    """Columns as the transformation takes them: numbers with NaN, text with None."""
    columns = {}
    for name, column in zip(batch.schema.names, batch.columns):
        if kinds.is_decimal(column.type):
            column = column.cast(pa.float64())
        if kinds.is_dictionary(column.type):
            column = column.dictionary_decode()
        columns[name] = column.to_pandas()
    return pd.DataFrame(columns, copy=False)


def project(
    job: ScoringJob, scaler: Any, model: Any, done: Any, piece: tuple[int, Sequence[Span]]
) -> dict[str, Any]:
    """Write the components of one piece; gives the file's facts. The first two are broadcasts."""
    number, spans = piece
    part = _part(job.target.child("components"), number, PROJECTED)
    how: Scaler = scaler.value
    fitted: Model = model.value
    for batch in feature_rows.batches(job.features, spans, (ROW_ID, *job.numbers), job.batch):
        found = fitted.project(how.standardise(matrix(batch, job.numbers)))
        rows, k = found.shape
        ends = pa.array(np.arange(rows + 1, dtype=np.int32) * k)
        values = pa.ListArray.from_arrays(ends, pa.array(np.ascontiguousarray(found).ravel()))
        ids = batch.column(ROW_ID).cast(pa.string())
        part.append(pa.Table.from_arrays([ids, values], schema=PROJECTED))
        done.add(rows)
    return part.close()
