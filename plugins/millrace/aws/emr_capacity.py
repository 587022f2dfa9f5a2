"""How many machines a Spark job gets on AWS, how long it takes, and what they cost.

A unit of capacity is a vCPU.
"""

from __future__ import annotations

import math
from typing import Any

from millrace.aws.emr_target import EmrSettings, vcpus
from millrace.aws.prices import hourly, serverless_hourly
from millrace.aws.target import AwsSettings

# The machine that runs EMR itself; it computes nothing.
MASTERS = ("m7i.xlarge", "m6i.xlarge", "m5.xlarge")
SPOT_WAIT = 15  # minutes for spot capacity, after which the machines are taken on demand
CORES, EXECUTOR_GB = 4, 5  # of one executor
IMAGES_PER_VCPU = 40.0  # images a second; a vCPU is half a core
ROWS_PER_VCPU = 200.0  # rows a second that get a score with its reasons; the same
WORTHWHILE = 600.0  # seconds that the machines shall have to do, for they take minutes to start
STARTING = 420.0  # seconds until a cluster can work


def fleets(emr: EmrSettings, images: int, rate: float = IMAGES_PER_VCPU) -> list[dict[str, Any]]:
    """The three instance fleets; a unit of capacity is a vCPU.

    Args:
        images: how many there are to compute, or how many of what else.
        rate: how many of them a vCPU does in a second.
    """
    core = core_units(emr)
    task = max(0, units_for(emr, images, rate) - core)
    on_demand = {"OnDemandSpecification": {"AllocationStrategy": "lowest-price"}}
    spot = {
        "SpotSpecification": {
            "TimeoutDurationMinutes": SPOT_WAIT,
            "TimeoutAction": "SWITCH_TO_ON_DEMAND",
            "AllocationStrategy": "price-capacity-optimized",
        }
    }
    types = [{"InstanceType": each, "WeightedCapacity": vcpus(each)} for each in emr.instances]
    found: list[dict[str, Any]] = [
        {
            "Name": "master", "InstanceFleetType": "MASTER", "TargetOnDemandCapacity": 1,
            "InstanceTypeConfigs": [{"InstanceType": each} for each in MASTERS],
            "LaunchSpecifications": on_demand,
        },
        {
            "Name": "core", "InstanceFleetType": "CORE", "TargetOnDemandCapacity": core,
            "InstanceTypeConfigs": types, "LaunchSpecifications": on_demand,
        },
    ]  # fmt: skip
    if task:
        found.append(
            {
                "Name": "task", "InstanceFleetType": "TASK", "TargetSpotCapacity": task,
                "InstanceTypeConfigs": types, "LaunchSpecifications": spot,
            }
        )  # fmt: skip
    return found


def core_units(emr: EmrSettings) -> int:
    """vCPUs of the core fleet: one machine of any of the types."""
    return min(vcpus(each) for each in emr.instances)


def units_for(emr: EmrSettings, images: int, rate: float = IMAGES_PER_VCPU) -> int:
    """The vCPUs to begin with: as many as have ten minutes to do, within the limits."""
    wanted = math.ceil(images / (rate * WORTHWHILE))
    return max(core_units(emr), min(emr.max_vcpus, wanted))


def seconds_for(emr: EmrSettings, images: int, rate: float = IMAGES_PER_VCPU) -> float:
    """Estimate of what a job takes, from an empty account to its last file."""
    return STARTING + images / (rate * units_for(emr, images, rate))


def cluster_hourly(target: AwsSettings, units: int) -> float | None:
    """Price of an hour with so many vCPUs at work, all on demand: spot capacity costs less.

    The dearest of the types that have a price counts; None where none has.
    """
    emr, region = target.emr, target.region

    def price(instance: str) -> float | None:
        return hourly("emr_step", instance, region, own=target.prices)

    a_unit = [found / vcpus(each) for each in emr.instances if (found := price(each)) is not None]
    masters = [found for each in MASTERS if (found := price(each)) is not None]
    if not a_unit or not masters:
        return None
    return max(masters) + max(a_unit) * units


def serverless_price(target: AwsSettings, units: int) -> float | None:
    """Price of an hour of EMR Serverless with so many vCPUs at work."""
    gigabytes = units / CORES * EXECUTOR_GB
    return serverless_hourly(units, gigabytes, target.region, own=target.prices)


def limits(emr: EmrSettings) -> dict[str, Any]:
    """Managed scaling: the core fleet stays, spot machines come and go with the work."""
    core = core_units(emr)
    return {
        "UnitType": "InstanceFleetUnits",
        "MinimumCapacityUnits": core,
        "MaximumCapacityUnits": emr.max_vcpus,
        "MaximumOnDemandCapacityUnits": core,
        "MaximumCoreCapacityUnits": core,
    }
