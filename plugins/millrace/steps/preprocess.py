"""Step: from clean rows to the train channel, the test rows, and their statistics."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from millrace.datasets import ROW_ID, DatasetSpec, RelationalSpec
from millrace.describe import describe
from millrace.lake import Attempt, Published, publish
from millrace.pages.statistics import statistics_page
from millrace.preprocess import fit, split, transformed
from millrace.steps.run import Run, log_rate

log = logging.getLogger(__name__)


def preprocess(run: Run) -> list[str]:
    """Split, fit and apply the transformation; publish channels and statistics.

    Returns:
        The candidates to train, for the mapped tasks that follow.
    """
    rows = _rows(run)
    publish(
        run.store, run.place("processed"),
        depends_on={
            "rows": rows.manifest.content,
            "spec": run.tables.fingerprint("name", "target", "columns", "features", "split"),
        },
        inputs={rows.uri: rows.manifest.content},
        build=lambda attempt: _build_channels(run, rows, attempt),
        again=run.again,
    )  # fmt: skip
    return list(run.candidates)


def _rows(run: Run) -> Published:
    """The clean rows of one table, or the features of several."""
    if isinstance(run.spec, RelationalSpec):
        return run.features()
    return run.published("processed", "validated", "validate_raw")


def _read(rows: Published, spec: DatasetSpec) -> pd.DataFrame:
    """Rows to train and test with: those whose target is known."""
    names = [name for name in rows.manifest.files if name.endswith(".parquet")]
    parts = [pq.read_table(rows.path(name)) for name in sorted(names)]
    frame: pd.DataFrame = pa.concat_tables(parts).to_pandas(self_destruct=True)
    known = frame[spec.target.column].notna()
    if known.all():
        return frame
    log.info("Left out %s of %s rows: their target is not known.", f"{int((~known).sum()):,}",
             f"{len(known):,}")  # fmt: skip
    return frame[known].astype({spec.target.column: "int8"}).reset_index(drop=True)


def _build_channels(run: Run, source: Published, attempt: Attempt) -> None:
    started = time.monotonic()
    spec = run.tables
    clean = _read(source, spec)
    rows, positive_rate = len(clean), float(clean[spec.target.column].mean())
    raw = describe(
        clean.drop(columns=ROW_ID), hidden=[*spec.private_columns(), *spec.columns_with("drop")]
    )
    is_test = split(clean, spec)
    _write_test_rows(clean[is_test], spec, attempt.folder / "test")
    train = clean[~is_test]
    del clean  # the largest table; the train rows are enough from here on
    state = fit(train, spec)
    features = transformed(state, train)
    target = train[spec.target.column].to_numpy()
    del train
    _write_channel(spec.target.column, target, features, attempt.folder / "train")
    attempt.write_json("train/transformation.json", state)
    processed = describe(features.assign(**{spec.target.column: target}))
    attempt.write_json("statistics.json", {"raw": raw, "processed": processed})
    page = statistics_page(f"{spec.name} {run.partition}", raw, processed)
    attempt.write("statistics.html", page)
    attempt.facts |= {
        "rows": {"train": len(features), "test": rows - len(features)},
        "features": features.shape[1],
        "positive_rate": positive_rate,
    }
    log.info("Split %s rows into %s train and %s test rows; %d features.", f"{rows:,}",
             f"{len(features):,}", f"{rows - len(features):,}", features.shape[1])  # fmt: skip
    log_rate("Preprocessed", rows, started)


def _write_channel(name: str, target: np.ndarray, features: pd.DataFrame, folder: Path) -> None:
    """train.csv: the target first, then the features."""
    channel = pa.table({name: target})
    for feature in features:
        channel = channel.append_column(feature, pa.array(features[feature].to_numpy()))
    folder.mkdir()
    pacsv.write_csv(channel, folder / "train.csv")


def _write_test_rows(test: pd.DataFrame, spec: DatasetSpec, folder: Path) -> None:
    """test.csv: id and raw columns, as predictions are asked for; labels.csv: id and target."""
    folder.mkdir()
    columns = [ROW_ID, *spec.input_columns()]
    # Arrow quotes every text: the csv module leaves a lone carriage return bare, and splits there.
    rows = pa.Table.from_pandas(test[columns], preserve_index=False)
    pacsv.write_csv(rows, folder / "test.csv", pacsv.WriteOptions(include_header=False))
    labels = pa.Table.from_pandas(test[[ROW_ID, spec.target.column]], preserve_index=False)
    pacsv.write_csv(labels, folder / "labels.csv")
