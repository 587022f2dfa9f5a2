"""The figures the study starts from: `inputs.json` as one frozen value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

BUILT_IN = Path(__file__).with_name("inputs.json")


@dataclass(frozen=True)
class Instance:
    """A family of EC2 instances.

    Attributes:
        speed: of a vCPU, in measured cores.
        precision: the fastest that keeps the features and that the CPU offers.
        usd_per_large: EC2 price of an hour of the size `large`, where the price file has none.
    """

    speed: float
    precision: str
    gb_per_vcpu: float
    usd_per_large: float | None = None


@dataclass(frozen=True)
class Measured:
    """What was measured, per core. Rates are images a CPU-second by precision."""

    images_per_cpu_second: Mapping[str, float]
    inference_per_cpu_second: Mapping[str, float]
    decode_per_cpu_second: float
    bytes_per_image: float
    pca_cpu_seconds: Mapping[str, Mapping[str, float]]
    worker_memory_gb: float
    notebook_memory_gb: float
    notebook_partitions: int

    def pca_line(self, method: str) -> tuple[float, float]:
        """Fixed CPU-seconds of a fit and those a row, through the two measured sizes."""
        (few, low), (many, high) = sorted(
            (int(rows), seconds) for rows, seconds in self.pca_cpu_seconds[method].items()
        )
        slope = (high - low) / (many - few)
        return low - slope * few, slope


@dataclass(frozen=True)
class Features:
    width: int
    components: int

    @property
    def gram_bytes(self) -> int:
        """A partial sum of a partition: width x width in double precision."""
        return 8 * self.width**2

    @property
    def row_bytes(self) -> int:
        """An image's features in single precision."""
        return 4 * self.width


@dataclass(frozen=True)
class Tasks:
    """How the job cuts its work into tasks, and how long they take.

    Attributes:
        per_core: tasks a core at least, so that cores end together.
        most_images: in a task.
        most_partitions: the job makes, unless more are asked for.
        spread: standard deviation of a task's time as a share of it (log-normal).
        project_cpu_seconds: reading, projecting and writing a row in the second pass.
        sum_seconds: unpacking and adding one partial Gram matrix.
        merged: partial sums that a task of the job merges into one.
    """

    per_core: int
    most_images: int
    most_partitions: int
    overhead_seconds: float
    spread: float
    straggler_share: float
    straggler_factor: float
    project_cpu_seconds: float
    sum_seconds: float
    merged: int


@dataclass(frozen=True)
class S3:
    """Limits, times and prices of S3. `get_per_second` is for one partitioned prefix."""

    get_per_second: float
    prefixes: int
    requests_per_image: float
    request_cpu_seconds: float
    latency_seconds: float
    in_flight: int
    packed_object_bytes: int
    packed_read_bytes: int
    list_page: int
    list_seconds: float
    list_threads: int
    list_bytes_per_image: float
    node_bytes_per_second: float
    usd_per_1000_get: float
    usd_per_1000_put: float
    usd_per_gb_month: float


@dataclass(frozen=True)
class ClusterInputs:
    """A transient EMR cluster. Prices in US dollars, times in seconds."""

    region: str
    instance: str
    size: str
    primary: str
    core_nodes: int
    start_seconds: float
    boot_seconds: float
    scale_up_seconds: float
    end_seconds: float
    interruptions_per_hour: float
    notice_seconds: float
    replacement_seconds: float
    spot_price: float
    emr_surcharge: float
    emr_surcharge_cap_usd: float
    ebs_usd_per_node_hour: float
    usd_to_eur: float


@dataclass(frozen=True)
class Elsewhere:
    """EMR Serverless and a single machine."""

    serverless_start_seconds: float
    serverless_gb_per_vcpu: float
    serverless_speed: float
    serverless_precision: str
    machine_start_seconds: float


@dataclass(frozen=True)
class Inputs:
    measured: Measured
    features: Features
    tasks: Tasks
    s3: S3
    cluster: ClusterInputs
    elsewhere: Elsewhere
    instances: Mapping[str, Instance]

    def with_(self, part: str, **changes: Any) -> Inputs:
        """The same with some figures of one part changed."""
        return replace(self, **{part: replace(getattr(self, part), **changes)})


def load(path: Path = BUILT_IN) -> Inputs:
    """Read the inputs.

    Raises:
        ValueError: a part or a figure is missing or unknown; the message names the file.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return Inputs(
            measured=Measured(**data["measured"]),
            features=Features(**data["features"]),
            tasks=Tasks(**data["tasks"]),
            s3=S3(**data["s3"]),
            cluster=ClusterInputs(**data["cluster"]),
            elsewhere=Elsewhere(**data["elsewhere"]),
            instances={name: Instance(**entry) for name, entry in data["instances"].items()},
        )
    except (OSError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{path} cannot be used: {error!r}; compare it with {BUILT_IN.name}"
        ) from None
