"""Step: from checked features to the train channel, the test rows and their map."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv

from millrace.datasets import ROW_ID
from millrace.describe import describe
from millrace.errors import MillraceError
from millrace.feature_checks import usable
from millrace.lake import Attempt, Published, publish
from millrace.pages.class_figures import map_chart, scree_chart
from millrace.pages.components import components_page
from millrace.projection import FILE, NETWORK
from millrace.steps.features import components, features_of, figures, projection, rows
from millrace.steps.run import Run, log_rate
from millrace.views import split_views

log = logging.getLogger(__name__)


def split_components(run: Run) -> list[str]:
    """Split the principal components by view; publish channels, statistics and plots.

    Returns:
        The candidates to train, for the mapped tasks that follow.

    Raises:
        MillraceError: one side would be empty.
    """
    features = features_of(run)
    publish(
        run.store, run.place("processed"),
        depends_on={
            "features": features.manifest.content, "spec": run.spec.fingerprint("name", "split"),
        },
        inputs={features.uri: features.manifest.content},
        build=lambda attempt: _build_channels(run, features, attempt),
        again=run.again,
    )  # fmt: skip
    return list(run.candidates)


def _build_channels(run: Run, features: Published, attempt: Attempt) -> None:
    started = time.monotonic()
    table, values = rows(features), components(features).astype("float64")
    kept = usable(table["hash"].tolist(), table["label"].tolist(), table["path"].tolist())
    repeated = len(table) - len(kept)
    table, values = table.iloc[kept].reset_index(drop=True), values[kept]
    classes = sorted(set(table["label"]))
    number = table["label"].map({name: place for place, name in enumerate(classes)}).to_numpy()
    split = run.images.split
    side = np.array(split_views(table["path"].tolist(), table["label"].tolist(), split))
    train, test = side == "train", side == "test"
    if not test.any():
        raise MillraceError(
            f"{run.spec.name} {run.partition}: no image of {len(table)} is on the test side;"
            " raise `split.test`, or deliver more images"
        )
    names = [f"pc_{place}" for place in range(1, values.shape[1] + 1)]
    target = run.spec.target_column
    _write(attempt.folder / "train" / "train.csv", {target: number[train]}, names, values[train])
    attempt.write_json("train/transformation.json", _state(names, classes))
    found, job = projection(features), figures(features)
    (attempt.folder / "train" / FILE).write_bytes(found.packed())
    attempt.write_json(f"train/{NETWORK}", _network(run, features))
    ids = {ROW_ID: table["path"].to_numpy(dtype="object")[test]}
    _write(attempt.folder / "test" / "test.csv", ids, names, values[test], header=False)
    _write(attempt.folder / "test" / "labels.csv", {**ids, target: number[test]}, [], values[test])
    counts = {
        name: [Counter(side[number == place])[each] for each in ("train", "test", "left out")]
        for place, name in enumerate(classes)
    }
    attempt.facts |= {
        "rows": {"train": int(train.sum()), "test": int(test.sum())}, "features": len(names),
        "classes": classes, "left_out": int((side == "left out").sum()), "repeated": repeated,
        "job": job,
    }  # fmt: skip
    _write_statistics(run, attempt, values, number, found.ratio, counts)
    log.info("Split %s images into %s train and %s test images of %d labels; %s stand between them,"
             " %s repeat others.", f"{len(table):,}", f"{train.sum():,}", f"{test.sum():,}",
             len(classes), f"{attempt.facts['left_out']:,}", f"{repeated:,}")  # fmt: skip
    log_rate("Split", len(table), started)


def _state(names: list[str], classes: list[str]) -> dict[str, Any]:
    """The transformation of components: none but the order; and the names of the classes."""
    return {
        "version": 1,
        "inputs": [{"name": name, "type": "number"} for name in names],
        "engineered": [],
        "features": [{"name": name, "how": "number", "fill": 0.0} for name in names],
        "classes": classes,
    }


def _network(run: Run, features: Published) -> dict[str, Any]:
    """What a service needs to make the same features of another image."""
    facts = features.facts
    return {
        **facts["network"], "asked_for": run.images.network,
        "batch_size": facts.get("batch_size", 1),
    }  # fmt: skip


def _write(
    path: Path, first: dict[str, np.ndarray], names: list[str], values: np.ndarray,
    *, header: bool = True,
) -> None:  # fmt: skip
    """A CSV file of some columns and the components."""
    path.parent.mkdir(exist_ok=True)
    columns = {name: pa.array(column) for name, column in first.items()}
    columns |= {name: pa.array(values[:, place]) for place, name in enumerate(names)}
    pacsv.write_csv(pa.table(columns), path, pacsv.WriteOptions(include_header=header))


def _write_statistics(
    run: Run, attempt: Attempt, values: np.ndarray, number: np.ndarray, ratio: np.ndarray,
    counts: dict[str, list[int]],
) -> None:  # fmt: skip
    facts = attempt.facts
    names = [f"pc_{place}" for place in range(1, values.shape[1] + 1)]
    described = describe(pd.DataFrame(values, columns=names))
    attempt.write_json(
        "statistics.json", {"labels": counts, "job": facts["job"], "processed": described}
    )
    charts = {
        "map": map_chart(values, number, facts["classes"], ratio),
        "scree": scree_chart(ratio),
    }
    title = f"{run.spec.name} {run.partition}"
    attempt.write("statistics.html", components_page(title, json.loads(json.dumps(facts)), counts,
                                                     charts))  # fmt: skip
    (attempt.folder / "plots").mkdir()
    for name, chart in charts.items():
        (attempt.folder / "plots" / f"{name}.png").write_bytes(chart.png())
