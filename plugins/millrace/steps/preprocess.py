"""Step: from clean rows to the train channel, the test rows, and their statistics."""

from __future__ import annotations

import logging
import time

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv

from millrace.describe import describe
from millrace.pages import statistics_page
from millrace.preprocess import fit, split, transformed
from millrace.publish import Attempt, Published, publish
from millrace.steps.run import Run, log_rate
from millrace.validate import ROW_ID

log = logging.getLogger(__name__)


def preprocess(run: Run) -> list[str]:
    """Split, fit and apply the transformation; publish channels and statistics.

    Returns:
        The candidates to train, for the mapped tasks that follow.
    """
    validated = run.published("processed", "validated", "validate_raw")
    publish(
        run.store, run.place("processed"),
        depends_on={
            "rows": validated.manifest.content,
            "spec": run.spec.fingerprint("name", "target", "columns", "features", "split"),
        },
        inputs={validated.uri: validated.manifest.content},
        build=lambda attempt: _build_channels(run, validated, attempt),
        again=run.again,
    )  # fmt: skip
    return list(run.candidates)


def _build_channels(run: Run, validated: Published, attempt: Attempt) -> None:
    started = time.monotonic()
    spec = run.spec
    clean = pd.read_parquet(validated.path("clean.parquet"))
    is_test = split(clean, spec)
    train, test = clean[~is_test], clean[is_test]
    state = fit(train, spec)
    features = transformed(state, train)
    for folder in ("train", "test"):
        (attempt.folder / folder).mkdir()
    channel = pa.table({spec.target.column: train[spec.target.column].to_numpy()})
    for name in features:
        channel = channel.append_column(name, pa.array(features[name].to_numpy()))
    pacsv.write_csv(channel, attempt.folder / "train" / "train.csv")
    attempt.write_json("train/transformation.json", state)
    test[[ROW_ID, *spec.input_columns()]].to_csv(
        attempt.folder / "test" / "test.csv", header=False, index=False
    )
    test[[ROW_ID, spec.target.column]].to_csv(attempt.folder / "test" / "labels.csv", index=False)
    statistics = {
        "raw": describe(clean.drop(columns=ROW_ID), hidden=spec.private_columns()),
        "processed": describe(
            features.assign(**{spec.target.column: train[spec.target.column].to_numpy()})
        ),
    }
    attempt.write_json("statistics.json", statistics)
    title = f"{spec.name} {run.partition}"
    attempt.write(
        "statistics.html", statistics_page(title, statistics["raw"], statistics["processed"])
    )
    attempt.facts |= {
        "rows": {"train": len(train), "test": len(test)},
        "features": features.shape[1],
        "positive_rate": float(clean[spec.target.column].mean()),
    }
    log.info("Split %s rows into %s train and %s test rows; %d features.", f"{len(clean):,}",
             f"{len(train):,}", f"{len(test):,}", features.shape[1])  # fmt: skip
    log_rate("Preprocessed", len(clean), started)
