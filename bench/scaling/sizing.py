"""Tables that need no simulation: instances, S3 and PCA."""

from __future__ import annotations

from bench.scaling.estimate import aggregation
from bench.scaling.inputs import Inputs
from bench.scaling.plan import (
    BILLION_TASKS,
    Plan,
    image_seconds,
    packed_objects,
    partition_count,
    requests_per_image,
    vcpus,
)
from bench.scaling.prices import node_price, requests_eur, storage_eur
from bench.scaling.table import Table, figure, images, percent, size

MILLION, BILLION = 10**6, 10**9


def instances(inputs: Inputs) -> Table:
    """What a million images cost on each family, cores busy, start-up and requests left out."""
    rows = []
    node = inputs.cluster.size
    for family, instance in inputs.instances.items():
        price = node_price(family, node, inputs)
        each = image_seconds(Plan(MILLION, 1, instance=family, packed=True), inputs)
        hours = MILLION * each / vcpus(node) / 3600
        rows.append(
            [
                f"{family}.{node}",
                f"{instance.gb_per_vcpu:g} GB",
                figure(instance.speed),
                instance.precision,
                figure(vcpus(node) / each),
                figure(price.on_demand),
                figure(price.spot),
                figure(price.on_demand * hours),
                figure(price.spot * hours),
            ]
        )
    return Table(
        [
            "instance",
            "memory a vCPU",
            "speed of a vCPU",
            "precision",
            "images/s a node",
            "EUR/h on demand",
            "EUR/h spot",
            "EUR a million, on demand",
            "EUR a million, spot",
        ],
        rows,
    )


def layouts(inputs: Inputs) -> Table:
    """Small files against packed objects: requests, their price, and the fastest they can go."""
    rows = []
    s3 = inputs.s3
    for count in (10 * MILLION, BILLION):
        for packed in (False, True):
            plan = Plan(count, 1, packed=packed)
            objects = packed_objects(count, inputs) if packed else count
            gets = count * requests_per_image(plan, inputs)
            pages = objects / s3.list_page
            listed = 0 if packed else count * s3.list_bytes_per_image
            rows.append(
                [
                    f"{images(count)}, {'packed' if packed else 'a file each'}",
                    f"{objects:,}",
                    figure(requests_eur(0, objects, inputs)),
                    f"{gets:,.0f}",
                    figure(requests_eur(gets, 0, inputs)),
                    figure(gets / s3.get_per_second / 3600),
                    figure(gets / s3.get_per_second / s3.prefixes / 3600),
                    figure(pages * s3.list_seconds / 3600),
                    size(listed),
                ]
            )
    return Table(
        [
            "images",
            "objects",
            "EUR to write them",
            "reads",
            "EUR to read them",
            "least hours, 1 prefix",
            f"least hours, {s3.prefixes} prefixes",
            "hours of listing, one thread",
            "listing on the driver",
        ],
        rows,
    )


def storage(inputs: Inputs) -> Table:
    """What is kept, and what a month of it costs."""
    rows = []
    features = inputs.features
    kinds = {
        "images": inputs.measured.bytes_per_image,
        f"{features.width} features, single precision": features.row_bytes,
        f"{features.components} components": 4 * features.components,
    }
    for kind, each in kinds.items():
        amounts = [each * count for count in (10 * MILLION, BILLION)]
        rows.append([kind, *(f(a) for a in amounts for f in (size, lambda a: _eur(a, inputs)))])
    return Table(["kept", "10 million", "EUR a month", "1 billion", "EUR a month"], rows)


def _eur(amount: float, inputs: Inputs) -> str:
    return figure(storage_eur(amount, inputs))


def pca(inputs: Inputs) -> Table:
    """CPU and data of a fit: the job's one pass, and Spark ML over stored features."""
    rows = []
    each = image_seconds(Plan(MILLION, 1), inputs)
    for count, parts in ((10 * MILLION, None), (BILLION, BILLION_TASKS)):
        parts = partition_count(Plan(count, 1, partitions=parts), inputs)
        for method in ("one-pass", "spark-ml"):
            notebook = method == "spark-ml"
            plan = Plan(count, 1, partitions=parts, notebook=notebook)
            tree = aggregation(plan, inputs)
            fixed, row = inputs.measured.pca_line(method)
            seconds = fixed + row * count
            rows.append(
                [
                    f"{images(count)}, {method}",
                    figure(seconds / 3600),
                    percent(seconds / (count * each)),
                    size(2 * count * inputs.features.row_bytes if notebook else 0),
                    " > ".join(f"{level:,}" for level in tree.levels),
                    size(tree.moved),
                    size(tree.to_driver),
                ]
            )
    return Table(
        [
            "rows, method",
            "CPU-hours",
            "of the features' CPU",
            "features read again",
            "partial sums by level",
            "exchanged",
            "to the driver",
        ],
        rows,
    )
