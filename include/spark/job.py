"""The whole job: prepare while Spark starts, features, components, the final table, publishing."""

from __future__ import annotations

import collections
import functools
import logging
import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import cluster
import components
import listing
import publishing
import tasks
from attempt import new_attempt
from feature_task import LISTING, FeatureJob, Report
from options import Options
from pca import check_components
from preparation import Prepared, prepare
from progress import Progress, span
from storage import Folder, JobError

if TYPE_CHECKING:
    from pyspark import SparkContext

log = logging.getLogger("spark_job")


def run(options: Options) -> None:
    """Run the job; what it wrote is removed again if it fails.

    Raises:
        JobError: something the job was given cannot be used.
    """
    seconds = {"start": cluster.since_launch()}
    began = time.perf_counter() - seconds["start"]
    with ThreadPoolExecutor(1) as pool:
        preparing = pool.submit(prepare, options)
        with cluster.spark("image features") as context:
            seconds["start"] = time.perf_counter() - began
            prepared = preparing.result()
            seconds.update(prepared.seconds)
            outcome = _published(context, options, prepared, seconds, began)
    _say_where_the_time_went(outcome)


def _published(
    context: SparkContext, options: Options, prepared: Prepared, seconds: dict[str, float],
    began: float,
) -> dict[str, Any]:  # fmt: skip
    """Compute and publish; gives the files and the facts."""
    attempt = new_attempt(options.output, options.attempt)
    try:
        outcome = _compute(context, options, prepared, attempt, seconds)
        outcome["facts"]["seconds"]["total"] = time.perf_counter() - began
        publishing.publish(options, prepared, attempt, outcome)
    except BaseException:
        attempt.delete()
        raise
    return outcome


def _compute(
    context: SparkContext, options: Options, prepared: Prepared, attempt: Folder,
    seconds: dict[str, float],
) -> dict[str, Any]:  # fmt: skip
    """Everything between preparing and publishing; gives the facts, with the files under them."""
    _say_what_is_done(prepared)
    work = attempt.child("_work")
    count = options.partitions or listing.partition_count(
        prepared.listing, context.defaultParallelism
    )
    count = min(count, len(prepared.listing))
    started = time.perf_counter()
    job = FeatureJob(
        options.images, work, prepared.network, prepared.width, prepared.batch, options.limits,
        _moments(options, prepared),
    )  # fmt: skip
    reports = _features(context, prepared, job, count)
    featured = time.perf_counter()
    seconds["features"] = featured - started
    bad = _checked(options, prepared, reports)
    model = prepared.model or components.fitted(
        context, options, prepared, work, [r.part["name"] for r in reports if r.part],
        [r.moments for r in reports if r.moments],
    )  # fmt: skip
    fitted = time.perf_counter()
    seconds["pca"] = fitted - featured
    written, distinct = components.projected(context, model, work, attempt, reports)
    files = {
        **written,
        **publishing.write_quarantine(attempt, bad),
        **publishing.write_model(attempt, model),
        **publishing.write_network(attempt, prepared),
    }
    work.delete()
    seconds["write"] = time.perf_counter() - fitted
    facts = publishing.facts_of(context, prepared, reports, model, seconds)
    return {"files": files, "facts": {**facts, "distinct": distinct, "partitions": count}}


def _moments(options: Options, prepared: Prepared) -> str:
    if prepared.model:
        return ""
    return "thin" if options.pca == "spark-ml" else "whole"


def _features(
    context: SparkContext, prepared: Prepared, job: FeatureJob, count: int
) -> list[Report]:
    pieces = listing.cut(prepared.listing, count)
    job.work.write(LISTING, listing.packed(prepared.listing, pieces))
    content, known = context.broadcast(prepared.content), context.broadcast(prepared.known)
    done = context.accumulator(0)
    task = functools.partial(tasks.features, job, content, known, done)
    # In any order but the listing's, in which all tasks would read from one prefix of S3 at a time.
    order = random.Random(0).sample(range(count), count)
    with Progress(len(prepared.listing), lambda: int(done.value)):
        reports = cluster.run(context, task, order, "features of the images")
    return sorted(reports, key=lambda report: report.number)


def _checked(
    options: Options, prepared: Prepared, reports: Sequence[Report]
) -> list[tuple[str, str, int, str]]:
    """The files that gave no features; raises JobError where they are too many."""
    bad = sorted(each for report in reports for each in report.bad)
    images = len(prepared.listing)
    kinds = collections.Counter(reason.partition(":")[0] for *_, reason in bad)
    counts = ", ".join(f"{number} x {kind}" for kind, number in kinds.most_common(5))
    some = "; ".join(f"{path}: {reason}" for path, _, _, reason in bad[:3])
    if bad:
        log.info("Quarantined %d of %s images: %s.", len(bad), f"{images:,}", counts)
    if len(bad) > options.tolerance * images or len(bad) == images:
        raise JobError(
            f"{len(bad):,} of {images:,} images cannot be used, more than --tolerance"
            f" {options.tolerance:g} allows: {counts}; first {some}"
        )
    if not prepared.model:
        check_components(options.components, images - len(bad), prepared.width)
    return bad


def _say_what_is_done(prepared: Prepared) -> None:
    network = prepared.network
    log.info("images: %s, %.1f MB", f"{len(prepared.listing):,}", prepared.listing.bytes / 1e6)
    log.info(
        "network: %s, weights: %s, %s in %s, id %s",
        network.name, network.weights, network.precision, prepared.runtime, network.id,
    )  # fmt: skip
    if network.weights.startswith("random"):
        log.info("The network has random weights: its features tell images apart, not their kind.")


def _say_where_the_time_went(outcome: dict[str, Any]) -> None:
    facts = outcome["facts"]
    seconds, workers = facts["seconds"], facts["worker_seconds"]
    log.info(
        "time: %s in all: start %.1f s (listing %.1f s and network %.1f s meanwhile), features"
        " %.1f s, PCA %.1f s, write %.1f s",
        span(seconds["total"]), seconds["start"], seconds["list"], seconds["network"],
        seconds["features"], seconds["pca"], seconds["write"],
    )  # fmt: skip
    log.info(
        "workers: %.1f s in tasks, %.1f s of CPU: %s", workers["task"], workers["cpu"],
        ", ".join(f"{n} {s:.1f} s" for n, s in workers.items() if n not in ("task", "cpu")),
    )  # fmt: skip
    log.info(
        "features: %s of %s images, %d quarantined, %d reused, %.0f images/s",
        f"{facts['rows']:,}", f"{facts['images']:,}", facts["quarantined"], facts["reused"],
        facts["images_per_second"],
    )  # fmt: skip
    log.info(
        "components: %d, %.1f %% of the variance",
        facts["components"], 100 * sum(facts["explained_variance_ratio"]),
    )  # fmt: skip
    log.info("output: %s", facts["output"])
