"""The same images another way: the usual notebook, one machine, EMR Serverless."""

from __future__ import annotations

from dataclasses import replace

from bench.scaling.estimate import estimate, fit_seconds, project_seconds, request_counts
from bench.scaling.inputs import Inputs
from bench.scaling.plan import (
    BILLION_TASKS,
    Plan,
    cores,
    image_seconds,
    listing_seconds,
    partition_count,
)
from bench.scaling.prices import ec2_usd, requests_eur, serverless_eur
from bench.scaling.table import Table, figure, images

MILLION, BILLION = 10**6, 10**9


def usual(inputs: Inputs, seed: int) -> Table:
    """The notebook way against this job, on the same nodes."""
    rows = []
    for count, nodes, parts in ((10 * MILLION, 16, None), (BILLION, 64, BILLION_TASKS)):
        ours = Plan(count, nodes, partitions=parts)
        notebook = Plan(count, nodes, notebook=True)
        ways = {
            "notebook, 20 partitions": notebook,
            "notebook, partitions raised": raised(notebook, inputs),
            "this job, a file each, in listing order": replace(ours, mixed=False),
            "this job, a file each, prefixes mixed": ours,
            "this job, packed": replace(ours, packed=True),
            "this job, packed, stored PCA": replace(ours, packed=True, apply=True),
        }
        for name, plan in ways.items():
            rows.append([f"{images(count)}, {nodes} nodes: {name}", *_usual(plan, inputs, seed)])
    return Table(["way", "tasks", "hours", "core-hours", "EUR compute", "EUR S3", "EUR"], rows)


def _usual(plan: Plan, inputs: Inputs, seed: int) -> list[str]:
    count = partition_count(plan, inputs)
    work = plan.images * image_seconds(plan, inputs) / 3600
    if work / count > 100:  # such a task would hardly ever end on a spot node
        return [f"{count:,}", f"more than {work / count:,.0f}", figure(work), "-", "-", "-"]
    runs = 1 if plan.images >= BILLION else 10
    found = estimate(plan, inputs, seed=seed, runs=runs)
    costs = [figure(euros) for euros in (found.compute_eur, found.s3_eur, found.eur)]
    return [f"{count:,}", figure(found.hours), figure(work), *costs]


def raised(plan: Plan, inputs: Inputs) -> Plan:
    """The notebook with as many partitions as this job takes."""
    parts = BILLION_TASKS if plan.images >= BILLION else None
    ours = replace(plan, notebook=False, partitions=parts)
    return replace(plan, partitions=partition_count(ours, inputs))


def places(inputs: Inputs, seed: int) -> Table:
    """One machine, EMR Serverless and an EMR cluster with 64 vCPUs each."""
    rows = []
    for count in (10_000, 100_000, MILLION, 10 * MILLION, 100 * MILLION):
        plan = Plan(count, 4)
        emr = estimate(plan, inputs, seed=seed, runs=3)
        bill = requests_eur(*request_counts(plan, inputs), inputs)
        hours, eur = machine(plan, inputs)
        less, euros = serverless(plan, inputs)
        rows.append(
            [
                images(count),
                *(figure(time * 60) for time in (hours, less, emr.hours)),
                *(figure(cost) for cost in (eur, euros, emr.compute_eur)),
                figure(bill),
            ]
        )
    return Table(
        [
            "images",
            "min, one machine",
            "min, Serverless",
            "min, EMR",
            "EUR, one machine",
            "EUR, Serverless",
            "EUR, EMR",
            "EUR S3, each",
        ],
        rows,
    )


def machine(plan: Plan, inputs: Inputs) -> tuple[float, float]:
    """Hours and EUR of one m7a.16xlarge on demand, without EMR."""
    seconds = inputs.elsewhere.machine_start_seconds + _passes(plan, inputs)
    price = ec2_usd("m7a", "16xlarge", inputs) + inputs.cluster.ebs_usd_per_node_hour
    return seconds / 3600, seconds / 3600 * price * inputs.cluster.usd_to_eur


def serverless(plan: Plan, inputs: Inputs) -> tuple[float, float]:
    """Hours and EUR of as many vCPUs of EMR Serverless: the CPU cannot be chosen."""
    place = inputs.elsewhere
    instance = replace(
        inputs.instances[plan.instance],
        speed=place.serverless_speed,
        precision=place.serverless_precision,
    )
    given = replace(inputs, instances={**inputs.instances, plan.instance: instance})
    seconds = _passes(plan, given)
    vcpu_hours = seconds / 3600 * cores(plan, given)
    return (seconds + place.serverless_start_seconds) / 3600, vcpu_hours * serverless_eur(given)


def _passes(plan: Plan, inputs: Inputs) -> float:
    """Seconds from the listing to the end, all cores busy."""
    work = plan.images * image_seconds(plan, inputs)
    work += partition_count(plan, inputs) * inputs.tasks.overhead_seconds
    rest = fit_seconds(plan, inputs) + project_seconds(plan, inputs)
    return listing_seconds(plan, inputs) + work / cores(plan, inputs) + rest
