"""Drawn photos and their features, made by the modules of the Spark job in one process."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from millrace.datasets import ImageSpec
from millrace.lake import Attempt, LocalStore, Published, publish
from millrace.networks import network_of
from millrace.samples import write_images
from millrace.settings import Settings
from millrace.steps.run import Run

PARTITION = "2026-03-01"
SPEC: dict[str, Any] = {
    "kind": "images", "name": "photos", "description": "Which fruit a drawn photo shows.",
    "owner": "tests", "schedule": None,
    "raw": {"files": "images/*/*.jpg", "tolerance": 0.1}, "precision": "fp32", "components": 12,
    "split": {"test": 0.25, "order": r"_(\d+)_", "gap": 0.01},
    "candidates": {
        "plain": {"algorithm": "multinomial_logistic_regression", "hyperparameters": {"C": 1.0}},
        "stiff": {"algorithm": "multinomial_logistic_regression", "hyperparameters": {"C": 0.001}},
    },
    "gates": {"accuracy": {"minimum": 0.5}},
}  # fmt: skip
Change = Callable[[dict[str, Any]], None]


def photo_spec(**changes: Any) -> ImageSpec:
    return ImageSpec.model_validate({**SPEC, **changes})


def photo_run(home: Path, spec: ImageSpec | None = None, **options: Any) -> Run:
    """A run of the spec over a local lake, without any raw file."""
    spec = spec or photo_spec()
    settings = Settings.from_environment({"MILLRACE_HOME": str(home)})
    store = LocalStore(Path(settings.lake))
    candidates = tuple(options.pop("candidates", spec.candidates))
    return Run(spec, options.pop("partition", PARTITION), store, settings, candidates, **options)


def deliver(run: Run, views: int = 8, seed: int = 0) -> Path:
    """Draw the raw photos of the run's partition; returns their folder."""
    folder = Path(run.store.uri(str(run.place("raw"))))
    write_images("fruits", folder, views=views, seed=seed)
    return folder


def computed(run: Run, cache: Path) -> dict[str, Any]:
    """Features of the partition's photos as the job computes them, before they are published."""
    import images
    import network as job_network

    held = network_of(run.images.network, run.store, cache)
    content = held.path.read_bytes()
    network = replace(job_network.describe(content, "net"), precision="fp32")
    root = Path(run.store.uri(str(run.place("raw"))))
    rows, pixels, bad = [], [], []
    for path in sorted(root.glob(run.images.raw.files)):
        data, name = path.read_bytes(), path.relative_to(root).as_posix()
        try:
            images.decode(data, target := empty(network.size), images.Limits())
        except images.BadImage as error:
            bad.append((name, path.parent.name, len(data), str(error)))
            continue
        pixels.append(target)
        rows.append((name, path.parent.name, hashlib.sha256(data).hexdigest()))
    run_network = job_network.runner(content, network, 8)
    features = job_network.features_of(run_network, np.stack(pixels), 8)
    facts = network.facts(job_network.runtime_of(network))
    return {"rows": rows, "features": features, "bad": bad, "network": facts}


def empty(side: int) -> np.ndarray:
    return np.empty((side, side, 3), np.uint8)


def publish_features(run: Run, found: dict[str, Any], parts: int = 2) -> Published:
    """Publish features in the layout of the job, with its own modules for PCA and files."""
    import parts as job_parts
    import pca
    import pca_files
    from storage import Folder

    network, features = found["network"], found["features"]
    model = pca.fit(pca.Moments.of(features), run.images.components, network["id"])

    def build(attempt: Attempt) -> None:
        schema = job_parts.schema(features.shape[1], network["id"], projected=True)
        plain = job_parts.schema(features.shape[1], network["id"])
        (attempt.folder / "features").mkdir()
        for number, rows in enumerate(np.array_split(np.arange(len(features)), parts)):
            block = job_parts.feature_table(
                [found["rows"][row] for row in rows], features[rows], plain
            )
            table = job_parts.with_pca(block, model.project(features[rows]), schema)
            pq.write_table(table, attempt.folder / "features" / f"part-{number}.parquet")
        pca_files.write(model, Folder.of(str(attempt.folder / "pca")))
        _write_quarantine(found["bad"], attempt.folder / "quarantine")
        attempt.facts |= {
            "images": len(found["rows"]) + len(found["bad"]), "rows": len(found["rows"]),
            "quarantined": len(found["bad"]), "reused": 0, "width": features.shape[1],
            "components": model.k, "explained_variance_ratio": model.ratio.tolist(),
            "network": network, "cosine": {}, "spark": "none", "batch_size": 8,
            "images_per_second": 12.5, "seconds": {"total": 3.0},
            **found.get("facts", {}),
        }  # fmt: skip

    marks = [*map(list, found["rows"]), float(features.sum()), found.get("facts", {})]
    digest = hashlib.sha256(json.dumps(marks).encode()).hexdigest()
    return publish(run.store, run.place("features"), depends_on={"rows": digest}, build=build)


def _write_quarantine(bad: list[tuple[str, str, int, str]], folder: Path) -> None:
    folder.mkdir()
    columns = {"path": pa.string(), "label": pa.string(), "bytes": pa.int64(),
               "reason": pa.string()}  # fmt: skip
    arrays = [pa.array([row[at] for row in bad], kind) for at, kind in enumerate(columns.values())]
    table = pa.table(dict(zip(columns, arrays, strict=True)))
    pq.write_table(table, folder / "quarantine.parquet")
