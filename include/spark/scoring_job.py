"""The whole scoring job: prepare while Spark starts, scores, components, publishing."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import attempt as attempts
import cluster
import feature_rows
import gathering
import model_modules
import pca
import scoring_output
import scoring_task
import standardise
from feature_rows import ROW_ID, Span
from progress import Progress, span
from scoring_options import ScoringOptions
from scoring_output import Prepared
from scoring_task import Report, ScoringJob
from standardise import Gathered, Scaler
from storage import Folder

if TYPE_CHECKING:
    from pyspark import SparkContext

log = logging.getLogger("spark_job")
Pieces = Sequence[tuple[int, Sequence[Span]]]


def run(options: ScoringOptions) -> None:
    """Run the job; what it wrote is removed again if it fails.

    Raises:
        JobError: something the job was given cannot be used.
    """
    seconds = {"start": cluster.since_launch()}
    began = time.perf_counter() - seconds["start"]
    with ThreadPoolExecutor(1) as pool:
        preparing = pool.submit(scoring_output.prepare, options)
        with cluster.spark("credit scoring", model_modules.files()) as context:
            seconds["start"] = time.perf_counter() - began
            prepared = preparing.result()
            attempt = attempts.new_attempt(options.output, options.attempt)
            try:
                outcome = _compute(context, options, prepared, attempt, seconds)
                seconds["total"] = time.perf_counter() - began
                scoring_output.publish(options, prepared, attempt, outcome)
            except BaseException:
                attempt.delete()
                raise
    _say_where_the_time_went(outcome["facts"])


def _compute(
    context: SparkContext, options: ScoringOptions, prepared: Prepared, attempt: Folder,
    seconds: dict[str, float],
) -> dict[str, Any]:  # fmt: skip
    """Everything between preparing and publishing; gives the files and the facts."""
    _say_what_is_done(prepared)
    table, champion = prepared.table, prepared.champion
    count = options.partitions or feature_rows.piece_count(table.rows, context.defaultParallelism)
    pieces = list(enumerate(feature_rows.cut(table, count)))
    job = ScoringJob(
        table.folder, attempt, champion.sha256,
        tuple(dict.fromkeys((ROW_ID, *champion.inputs, *prepared.numbers))), prepared.numbers,
        options.reasons, options.batch_size, champion.threshold, prepared.metadata,
    )  # fmt: skip
    started = time.perf_counter()
    reports = _scored(context, prepared, job, pieces)
    scored = time.perf_counter()
    seconds["scores"] = scored - started
    files = scoring_output.files_of("predictions", [report.part for report in reports])
    model = None
    if prepared.numbers:
        model, written = _components(context, options, prepared, job, pieces, reports)
        files.update(written)
    attempt.child(attempts.WORK).delete()
    seconds["pca"] = time.perf_counter() - scored
    facts = scoring_output.facts_of(context, prepared, reports, model, seconds)
    return {"files": files, "facts": {**facts, "partitions": len(pieces)}}


def _scored(
    context: SparkContext, prepared: Prepared, job: ScoringJob, pieces: Pieces
) -> list[Report]:
    content, done = context.broadcast(prepared.champion.content), context.accumulator(0)
    task = functools.partial(scoring_task.score, job, content, done)
    with Progress(prepared.table.rows, lambda: int(done.value), what="rows"):
        reports = cluster.run(context, task, pieces, "scores of the rows")
    return sorted(reports, key=lambda report: report.number)


def _components(
    context: SparkContext, options: ScoringOptions, prepared: Prepared, job: ScoringJob,
    pieces: Pieces, reports: Sequence[Report],
) -> tuple[pca.Model, dict[str, dict[str, Any]]]:  # fmt: skip
    """The components of the standardised features, and the files of them and of the rows'."""
    names = [report.moments for report in reports]
    gathered: Gathered = gathering.gather(context, job.target.child(attempts.WORK), names, Gathered)
    scaler: Scaler = standardise.scaler_of(gathered, job.numbers)
    model = pca.fit(
        standardise.moments(gathered, scaler), options.components,
        scoring_output.identity(job.numbers), "rows",
    )  # fmt: skip
    done = context.accumulator(0)
    task = functools.partial(
        scoring_task.project, job, context.broadcast(scaler), context.broadcast(model), done
    )
    with Progress(prepared.table.rows, lambda: int(done.value), what="components of rows"):
        written = cluster.run(context, task, pieces, "components of the rows")
    return model, {
        **scoring_output.files_of("components", written),
        **scoring_output.write_model(job.target, model, scaler),
    }


def _say_what_is_done(prepared: Prepared) -> None:
    table, champion = prepared.table, prepared.champion
    log.info(
        "features: %s rows in %d files, %d columns, %d of them numbers with components",
        f"{table.rows:,}", len(table.files), len(table.schema) - 1, len(prepared.numbers),
    )  # fmt: skip
    log.info(
        "model: %s, %s, %d columns, threshold %.4f, %.1f MB",
        prepared.version, champion.facts["algorithm"], len(champion.inputs), champion.threshold,
        len(champion.content) / 1e6,
    )  # fmt: skip


def _say_where_the_time_went(facts: dict[str, Any]) -> None:
    seconds, workers = facts["seconds"], facts["worker_seconds"]
    log.info(
        "time: %s in all: start %.1f s, scores %.1f s, components %.1f s",
        span(seconds["total"]), seconds["start"], seconds["scores"], seconds["pca"],
    )  # fmt: skip
    log.info(
        "workers: %.1f s in tasks, %.1f s of CPU: %s", workers["task"], workers["cpu"],
        ", ".join(f"{n} {s:.1f} s" for n, s in workers.items() if n not in ("task", "cpu")),
    )  # fmt: skip
    log.info(
        "scores: %s rows, %.2f %% at or above the threshold, %.0f rows/s, %.0f a second of CPU",
        f"{facts['rows']:,}", 100 * facts["positive"] / facts["rows"], facts["rows_per_second"],
        facts["rows"] / workers["cpu"],
    )  # fmt: skip
    if "components" in facts:
        share = 100 * sum(facts["explained_variance_ratio"])
        log.info("components: %d, %.1f %% of the variance", facts["components"], share)
    log.info("output: %s", facts["output"])
