"""AWS Lambda: checks and prepares the partition of every upload to `raw/`.

The steps and the code are those of the pipeline, and so is what they publish: the DAG's own tasks
find their work done. A partition whose awaited files are not all there is left alone, and one that
is too large for the function is left to the DAG, and so are images.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from typing import Any

import boto3

from millrace.arrivals.events import read_events
from millrace.arrivals.partitions import Arrival, arrival_of
from millrace.datasets import DatasetSpec, load_image_specs, load_specs
from millrace.errors import MillraceError
from millrace.lake import Store, open_store
from millrace.settings import Settings
from millrace.steps.preprocess import preprocess
from millrace.steps.run import Run
from millrace.steps.validate_raw import validate_raw

log = logging.getLogger("millrace.on_upload")
logging.getLogger("millrace").setLevel(logging.INFO)

# Bytes needed for a byte of raw files. Measured with 77 MB of loans, 53 MB of telecom customers and
# 36 MB of passengers: at most 12.7 of memory above the 155 MB of the libraries, and 1.8 of disk.
MEMORY, BASE_MEMORY = 15, 200 * 2**20
DISK = 3


class UploadFailed(MillraceError):
    """Partitions that could not be prepared; the message names each with its reason."""


def handle(event: Any, context: Any) -> dict[str, list[str]]:
    """Prepare every partition that an event names, each once.

    Returns:
        Addresses below `raw/` by what became of them: `prepared`, `waiting`, `too_large`.

    Raises:
        UploadFailed: after all others were prepared, so that Lambda tries again and then hands
            the event to the failure destination.
    """
    settings = Settings.from_environment()
    specs, broken = load_specs(settings.datasets)
    for error in broken.values():
        log.error("%s", error)
    images = {name for found in load_image_specs(settings.datasets) for name in found}
    reading = read_events([event], settings.lake, {*specs, *broken, *images})
    for reason in reading.ignored:
        log.info("Ignored %s", reason)
    store = open_store(settings.lake, boto3.client("s3"))
    became: dict[str, list[str]] = {"prepared": [], "waiting": [], "too_large": []}
    failed: list[str] = []
    for dataset, partition in sorted({(each.dataset, each.partition) for each in reading.uploads}):
        name = f"{dataset}/{partition}"
        if dataset in images:
            log.info("Left %s to its DAG: it holds images.", name)
            continue
        try:
            if dataset in broken:
                raise broken[dataset]
            became[prepare(specs[dataset], partition, store, settings)].append(name)
        except Exception as error:
            log.exception("%s could not be prepared.", name)
            failed.append(f"{name}: {error}")
    if failed:
        raise UploadFailed("\n".join(failed))
    return became


def prepare(spec: DatasetSpec, partition: str, store: Store, settings: Settings) -> str:
    """Validate and preprocess one partition, if it is complete and not too large."""
    name = f"{spec.name}/{partition}"
    arrival = arrival_of(store, spec, partition)
    if arrival is None:
        log.info("Left %s alone: no file like %s yet.", name, spec.raw.ready or spec.raw.files)
        return "waiting"
    if lacking := what_is_lacking(arrival):
        log.warning("Left %s to the DAG: %s", name, lacking)
        return "too_large"
    run = Run(spec, partition, store, settings, tuple(spec.candidates))
    validate_raw(run)
    preprocess(run)
    log.info("Prepared %s: %d files, %d bytes.", name, arrival.files, arrival.bytes)
    return "prepared"


def what_is_lacking(arrival: Arrival) -> str | None:
    """What of this function's means the partition exceeds, and the setting to raise."""
    free = shutil.disk_usage(tempfile.gettempdir()).free
    memory = int(os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "10240")) * 2**20
    needed = BASE_MEMORY + MEMORY * arrival.bytes
    for what, wanted, present, setting in (
        ("memory", needed, memory, "MemorySize (at most 10240 MB)"),
        ("disk", DISK * arrival.bytes, free, "EphemeralStorage (at most 10240 MB)"),
    ):
        if wanted > present:
            return (
                f"{arrival.bytes / 2**20:,.0f} MB of raw files need {wanted / 2**20:,.0f} MB of"
                f" {what}, and there are {present / 2**20:,.0f}; raise {setting}"
            )
    return None
