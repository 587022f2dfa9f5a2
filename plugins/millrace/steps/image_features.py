"""Step: the features of a partition's images and their principal components, by Spark.

On this machine, on a transient EMR cluster or on EMR Serverless: the same script with the same
arguments. On AWS it writes into the lake itself, and only what it wrote is put in place here.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from millrace.aws.emr_capacity import STARTING, seconds_for, units_for
from millrace.aws.prices import cost
from millrace.errors import MillraceError
from millrace.jobs.local import run_command
from millrace.jobs.work import Work
from millrace.lake import Attempt, matches
from millrace.lake.account import ACCOUNT
from millrace.lake.manifest import sha256_of
from millrace.networks import network_of
from millrace.spark import (
    EVENTS,
    FOLDER,
    SCRIPT,
    history_page,
    java,
    keep_class_archive,
    spark_submit,
)
from millrace.steps.run import Run
from millrace.steps.spark_on_aws import arguments_of, remote_features, require_environment

log = logging.getLogger(__name__)

IMAGES_PER_CORE = 85.0  # images a second, with decoding; a slow core: ONNX Runtime in fp32
LOCAL_START = 12.0  # seconds that Spark takes to start, list, fit and write


class NoImages(MillraceError):
    """A partition holds no image; the message says what was found."""


@dataclass(frozen=True)
class Listing:
    """What lies below a partition's raw prefix: no image is opened for it, on S3 none is read.

    Attributes:
        images: how many there are.
        size: bytes of all of them.
        digest: hash over names, sizes and contents.
    """

    images: int
    size: int
    digest: str


def list_images(run: Run) -> Listing:
    """List the partition's images, one after the other.

    Raises:
        NoImages: there is none.
    """
    place = str(run.place("raw"))
    digest, images, size = hashlib.sha256(), 0, 0
    others: list[str] = []
    for entry in run.store.walk(place):
        name = entry.key.removeprefix(f"{place}/")
        if not matches(name, run.spec.raw.files):
            others += [name] if len(others) < 5 else []
            continue
        tag = entry.tag or sha256_of(run.store.local(entry.key))
        digest.update(json.dumps([name, entry.size, tag]).encode())
        images, size = images + 1, size + entry.size
    if not images:
        found = ", ".join(others) or "no file at all"
        raise NoImages(
            f"{run.store.uri(place)} holds no image like {run.spec.raw.files!r} (found {found});"
            " deliver the images, or mend `raw.files` in the spec"
        )
    return Listing(images, size, digest.hexdigest())


def plan(run: Run) -> dict[str, Any]:
    """List the images, and say what is to be done with them, where, and at what cost.

    Returns:
        `listing` for `image_features`; `where`: `local`, `emr`, `emr_serverless`, or `nowhere`
        where the features are published; `seconds` and `cost_usd`, estimated.

    Raises:
        NoImages: there is none.
        NoEnvironment: Spark on AWS lacks the packed environment.
    """
    listed = list_images(run)
    work = image_features(run, asdict(listed))
    log.info("%s images, %s bytes.", f"{listed.images:,}", f"{listed.size:,}")
    found = {"listing": asdict(listed), "engine": run.engine, "seconds": 0, "cost_usd": 0.0}
    if work.is_done:
        log.info("Nothing to do: %s is published from the same images and code.", work.result)
        return {**found, "where": "nowhere"}
    if work.remote is None:
        cores = os.process_cpu_count() if hasattr(os, "process_cpu_count") else os.cpu_count()
        seconds = LOCAL_START + listed.images / (IMAGES_PER_CORE * (cores or 1))
        log.info("Spark runs here on %s cores, for about %.0f s.", cores, seconds)
        return {**found, "where": "local", "seconds": round(seconds)}
    return {**found, **_estimate(run, listed.images, work.remote.request.hourly)}


def _estimate(run: Run, images: int, hourly: float | None) -> dict[str, Any]:
    """Where on AWS Spark is to work, for how long, and at what cost.

    Args:
        hourly: price of an hour of all that works, None where it is not known.
    """
    emr = run.settings.emr_target().emr
    require_environment(run)
    seconds = seconds_for(emr, images)
    dollars = None if hourly is None else round(cost(hourly, seconds), 4)
    log.info(
        "%s is to work with %d vCPUs for about %.0f minutes, for %s (estimate, on demand).",
        "EMR Serverless" if emr.serverless else "A transient EMR cluster",
        units_for(emr, images), seconds / 60,
        "a price that is not in the price file" if dollars is None else f"about ${dollars:.2f}",
    )  # fmt: skip
    if seconds - STARTING > run.settings.job_timeout:
        log.warning(
            "The job would be stopped after %.0f s: raise MILLRACE_JOB_TIMEOUT, or give it more"
            " machines with MILLRACE_EMR_MAX_VCPUS.", run.settings.job_timeout,
        )  # fmt: skip
    where = "emr_serverless" if emr.serverless else "emr"
    return {"where": where, "seconds": round(seconds), "cost_usd": dollars}


def image_features(run: Run, listing: Mapping[str, Any] | None = None) -> Work:
    """Features, principal components and quarantine of all images of the partition.

    Args:
        listing: the fields of `Listing`, where an earlier task has listed the images.
    """
    listed = Listing(**listing) if listing else list_images(run)
    network = network_of(run.images.network, run.store)
    what = {
        "images": listed.digest,
        "spec": run.spec.fingerprint("raw", "network", "precision", "components"),
        "network": network.sha256,
    }
    place = run.place("features")

    def here(attempt: Attempt) -> None:
        _run_here(run, network.path, attempt)

    remote = remote_features(run, listed.images, network, what) if run.is_remote else None
    raw = run.store.uri(str(run.place("raw")))
    return Work(
        run.store, run.store.uri(str(place)), place, depends_on=what,
        inputs={raw: listed.digest, f"network {network.name}": network.sha256},
        here=here, remote=remote, again=run.again,
        page=lambda facts: history_page(facts["application_id"]),
    )  # fmt: skip


def _run_here(run: Run, network: Path, attempt: Attempt) -> None:
    """Run the script on all cores of this machine; its files appear in the attempt's folder."""
    events = run.settings.home / EVENTS
    events.mkdir(parents=True, exist_ok=True)
    confs = {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": events.as_uri(),
        "spark.ui.showConsoleProgress": "false",
    }
    options = [word for name, value in confs.items() for word in ("--conf", f"{name}={value}")]
    output, name = str(attempt.folder.parent), attempt.folder.name
    arguments = arguments_of(run, str(network), output, name)
    with tempfile.TemporaryDirectory(prefix="millrace-spark-") as folder:
        command = [
            *spark_submit(Path(folder), run.settings.spark_memory, leave_classes=True), *options,
            str(FOLDER / SCRIPT), *arguments,
        ]  # fmt: skip
        run_command(
            SCRIPT, command, _variables(run, Path(folder)), timeout=run.settings.job_timeout
        )
        keep_class_archive(Path(folder))
    account = attempt.folder / ACCOUNT
    attempt.facts |= json.loads(account.read_text(encoding="utf-8"))["facts"]
    attempt.facts["event_log"] = str(events)
    account.unlink()


def _variables(run: Run, folder: Path) -> dict[str, str]:
    """The environment of a local Spark; with the lake on S3, the keys to it."""
    return {
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",  # its ports are for this machine only
        "SPARK_LOCAL_DIRS": str(folder),
        "OMP_NUM_THREADS": "1",  # Spark runs a worker for each core
        **java(folder),
        **(run.keys() if run.keys and run.store.root.startswith("s3://") else {}),
    }
