"""The output: its folder, its description, and the manifest that makes it count."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

import attempt
import pca_files
from feature_task import Report
from listing import added
from options import Options
from pca import Model
from pca import facts_of as pca_facts
from preparation import Prepared
from storage import Folder

if TYPE_CHECKING:
    from pyspark import SparkContext

QUARANTINE = pa.schema(
    [("path", pa.string()), ("label", pa.string()), ("bytes", pa.int64()), ("reason", pa.string())]
)


def write_quarantine(
    folder: Folder, bad: Sequence[tuple[str, str, int, str]]
) -> dict[str, dict[str, Any]]:
    arrays = [pa.array([row[at] for row in bad], of.type) for at, of in enumerate(QUARANTINE)]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, schema=QUARANTINE), sink)
    name = "quarantine/quarantine.parquet"
    return {name: folder.write(name, sink.getvalue())}


def write_model(folder: Folder, model: Model) -> dict[str, dict[str, Any]]:
    written = pca_files.write(model, folder.child("pca"))
    return {f"pca/{name}": facts for name, facts in written.items()}


def write_network(folder: Folder, prepared: Prepared) -> dict[str, dict[str, Any]]:
    """The network itself where this job made it: an int8 one, which --network takes again."""
    if hashlib.sha256(prepared.content).hexdigest() == prepared.given:
        return {}
    return {"network/int8.onnx": folder.write("network/int8.onnx", prepared.content)}


def facts_of(
    context: SparkContext, prepared: Prepared, reports: Sequence[Report], model: Model,
    seconds: dict[str, float],
) -> dict[str, Any]:  # fmt: skip
    """Figures about the output, for the next step and for people."""
    workers: dict[str, float] = collections.defaultdict(float)
    for report in reports:
        for activity, time in report.seconds.items():
            workers[activity] += time
    rows = sum(report.part.get("rows", 0) for report in reports)
    images = len(prepared.listing)
    return {
        "images": images, "rows": rows, "quarantined": sum(len(r.bad) for r in reports),
        "reused": sum(r.reused for r in reports), "labels": added(r.labels for r in reports),
        "width": prepared.width, **pca_facts(model),
        "network": prepared.network.facts(prepared.runtime), "cosine": prepared.cosine,
        "spark": context.version, "batch_size": prepared.batch,
        "seconds": {
            **seconds, **{name: workers[name] for name in ("read", "decode", "inference")},
        },
        "worker_seconds": dict(workers), "images_per_second": images / seconds["features"],
        "spark_ui": context.uiWebUrl or "", "application_id": context.applicationId,
    }  # fmt: skip


def publish(options: Options, prepared: Prepared, folder: Folder, outcome: dict[str, Any]) -> None:
    """Describe the output, and put the manifest in place unless the caller will."""
    inputs = {"images": options.images.uri, "network": prepared.given}
    manifest = {"cause": _cause(options, prepared), "inputs": inputs}
    attempt.publish(options.output, folder, outcome, None if options.attempt else manifest)


def _cause(options: Options, prepared: Prepared) -> str:
    """A hash of what the output depends on: files listed, network, options and code."""
    asked = {
        name: str(value) for name, value in dataclasses.asdict(options).items()
        if name not in ("output", "attempt", "reuse", "partitions", "batch_size")
    }  # fmt: skip
    files = hashlib.sha256("\n".join(prepared.listing.paths).encode())
    files.update(prepared.listing.sizes.tobytes())
    parts = [asked, prepared.network.id, files.hexdigest(), attempt.code()]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
