"""One input changed at a time: what the conclusions hang on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from bench.scaling.estimate import estimate
from bench.scaling.inputs import Inputs
from bench.scaling.plan import BILLION_TASKS, Plan
from bench.scaling.table import Table, figure

BASES = (Plan(10**7, 16), Plan(10**9, 64, packed=True, apply=True, partitions=BILLION_TASKS))
PHOTO_BYTES, PHOTO_SECONDS = 1_000_000, 0.030  # a photo of some megapixels: size, extra decoding


def sensitivity(inputs: Inputs, seed: int) -> Table:
    """Hours and EUR of both sizes, beside the base case."""
    rows = []
    for name, changes, given in variants(inputs):
        cells = []
        for plan in BASES:
            runs = 1 if plan.images >= 10**9 else 5
            found = estimate(replace(plan, **changes), given, seed=seed, runs=runs)
            cells += [figure(found.hours), figure(found.compute_eur), figure(found.s3_eur)]
        rows.append([name, *cells])
    return Table(
        [
            "change",
            "10 million: hours",
            "EUR compute",
            "EUR S3",
            "1 billion: hours",
            "EUR compute",
            "EUR S3",
        ],
        rows,
    )


def variants(inputs: Inputs) -> Iterator[tuple[str, dict[str, Any], Inputs]]:
    """Name, changes to the plan, inputs."""
    given = inputs.cluster
    yield "none", {}, inputs
    yield "cores 25 % slower", {}, scaled(inputs, 0.75)
    yield "fp32 only", {"precision": "fp32"}, inputs
    yield "int8 (if its cosine were good enough)", {"precision": "int8"}, inputs
    yield "m7i instead of m7a", {"instance": "m7i"}, inputs
    yield "one read at a time", {}, inputs.with_("s3", in_flight=1)
    yield "one prefix", {}, inputs.with_("s3", prefixes=1)
    yield "tasks in listing order", {"mixed": False}, inputs
    yield "listing in one thread", {}, inputs.with_("s3", list_threads=1)
    yield "photos of 1 MB, 30 ms to decode", {}, photos(inputs)
    yield "start-up 15 min", {}, inputs.with_("cluster", start_seconds=900.0)
    yield "managed scaling from 1 node", {"managed": True}, inputs
    yield "on demand", {"on_demand": True}, inputs
    yield "spot at 70 % of on demand", {}, inputs.with_("cluster", spot_price=0.7)
    often = 10 * given.interruptions_per_hour
    yield "ten times the interruptions", {}, inputs.with_("cluster", interruptions_per_hour=often)


def scaled(inputs: Inputs, factor: float) -> Inputs:
    """All instances faster or slower by a factor."""
    instances = {
        name: replace(instance, speed=instance.speed * factor)
        for name, instance in inputs.instances.items()
    }
    return replace(inputs, instances=instances)


def photos(inputs: Inputs) -> Inputs:
    """Whole photos instead of thumbnails: more to read, and longer to decode."""
    rates = {
        name: 1 / (1 / rate + PHOTO_SECONDS)
        for name, rate in inputs.measured.images_per_cpu_second.items()
    }
    return inputs.with_("measured", images_per_cpu_second=rates, bytes_per_image=PHOTO_BYTES)
