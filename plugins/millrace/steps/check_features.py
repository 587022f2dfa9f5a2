"""Step: whether the features of a partition's images can be built on."""

from __future__ import annotations

import logging
import time
from typing import Any

import pyarrow.parquet as pq

from millrace.errors import MillraceError
from millrace.feature_checks import FeatureChecks
from millrace.lake import Attempt, Published, publish
from millrace.pages.validation import validation_page, validation_table
from millrace.steps.features import (
    PARTS,
    QUARANTINE,
    features_of,
    figures,
    matrix,
    network_of,
    parts,
)
from millrace.steps.run import Run, log_rate

log = logging.getLogger(__name__)

BLOCK = 4096  # images looked at together: 21 MB of features of width 1280


class FeaturesError(MillraceError):
    """Features cannot be built on; the message is the table of what is wrong."""


def check_features(run: Run) -> str:
    """Check counts, numbers, networks and duplicates of the features; publish the report.

    Returns:
        Address of the report.

    Raises:
        FeaturesError: nothing may be built on them. The report is published all the same.
    """
    started = time.monotonic()
    features = features_of(run)

    def build(attempt: Attempt) -> None:
        report = {"dataset": run.spec.name, "partition": run.partition,
                  **_checked(features, run.spec.raw.tolerance)}  # fmt: skip
        attempt.facts |= {
            name: report[name] for name in ("passed", "rows_read", "rows_clean", "rows_quarantined")
        }
        attempt.write_json("validation.json", report)
        attempt.write("validation.html", validation_page(report))

    report = publish(
        run.store, run.place("reports", "validation"),
        depends_on={
            "features": features.manifest.content, "spec": run.spec.fingerprint("name", "raw"),
        },
        inputs={features.uri: features.manifest.content}, build=build, again=run.again,
    )  # fmt: skip
    found = report.json("validation.json")
    if not found["passed"]:
        raise FeaturesError(
            f"{run.spec.name} {run.partition}: the features cannot be used; nothing was published"
            f" downstream. Report: {report.uri}\n{validation_table(found)}"
        )
    log.info("%s", validation_table(found))
    log_rate("Checked the features of", found["rows_read"], started)
    return report.uri


def _checked(features: Published, tolerance: float) -> dict[str, Any]:
    facts = features.facts
    checks = FeatureChecks(int(facts["width"]), int(facts["components"]))
    for name, file in parts(features):
        width = file.schema_arrow.field("features").type.list_size
        checks.add_file(name, network_of(file), width)
        for batch in file.iter_batches(BLOCK):
            rows = {column: batch[column].to_pylist() for column in ("path", "label", "hash")}
            checks.add_rows(name, rows, matrix(batch["features"]), matrix(batch["pca"]))
    bad = pq.read_table(features.path(QUARANTINE), columns=["path", "reason"]).to_pylist()
    report = checks.report(
        int(facts["images"]), [(row["path"], row["reason"]) for row in bad],
        facts["network"]["id"], tolerance,
    )  # fmt: skip
    files = [
        {"name": name, "bytes": facts["size"], "sha256": facts["sha256"]}
        for name, facts in features.manifest.files.items()
        if name.startswith(PARTS)
    ]
    return {**report, "files": files, "job": figures(features)}
