"""Tables that are simulated: clusters that grow, partition sizes, S3 limits, spot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bench.scaling.estimate import Outcome, aggregation, estimate
from bench.scaling.inputs import Inputs
from bench.scaling.plan import Plan, cores, image_seconds
from bench.scaling.table import Table, figure, percent, size
from bench.scaling.theory import lost_share

MILLION = 10**6
GROWTH = (1, 2, 4, 8, 16, 32, 64)
GROWTH_BILLION = (8, 16, 32, 64, 128, 256, 512)


def growth(plan: Plan, nodes: Sequence[int], inputs: Inputs, seed: int, runs: int) -> Table:
    """Hours and EUR as the cluster grows, beside Amdahl's law."""
    rows: list[list[str]] = []
    first: Outcome | None = None
    for count in nodes:
        found = estimate(replace(plan, nodes=count), inputs, seed=seed, runs=runs)
        first = first or found
        speedup = first.hours / found.hours
        law = first.amdahl(count) / first.amdahl(nodes[0])
        rows.append(
            [
                str(count),
                f"{found.partitions:,}",
                figure(found.hours),
                figure(speedup),
                figure(law),
                percent(speedup * nodes[0] / count),
                figure(found.compute_eur),
                figure(found.s3_eur),
                figure(found.eur),
            ]
        )
    return Table(
        "nodes|tasks|hours|speed-up|Amdahl|efficiency|EUR compute|EUR S3|EUR".split("|"), rows
    )


def ten_million(inputs: Inputs, seed: int) -> Table:
    """10 million images with a file each, and beside it packed."""
    files, packed = (
        growth(Plan(10 * MILLION, 1, packed=packed), GROWTH, inputs, seed, 5)
        for packed in (False, True)
    )
    rows = [[*one, two[2], two[-1]] for one, two in zip(files.rows, packed.rows, strict=True)]
    return Table([*files.heading, "packed: hours", "EUR"], rows)


def partitions(inputs: Inputs, seed: int) -> Table:
    """Partition size: too small costs overhead and partial sums, too large waits and losses."""
    rows = []
    rate = inputs.cluster.interruptions_per_hour / 3600
    for each in (500, 2_000, 4_000, 10_000, 40_000, 500_000):
        plan = Plan(10 * MILLION, 8, partitions=10 * MILLION // each)
        seconds = each * image_seconds(plan, inputs) + inputs.tasks.overhead_seconds
        found = estimate(plan, inputs, seed=seed)
        rows.append(
            [
                f"{each:,}",
                f"{found.partitions:,}",
                figure(seconds),
                size(each * inputs.features.row_bytes),
                size(aggregation(plan, inputs).moved),
                percent(inputs.tasks.overhead_seconds / seconds),
                percent(lost_share(seconds, rate, inputs.cluster.notice_seconds)),
                figure(found.hours),
                figure(found.compute_eur),
            ]
        )
    return Table(
        [
            "images a partition",
            "tasks",
            "s a task",
            "file",
            "partial sums moved",
            "fixed part",
            "lost to spot (theory)",
            "hours",
            "EUR compute",
        ],
        rows,
    )


def throttling(inputs: Inputs, seed: int) -> Table:
    """Hours with ever more prefixes, when tasks mix them and when they follow the listing."""
    rows = []
    plan = Plan(10 * MILLION, 32)
    for prefixes in (1, 4, 16, 64):
        given = inputs.with_("s3", prefixes=prefixes)
        demand = cores(plan, given) * given.s3.requests_per_image / image_seconds(plan, given)
        hours = [
            estimate(replace(plan, mixed=mixed), given, seed=seed, runs=2).hours
            for mixed in (True, False)
        ]
        limit = prefixes * given.s3.get_per_second
        rows.append(
            [str(prefixes), figure(demand), figure(limit), figure(hours[0]), figure(hours[1])]
        )
    return Table(
        ["prefixes", "requests/s wanted", "given", "hours, mixed", "hours, in listing order"], rows
    )


def spot(inputs: Inputs, seed: int) -> Table:
    """250 million images on 16 nodes as interruptions become frequent."""
    rows = []
    base = Plan(250 * MILLION, 16, packed=True, partitions=25_000)
    fixed = estimate(replace(base, on_demand=True), inputs, seed=seed, runs=1)
    rows.append(_spot("on demand only", fixed))
    for rate in (0.0, 0.05, 0.2, 0.5):
        given = inputs.with_("cluster", interruptions_per_hour=rate)
        for durable, where in ((True, "parts in S3"), (False, "results on the nodes")):
            if rate or durable:
                plan = replace(base, durable=durable)
                name = f"{rate:.0%} an hour".replace("%", " %") + (f", {where}" if rate else "")
                rows.append(_spot(name, estimate(plan, given, seed=seed, runs=4)))
    long = estimate(replace(base, partitions=2_500), inputs, seed=seed, runs=4)
    rows.append(_spot("5 % an hour, parts in S3, tasks ten times as long", long))
    return Table(["interruptions", "nodes lost", "work lost", "hours", "EUR compute"], rows)


def _spot(name: str, found: Outcome) -> list[str]:
    return [
        name,
        figure(found.interruptions),
        percent(found.lost),
        figure(found.hours),
        figure(found.compute_eur),
    ]
