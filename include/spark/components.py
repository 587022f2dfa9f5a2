"""The stages after the features: fitting the components, and writing the table that has them."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

import cluster
import parts
import tasks
from feature_task import Report
from gathering import gather
from options import Options
from pca import Model, Moments, adopt, check_components, fit
from preparation import Prepared
from storage import Folder

if TYPE_CHECKING:
    from pyspark import SparkContext


def fitted(
    context: SparkContext, options: Options, prepared: Prepared, work: Folder,
    names: Sequence[str], moments: Sequence[str],
) -> Model:  # fmt: skip
    """The components of all parts of features.

    Raises:
        JobError: there are not so many, or all images have the same features.
    """
    gathered = gather(context, work, moments)
    if options.pca == "one-pass":
        return fit(gathered, options.components, prepared.network.id)
    return _by_spark_ml(context, options, gathered, work, names, prepared.network.id)


def _by_spark_ml(
    context: SparkContext, options: Options, gathered: Moments, work: Folder,
    names: Sequence[str], network: str,
) -> Model:  # fmt: skip
    """Components by pyspark.ml.feature.PCA, on the features read back from the parts."""
    from pyspark.ml.feature import PCA
    from pyspark.ml.functions import array_to_vector
    from pyspark.sql import SparkSession
    from pyspark.sql.functions import col

    width = len(gathered.mean)
    check_components(options.components, gathered.rows, width)
    wanted = options.components
    k = wanted if isinstance(wanted, int) else min(gathered.rows - 1, width)
    spark = SparkSession(context)
    context.setJobDescription("PCA of Spark ML")
    numbers = spark.range(0, len(names), 1, len(names))
    read = functools.partial(_read_back, work, tuple(names))
    rows = numbers.mapInArrow(read, "features array<double>")
    vectors = rows.select(array_to_vector(col("features")).alias("features")).cache()
    found = PCA(k=k, inputCol="features", outputCol="pca").fit(vectors)
    return adopt(gathered, wanted, network, found.pc.toArray().T, found.explainedVariance.toArray())


def _read_back(
    work: Folder, names: Sequence[str], batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for number in batch.column(0).to_pylist():
            for table in parts.blocks(work, names[number]):
                features = parts.features_of(table).astype(np.float64)
                rows, width = features.shape
                ends = pa.array(np.arange(rows + 1, dtype=np.int32) * width)
                column = pa.ListArray.from_arrays(ends, pa.array(features.ravel()))
                yield pa.RecordBatch.from_arrays([column], ["features"])


def projected(
    context: SparkContext, model: Model, work: Folder, attempt: Folder, reports: Sequence[Report]
) -> tuple[dict[str, dict[str, Any]], int]:
    """Write the final parts; gives their sizes and hashes by name, and how many images differ."""
    pieces = [(report.number, report.part["name"]) for report in reports if report.part]
    target = attempt.child("features")
    task = functools.partial(tasks.project, work, target, context.broadcast(model))
    done = cluster.run(context, task, pieces, "features with components")
    files = {
        f"features/{facts['name']}": {"size": facts["size"], "sha256": facts["sha256"]}
        for facts, _ in done
    }
    keys = np.concatenate([np.frombuffer(keys, np.uint64) for _, keys in done])
    return files, len(np.unique(keys))
