"""How EMR computes features: what is sent, what is asked for, and what comes back."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from millrace.aws.emr import cluster_request, serverless_run, spark_step
from millrace.aws.emr_capacity import cluster_hourly, serverless_price, units_for
from millrace.aws.prices import cost
from millrace.aws.requests import tags
from millrace.errors import MillraceError
from millrace.jobs.job import TRY, Job, Request, Status
from millrace.jobs.names import job_name
from millrace.jobs.work import Remote
from millrace.lake import Attempt
from millrace.lake.sent import send_once, sent_key
from millrace.spark import FOLDER, SCRIPT, environment_key, source_digest, zip_siblings
from millrace.steps.run import Run

if TYPE_CHECKING:
    from millrace.networks import Network

log = logging.getLogger(__name__)

TASK = "image_features"
SIBLINGS, NETWORK = "modules.zip", "network.onnx"
LOGS = "jobs/logs"


class NoEnvironment(MillraceError):
    """The packed environment of the Spark job is not in the lake."""


def arguments_of(run: Run, network: str, output: str, attempt: str) -> list[str]:
    """The script's command line.

    Args:
        network: path or URI of the ONNX file.
        output: folder or URI prefix; the script writes into `attempt` below it.
    """
    spec = run.images
    reuse = [] if run.again else ["--reuse", run.store.uri(f"features/{spec.name}")]
    return [
        "--images", run.store.uri(str(run.place("raw"))), "--pattern", spec.raw.files,
        "--output", output, "--attempt", attempt, "--network", network,
        "--precision", spec.precision, "--components", str(spec.components),
        "--tolerance", str(spec.raw.tolerance), *reuse,
    ]  # fmt: skip


def remote_features(run: Run, images: int, network: Network, what: Mapping[str, Any]) -> Remote:
    """A step of a transient cluster, or a run of EMR Serverless where an application is set.

    A cluster belongs to one run, so its name is one of that run; a run of EMR Serverless is shared
    by all who ask for the same work.

    Args:
        what: what the features depend on.
    """
    target, settings = run.settings.emr_target(), run.settings
    emr, limit = target.emr, settings.job_timeout
    archive = emr.archive or run.store.uri(environment_key())
    script, modules = (sent_key(source_digest(), name) for name in (SCRIPT, SIBLINGS))
    weights = sent_key(network.sha256, NETWORK)
    all_of_it = {
        **what, "source": source_digest(), "archive": archive, "limit": limit,
        "lake": run.store.root, "emr": emr.application or [emr.release, *emr.instances],
        **({} if emr.serverless and not run.again else {"run": run.run_id}),
    }  # fmt: skip
    name = job_name(run.spec.name, run.partition, TASK, "", all_of_it)
    arguments = arguments_of(
        run, run.store.uri(weights), run.store.uri(str(run.place("features"))), attempt_of(name)
    )
    units = units_for(emr, images)
    price = (serverless_price if emr.serverless else cluster_hourly)(target, units)
    labels = tags(
        dataset=run.spec.name, partition=run.partition, run=run.run_id, task=TASK,
        cost=None if price is None else cost(price, limit),
    )  # fmt: skip
    sent = {
        "script": run.store.uri(script), "siblings": run.store.uri(modules), "archive": archive,
    }  # fmt: skip

    def send() -> None:
        require_environment(run)
        send_once(run.store, FOLDER / SCRIPT, script)
        with tempfile.TemporaryDirectory(prefix="millrace-sent-") as folder:
            zip_siblings(Path(folder) / SIBLINGS)
            send_once(run.store, Path(folder) / SIBLINGS, modules)
        send_once(run.store, network.path, weights)

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
        target, step={**step, "Name": f"{name}-{TRY}"}, images=images, log_uri=f"{logs}/",
        tags=labels,
    )  # fmt: skip
    whole = Request("emr_cluster", cluster_name(name), cluster, limit, hourly=price)
    return make(
        Request("emr_step", name, step, limit, hourly=price),
        locate=partial(_cluster_for, run, whole), around=whole,
    )  # fmt: skip


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
