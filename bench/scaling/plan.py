"""A way to do a job: what is asked of a cluster, and the sizes that follow from it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bench.scaling.inputs import Inputs

SIZES = {"large": 2, "xlarge": 4, "2xlarge": 8, "4xlarge": 16, "8xlarge": 32, "16xlarge": 64}
BILLION_TASKS = 100_000  # asked for by hand: 10,000 images in each


@dataclass(frozen=True)
class Plan:
    """What is to be done, and how.

    Attributes:
        nodes: workers, besides the primary node.
        notebook: the usual way: Keras in a pandas UDF, files read one by one, 20 partitions,
            features stored, then Spark ML PCA over them.
        partitions: None = by the rule of `partition_count`.
        packed: images lie in objects of 128 MB, not each in its own.
        mixed: each task's images come from all prefixes alike; else tasks follow the listing.
        apply: project with a stored PCA in the same pass; nothing is fitted.
        on_demand: no spot capacity.
        managed: start with the core nodes and double until all are there.
        durable: finished tasks outlive their node, since their part lies in S3; not so for shuffle
            files and cached blocks.
    """

    images: int
    nodes: int
    instance: str = "m7a"
    precision: str | None = None
    notebook: bool = False
    partitions: int | None = None
    packed: bool = False
    mixed: bool = True
    apply: bool = False
    on_demand: bool = False
    managed: bool = False
    durable: bool = True


def vcpus(size: str) -> int:
    return SIZES[size]


def cores(plan: Plan, inputs: Inputs) -> int:
    """Task slots of the whole cluster: one a vCPU."""
    return plan.nodes * vcpus(inputs.cluster.size)


def requests_per_image(plan: Plan, inputs: Inputs) -> float:
    """Reads of S3 an image. pyarrow asks for the size first; Spark's reader knows it."""
    if plan.packed:
        return inputs.measured.bytes_per_image / inputs.s3.packed_read_bytes
    return 1.0 if plan.notebook else inputs.s3.requests_per_image


def image_seconds(plan: Plan, inputs: Inputs) -> float:
    """Seconds of a core for one image in the first pass, S3 being fast enough.

    With several reads in flight, waiting for S3 and computing overlap.
    """
    instance, s3 = inputs.instances[plan.instance], inputs.s3
    precision = "notebook" if plan.notebook else plan.precision or instance.precision
    cpu = 1 / inputs.measured.images_per_cpu_second[precision]
    requests = requests_per_image(plan, inputs)
    cpu += requests * s3.request_cpu_seconds
    if not (plan.notebook or plan.apply):
        cpu += inputs.measured.pca_line("one-pass")[1]
    cpu /= instance.speed
    wait = requests * s3.latency_seconds
    in_flight = 1 if plan.notebook else s3.in_flight
    return cpu + wait if in_flight == 1 else max(cpu, wait / in_flight)


def partition_count(plan: Plan, inputs: Inputs) -> int:
    """As the job does it: some tasks a core, of so many images at most; or as many as asked for."""
    if plan.partitions is not None:
        return min(plan.partitions, plan.images)
    if plan.notebook:
        return min(inputs.measured.notebook_partitions, plan.images)
    tasks = inputs.tasks
    wanted = max(tasks.per_core * cores(plan, inputs), math.ceil(plan.images / tasks.most_images))
    return min(wanted, tasks.most_partitions, plan.images)


def listing_seconds(plan: Plan, inputs: Inputs) -> float:
    """Listing on the driver, while the cluster waits. Prefixes are listed side by side."""
    s3 = inputs.s3
    objects = packed_objects(plan.images, inputs) if plan.packed else plan.images
    pages = math.ceil(objects / s3.list_page)
    return pages * s3.list_seconds / min(s3.list_threads, s3.prefixes, pages)


def packed_objects(images: int, inputs: Inputs) -> int:
    return math.ceil(images * inputs.measured.bytes_per_image / inputs.s3.packed_object_bytes)
