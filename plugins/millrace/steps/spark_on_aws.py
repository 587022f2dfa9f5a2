"""How EMR runs a Spark job: what is sent, what is asked for, and what comes back."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from millrace.aws.emr import cluster_request, serverless_run, spark_step
from millrace.aws.emr_capacity import (
    STARTING,
    cluster_hourly,
    seconds_for,
    serverless_price,
    units_for,
)
from millrace.aws.prices import cost
from millrace.aws.requests import tags
from millrace.errors import MillraceError
from millrace.jobs.job import TRY, Job, Request, Status
from millrace.jobs.names import job_name
from millrace.jobs.work import Remote
from millrace.lake import Attempt
from millrace.lake.sent import send_once, sent_key
from millrace.spark import FOLDER, environment_key, source_digest, zip_modules
from millrace.steps.run import Run
from millrace.steps.spark_here import SparkJob

log = logging.getLogger(__name__)

MODULES = "modules.zip"
LOGS = "jobs/logs"


class NoEnvironment(MillraceError):
    """The packed environment of the Spark jobs is not in the lake."""


def remote(
    run: Run, job: SparkJob, what: Mapping[str, Any], send_input: Callable[[], None]
) -> Remote:
    """A step of a transient cluster, or a run of EMR Serverless where an application is set.

    A cluster belongs to one run, so its name is one of that run; a run of EMR Serverless is shared
    by all who ask for the same work.

    Args:
        what: what the output depends on.
        send_input: uploads what the job reads besides what is in the lake.
    """
    target, settings = run.settings.emr_target(), run.settings
    emr, limit, digest = target.emr, settings.job_timeout, source_digest(job.script)
    archive = emr.archive or run.store.uri(environment_key())
    all_of_it = {
        **what, "source": digest, "archive": archive, "limit": limit,
        "lake": run.store.root, "emr": emr.application or [emr.release, *emr.instances],
        **({} if emr.serverless and not run.again else {"run": run.run_id}),
    }  # fmt: skip
    name = job_name(run.spec.name, run.partition, job.task, "", all_of_it)
    arguments = job.arguments(run.store.uri(str(job.place)), attempt_of(name))
    units = units_for(emr, job.size, job.rate)
    price = (serverless_price if emr.serverless else cluster_hourly)(target, units)
    labels = tags(
        dataset=run.spec.name, partition=run.partition, run=run.run_id, task=job.task,
        cost=None if price is None else cost(price, limit),
    )  # fmt: skip
    script, modules = (sent_key(digest, each) for each in (job.script, MODULES))
    sent = {
        "script": run.store.uri(script), "siblings": run.store.uri(modules), "archive": archive,
    }  # fmt: skip

    def send() -> None:
        require_environment(run)
        send_once(run.store, FOLDER / job.script, script)
        with tempfile.TemporaryDirectory(prefix="millrace-sent-") as folder:
            zip_modules(Path(folder) / MODULES, job.script)
            send_once(run.store, Path(folder) / MODULES, modules)
        send_input()

    def collect(job: Job, _status: Status, attempt: Attempt) -> None:
        attempt.written = attempt_of(job.name).replace(TRY, str(job.number))

    logs = run.store.uri(LOGS)
    make = partial(Remote, send=send, collect=collect, connection=settings.aws_connection,
                   region=target.region, interval=settings.poll_interval)  # fmt: skip
    if emr.serverless:
        body = serverless_run(target, arguments=arguments, **sent, log_uri=logs, tags=labels)
        return make(Request("emr_serverless", name, body, limit, emr.application, price))
    step = spark_step(target, arguments=arguments, **sent)
    cluster = cluster_request(
        target, step={**step, "Name": f"{name}-{TRY}"}, images=job.size, rate=job.rate,
        log_uri=f"{logs}/", tags=labels,
    )  # fmt: skip
    whole = Request("emr_cluster", cluster_name(name), cluster, limit, hourly=price)
    return make(
        Request("emr_step", name, step, limit, hourly=price),
        locate=partial(_cluster_for, run, whole), around=whole,
    )  # fmt: skip


def estimate(run: Run, job: SparkJob, hourly: float | None) -> dict[str, Any]:
    """Where on AWS Spark is to work, for how long, and at what cost.

    Args:
        hourly: price of an hour of all that works, None where it is not known.

    Raises:
        NoEnvironment: Spark on AWS lacks the packed environment.
    """
    emr = run.settings.emr_target().emr
    require_environment(run)
    seconds = seconds_for(emr, job.size, job.rate)
    dollars = None if hourly is None else round(cost(hourly, seconds), 4)
    log.info(
        "%s is to work with %d vCPUs for about %.0f minutes, for %s (estimate, on demand).",
        "EMR Serverless" if emr.serverless else "A transient EMR cluster",
        units_for(emr, job.size, job.rate), seconds / 60,
        "a price that is not in the price file" if dollars is None else f"about ${dollars:.2f}",
    )  # fmt: skip
    if seconds - STARTING > run.settings.job_timeout:
        log.warning(
            "The job would be stopped after %.0f s: raise MILLRACE_JOB_TIMEOUT, or give it more"
            " machines with MILLRACE_EMR_MAX_VCPUS.", run.settings.job_timeout,
        )  # fmt: skip
    where = "emr_serverless" if emr.serverless else "emr"
    return {"where": where, "seconds": round(seconds), "cost_usd": dollars}


def attempt_of(name: str) -> str:
    """The folder that a try of a job writes into: `attempt=5e0a9d1c42-{try}`."""
    return f"attempt={name.rpartition('-')[2]}-{TRY}"


def cluster_name(name: str) -> str:
    """The name of the clusters made for a job."""
    return f"{name}-cluster"


def require_environment(run: Run) -> None:
    """Check that the packed environment is in the lake, unless another one is set.

    Called before a cluster is paid for that needs it.

    Raises:
        NoEnvironment: it is not.
    """
    if run.settings.emr_target().emr.archive:
        return
    key = environment_key()
    if not any(entry.key == key for entry in run.store.walk(key.rpartition("/")[0])):
        raise NoEnvironment(
            f"the packed environment {run.store.uri(key)} is not there; make it with"
            " `make spark-environment`, or set MILLRACE_SPARK_ARCHIVE to one of yours"
        )


def _cluster_for(run: Run, whole: Request, anew: bool) -> str:
    """The id of the cluster to work on; made where the one of this run is gone."""
    from millrace.jobs.emr_cluster import EmrCluster

    if run.client is None:
        raise RuntimeError("a run on aws needs clients")
    cluster, found = EmrCluster(run.client("emr")).place(run.store, whole, anew=anew)
    log.info("%s the cluster %s (%s).", "Taking" if found else "Made", cluster, cluster.id)
    return cluster.id
