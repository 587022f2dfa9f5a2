"""What the scoring job is given, checked, and what it leaves: files, facts and the manifest."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import attempt as attempts
import bundle
import feature_rows
import pca
import pca_files
from bundle import Champion
from feature_rows import ROW_ID, Table
from scoring_options import ScoringOptions
from scoring_task import Report
from standardise import Scaler
from storage import Folder, JobError

if TYPE_CHECKING:
    from pyspark import SparkContext

TARGETS = ("TARGET",)  # published beside the features, and none of them


@dataclass(frozen=True)
class Prepared:
    """What the job needs to know before its tasks begin.

    Attributes:
        numbers: columns that have components; none where there are to be none.
        version: what the model is called.
    """

    table: Table
    champion: Champion
    numbers: tuple[str, ...]
    version: str

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What the files of predictions say about their model."""
        facts = self.champion.facts
        return (
            ("model", self.champion.sha256), ("model_version", self.version),
            ("algorithm", str(facts["algorithm"])), ("threshold", repr(self.champion.threshold)),
        )  # fmt: skip


def prepare(options: ScoringOptions) -> Prepared:
    """Read the model and what the features are.

    Raises:
        JobError: they cannot be used, or not together.
    """
    champion = bundle.read(options.model)
    table = feature_rows.find(options.features)
    check_columns(table, champion)
    if options.reasons:
        check_explained(champion)
    numbers: list[str] = []
    if options.components:
        numbers = table.numbers((ROW_ID, *TARGETS))
        pca.check_components(options.components, table.rows, len(numbers), "rows")
    return Prepared(table, champion, tuple(numbers), options.version or champion.sha256[:12])


def check_columns(table: Table, champion: Champion) -> None:
    """Whether the features have the columns that the model reads.

    Raises:
        JobError: they do not.
    """
    there = {field.name: field.type for field in table.schema}
    if missing := [name for name in champion.inputs if name not in there]:
        some = ", ".join(missing[:5])
        raise JobError(
            f"the features in {table.folder.uri} lack {len(missing)} of the"
            f" {len(champion.inputs)} columns that the model reads: {some}; make them anew, or"
            " train on these"
        )
    fits = {"number": feature_rows.is_number, "text": feature_rows.is_text}
    for name, wanted in champion.inputs.items():
        if not (fits[wanted](there[name]) or feature_rows.is_empty(there[name])):
            raise JobError(
                f"the model reads {name} as {wanted}, and the features have it as {there[name]}"
            )


def check_explained(champion: Champion) -> None:
    """Whether the reasons of one row of missing values can be told here.

    Raises:
        JobError: they cannot.
    """
    import transformation

    import contributions

    model = bundle.built_once(champion.sha256, lambda: champion.content)
    row = pd.DataFrame(
        {n: np.array([np.nan if kind == "number" else None], dtype="float64" if kind == "number"
                     else "object") for n, kind in champion.inputs.items()}
    )  # fmt: skip
    features = transformation.apply(model.state, transformation.columns_of(model.state, row))
    try:
        contributions.contributions(model.facts["algorithm"], model.estimator, features)
    except (ImportError, ValueError) as error:
        raise JobError(
            f"reasons cannot be told here: {' '.join(str(error).split())[:300]};"
            " --reasons 0 scores without them"
        ) from error


def identity(numbers: Sequence[str]) -> str:
    """A short name for features that components are fitted on."""
    return hashlib.sha256("\n".join(numbers).encode()).hexdigest()[:16]


def files_of(folder: str, parts: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Sizes and hashes of parts by name."""
    return {
        f"{folder}/{part['name']}": {"size": part["size"], "sha256": part["sha256"]}
        for part in parts if part
    }  # fmt: skip


def write_model(attempt: Folder, model: pca.Model, scaler: Scaler) -> dict[str, dict[str, Any]]:
    """The fitted components and how the features are standardised, as Parquet and CSV."""
    folder = attempt.child("pca")
    written = pca_files.write(model, folder, scaler.names)
    written.update(pca_files.write_table(folder, "scaling", scaler.table()))
    return {f"pca/{name}": facts for name, facts in written.items()}


def facts_of(
    context: SparkContext, prepared: Prepared, reports: Sequence[Report], model: pca.Model | None,
    seconds: dict[str, float],
) -> dict[str, Any]:  # fmt: skip
    """Figures about the output, for the next step and for people."""
    workers: dict[str, float] = collections.defaultdict(float)
    for report in reports:
        for activity, time in report.seconds.items():
            workers[activity] += time
    rows = sum(report.part["rows"] for report in reports)
    return {
        "rows": rows, "positive": sum(report.positive for report in reports),
        **dict(prepared.metadata), "threshold": prepared.champion.threshold,
        "width": len(prepared.numbers), **(pca.facts_of(model) if model else {}),
        "spark": context.version, "versions": _versions(prepared.champion.facts["algorithm"]),
        "seconds": seconds, "worker_seconds": dict(workers),
        "rows_per_second": rows / seconds["scores"],
        "spark_ui": context.uiWebUrl or "", "application_id": context.applicationId,
    }  # fmt: skip


def _versions(algorithm: str) -> dict[str, str]:
    """Versions of what scored."""
    names = {"lightgbm": ("lightgbm",), "xgboost": ("xgboost-cpu", "xgboost")}
    found = {}
    for name in ("numpy", *names.get(algorithm, ("scikit-learn",))):
        try:
            found[name] = version(name)
        except ModuleNotFoundError:
            continue
    return found


def publish(
    options: ScoringOptions, prepared: Prepared, attempt: Folder, outcome: dict[str, Any]
) -> None:
    """Describe the output, and put the manifest in place unless the caller will."""
    asked = {
        name: str(value) for name, value in dataclasses.asdict(options).items()
        if name not in ("output", "attempt", "partitions", "batch_size", "model")
    }  # fmt: skip
    parts = [asked, prepared.champion.sha256, prepared.table.files, attempts.code()]
    cause = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    inputs = {"features": options.features.uri, "model": prepared.champion.sha256}
    manifest = {"cause": cause, "inputs": inputs}
    attempts.publish(options.output, attempt, outcome, None if options.attempt else manifest)
