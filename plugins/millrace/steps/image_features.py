"""Step: the features of a partition's images and their principal components, by Spark.

On this machine, on a transient EMR cluster or on EMR Serverless: the same script with the same
arguments. On AWS it writes into the lake itself, and only what it wrote is put in place here.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from millrace.aws.emr_capacity import IMAGES_PER_VCPU
from millrace.errors import MillraceError
from millrace.jobs.work import Work
from millrace.lake import Attempt, matches
from millrace.lake.manifest import sha256_of
from millrace.lake.sent import send_once, sent_key
from millrace.networks import network_of
from millrace.spark import SCRIPT, history_page
from millrace.steps import spark_here, spark_on_aws
from millrace.steps.run import Run
from millrace.steps.spark_here import SparkJob, run_here

if TYPE_CHECKING:
    from millrace.networks import Network

log = logging.getLogger(__name__)

IMAGES_PER_CORE = 85.0  # images a second, with decoding; a slow core: ONNX Runtime in fp32
NETWORK = "network.onnx"


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
    job = _job(run, listed.images, network_of(run.images.network, run.store))
    if work.remote is None:
        return {**found, **spark_here.estimate(job, IMAGES_PER_CORE)}
    return {**found, **spark_on_aws.estimate(run, job, work.remote.request.hourly)}


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
    job = _job(run, listed.images, network)

    def here(attempt: Attempt) -> None:
        run_here(run, job, partial(arguments_of, run, str(network.path)), attempt)

    def send() -> None:
        send_once(run.store, network.path, sent_key(network.sha256, NETWORK))

    raw = run.store.uri(str(run.place("raw")))
    return Work(
        run.store, run.store.uri(str(job.place)), job.place, depends_on=what,
        inputs={raw: listed.digest, f"network {network.name}": network.sha256},
        here=here, remote=spark_on_aws.remote(run, job, what, send) if run.is_remote else None,
        again=run.again, page=lambda facts: history_page(facts["application_id"]),
    )  # fmt: skip


def _job(run: Run, images: int, network: Network) -> SparkJob:
    """The job as AWS runs it, with what is in the lake."""
    weights = run.store.uri(sent_key(network.sha256, NETWORK))
    return SparkJob(
        "image_features", SCRIPT, run.place("features"), partial(arguments_of, run, weights),
        images, IMAGES_PER_VCPU,
    )  # fmt: skip


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
