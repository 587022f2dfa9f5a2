"""Hours and EUR of a plan: phases that are simulated or worked out, one after the other."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bench.scaling.cluster import Cluster, Stage
from bench.scaling.inputs import Inputs
from bench.scaling.plan import (
    Plan,
    cores,
    image_seconds,
    listing_seconds,
    partition_count,
    requests_per_image,
    vcpus,
)
from bench.scaling.prices import node_price, requests_eur
from bench.scaling.simulation import Run
from bench.scaling.theory import Aggregation, amdahl, merged_in_groups, tree_aggregation


@dataclass(frozen=True)
class Outcome:
    """Means over the runs. Seconds by phase; shares of the useful work.

    Attributes:
        serial: seconds that more nodes do not shorten.
        parallel: seconds that all the work of the passes would take on one node.
    """

    phases: dict[str, float]
    compute_eur: float
    s3_eur: float
    lost: float
    interruptions: float
    partitions: int
    serial: float
    parallel: float

    @property
    def hours(self) -> float:
        return sum(self.phases.values()) / 3600

    @property
    def eur(self) -> float:
        return self.compute_eur + self.s3_eur

    def amdahl(self, nodes: int) -> float:
        return amdahl(self.serial, self.parallel, nodes)


def estimate(plan: Plan, inputs: Inputs, *, seed: int = 0, runs: int = 5) -> Outcome:
    """Simulate the first pass `runs` times and add what comes before and after it."""
    stages = [first_pass(plan, inputs, np.random.default_rng([seed, run])) for run in range(runs)]
    tasks = mean(stages, "seconds")
    fit = fit_seconds(plan, inputs)
    phases = {
        "start": inputs.cluster.start_seconds,
        "list": listing_seconds(plan, inputs),
        "features": tasks,
        "fit": fit,
        "project": 0.0 if plan.apply else project_seconds(plan, inputs),
        "end": inputs.cluster.end_seconds,
    }
    work = mean(stages, "work")
    slots = vcpus(inputs.cluster.size)
    second = 0.0 if plan.apply else project_seconds(plan, inputs, one_core=True)
    gets, puts = request_counts(plan, inputs)
    return Outcome(
        phases=phases,
        compute_eur=compute_eur(plan, inputs, stages, phases),
        s3_eur=requests_eur(gets, puts, inputs),
        lost=mean(stages, "lost") / work,
        interruptions=mean(stages, "interruptions"),
        partitions=partition_count(plan, inputs),
        serial=phases["start"] + phases["list"] + fit + phases["end"],
        parallel=(work + second) / slots,
    )


def mean(stages: list[Stage], name: str) -> float:
    return float(np.mean([getattr(stage, name) for stage in stages]))


def first_pass(plan: Plan, inputs: Inputs, rng: np.random.Generator) -> Stage:
    """One simulated run: images to features, with the partial sums of the PCA."""
    count = partition_count(plan, inputs)
    work = task_seconds(plan, inputs, count, rng)
    prefixes = inputs.s3.prefixes
    one = prefix_cores(plan, inputs)
    if plan.mixed:
        groups, capacities = np.zeros(count, dtype=int), [one * prefixes]
    else:
        groups, capacities = np.arange(count) * prefixes // count, [one] * prefixes
    return Run(work, groups, capacities, cluster(plan, inputs), rng).result()


def task_seconds(plan: Plan, inputs: Inputs, count: int, rng: np.random.Generator) -> np.ndarray:
    """Core-seconds of each task: log-normal, now and then a straggler, and the fixed part."""
    tasks = inputs.tasks
    usual = plan.images / count * image_seconds(plan, inputs)
    sigma = math.sqrt(math.log1p(tasks.spread**2))
    factor = rng.lognormal(-(sigma**2) / 2, sigma, count)
    factor[rng.random(count) < tasks.straggler_share] *= tasks.straggler_factor
    return usual * factor + tasks.overhead_seconds


def prefix_cores(plan: Plan, inputs: Inputs) -> float:
    """How many cores at full speed one prefix can feed."""
    rate = requests_per_image(plan, inputs) / image_seconds(plan, inputs)
    return inputs.s3.get_per_second / rate


def cluster(plan: Plan, inputs: Inputs) -> Cluster:
    """The nodes as they are there when the tasks begin."""
    given = inputs.cluster
    core = min(given.core_nodes, plan.nodes)
    steps = [
        math.ceil(math.log2(max(number + 1, core) / core)) if plan.managed else 0
        for number in range(plan.nodes)
    ]
    return Cluster(
        cores=vcpus(given.size),
        arrivals=[step * given.scale_up_seconds for step in steps],
        spot=[number >= core and not plan.on_demand for number in range(plan.nodes)],
        interruptions=given.interruptions_per_hour / 3600,
        notice=given.notice_seconds,
        replacement=given.replacement_seconds,
        durable=plan.durable,
    )


def aggregation(plan: Plan, inputs: Inputs) -> Aggregation:
    """The tree of partial Gram matrices; Spark ML's is of depth 2 and holds packed triangles."""
    count = partition_count(plan, inputs)
    width = inputs.features.width
    if plan.notebook:
        return tree_aggregation(count, 8 * width * (width + 1) // 2)
    return merged_in_groups(count, inputs.features.gram_bytes, inputs.tasks.merged)


def fit_seconds(plan: Plan, inputs: Inputs) -> float:
    """Adding up the partial sums, and the notebook's passes over the features."""
    if plan.apply:
        return 0.0
    tree, s3 = aggregation(plan, inputs), inputs.s3
    moved = tree.moved / (plan.nodes * s3.node_bytes_per_second)
    sums = sum(tree.levels[:-1]) * inputs.tasks.sum_seconds / cores(plan, inputs)
    last = tree.to_driver / s3.node_bytes_per_second + tree.levels[-1] * inputs.tasks.sum_seconds
    fixed, row = inputs.measured.pca_line("spark-ml" if plan.notebook else "one-pass")
    passes = row * plan.images / used_cores(plan, inputs) if plan.notebook else 0.0
    speed = inputs.instances[plan.instance].speed
    return moved + sums + last + fixed + passes / speed


def project_seconds(plan: Plan, inputs: Inputs, *, one_core: bool = False) -> float:
    """The second pass: read the features, write them with their components."""
    speed = inputs.instances[plan.instance].speed
    work = plan.images * inputs.tasks.project_cpu_seconds / speed
    work += partition_count(plan, inputs) * inputs.tasks.overhead_seconds
    return work if one_core else work / used_cores(plan, inputs)


def used_cores(plan: Plan, inputs: Inputs) -> int:
    return min(cores(plan, inputs), partition_count(plan, inputs))


def request_counts(plan: Plan, inputs: Inputs) -> tuple[float, float]:
    """GET-like and PUT-like requests of the job: images, listing, parts read back and written."""
    s3 = inputs.s3
    pages = listing_seconds(plan, inputs) / s3.list_seconds * min(s3.list_threads, s3.prefixes)
    parts = partition_count(plan, inputs)
    passes = (3 if plan.notebook else 1) if not plan.apply else 0
    read = math.ceil(plan.images * inputs.features.row_bytes / s3.packed_read_bytes) * passes
    return plan.images * requests_per_image(plan, inputs) + read, pages + parts * (1 + bool(passes))


def compute_eur(plan: Plan, inputs: Inputs, stages: list[Stage], phases: dict[str, float]) -> float:
    """Nodes from their boot to the end of the job, and the primary node."""
    given = inputs.cluster
    price = node_price(plan.instance, given.size, inputs)
    core = plan.nodes if plan.on_demand else min(given.core_nodes, plan.nodes)
    before = given.boot_seconds + (0.0 if plan.managed else phases["list"])
    after = phases["fit"] + phases["project"] + phases["end"]
    on_demand = mean(stages, "on_demand_seconds") + core * (before + after)
    spot = mean(stages, "spot_seconds") + (plan.nodes - core) * (before + after)
    spot += mean(stages, "interruptions") * given.boot_seconds
    family, _, size = given.primary.partition(".")
    primary = node_price(family, size, inputs).on_demand
    primary_seconds = sum(phases.values()) - given.start_seconds + given.boot_seconds
    seconds = price.on_demand * on_demand + price.spot * spot + primary * primary_seconds
    return seconds / 3600
