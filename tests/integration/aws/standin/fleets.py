"""Instance fleets and scaling of EMR: what EMR refuses beyond the types of its API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.integration.aws.standin.answers import AwsError

MOST_TYPES = {True: 30, False: 5}  # in a fleet with an allocation strategy, and without
CAPACITY = ("TargetOnDemandCapacity", "TargetSpotCapacity")


def check_instances(request: Mapping[str, Any]) -> None:
    """Refuse a request that EMR would refuse.

    Raises:
        AwsError: with the first thing that is wrong.
    """
    if wrong := next(_problems(request), None):
        raise AwsError("ValidationException", wrong)


def fleet_of(asked: Mapping[str, Any]) -> dict[str, Any]:
    """A fleet as EMR describes it, with all it was asked for."""
    provisioned = {
        f"Provisioned{name.removeprefix('Target')}": asked.get(name, 0) for name in CAPACITY
    }
    types = [{**each, "WeightedCapacity": each.get("WeightedCapacity", 1)}
             for each in asked["InstanceTypeConfigs"]]  # fmt: skip
    return {
        "Id": f"if-{asked['InstanceFleetType']}", "Name": asked.get("Name", ""),
        "InstanceFleetType": asked["InstanceFleetType"], "Status": {"State": "RUNNING"},
        "InstanceTypeSpecifications": types, **provisioned,
        **{name: asked.get(name, 0) for name in CAPACITY},
        **{key: asked[key] for key in ("LaunchSpecifications",) if key in asked},
    }  # fmt: skip


def _problems(request: Mapping[str, Any]) -> Iterator[str]:
    instances = request["Instances"]
    fleets, groups = instances.get("InstanceFleets"), instances.get("InstanceGroups")
    if fleets and groups:
        yield "Please specify either instance groups or instance fleets, not both."
    if fleets and "Ec2SubnetId" in instances:
        yield "Ec2SubnetId is not supported with instance fleets; use Ec2SubnetIds."
    names = [fleet["InstanceFleetType"] for fleet in fleets or []]
    if fleets and "MASTER" not in names:
        yield "A master instance fleet must be specified."
    if len(set(names)) < len(names):
        yield "At most one instance fleet of each type can be specified."
    for fleet in fleets or []:
        yield from _of_fleet(fleet)
    scaling = request.get("ManagedScalingPolicy", {}).get("ComputeLimits")
    if scaling:
        yield from _of_limits(scaling, bool(fleets))
    idle = request.get("AutoTerminationPolicy", {}).get("IdleTimeout", 3600)
    if not 60 <= idle <= 604800:
        yield f"The idle timeout {idle} must be between 60 and 604800 seconds."


def _of_fleet(fleet: Mapping[str, Any]) -> Iterator[str]:
    name, types = fleet["InstanceFleetType"], fleet.get("InstanceTypeConfigs", [])
    on_demand, spot = (fleet.get(kind, 0) for kind in CAPACITY)
    if name == "MASTER" and on_demand + spot != 1:
        yield "The target capacity of the master instance fleet must be 1."
    if on_demand + spot < 1:
        yield f"The target capacity of the instance fleet {name} must be at least 1."
    launch = fleet.get("LaunchSpecifications", {})
    strategy = any("AllocationStrategy" in spec for spec in launch.values())
    if not 1 <= len(types) <= MOST_TYPES[strategy]:
        yield f"The instance fleet {name} has {len(types)} types, at most {MOST_TYPES[strategy]}."
    if len({each["InstanceType"] for each in types}) < len(types):
        yield f"The instance fleet {name} names a type twice."
    if spot and "SpotSpecification" not in launch:
        yield f"The instance fleet {name} needs a SpotSpecification."


def _of_limits(limits: Mapping[str, Any], fleets: bool) -> Iterator[str]:
    if (limits["UnitType"] == "InstanceFleetUnits") != fleets:
        yield "InstanceFleetUnits is the unit of clusters with instance fleets, and of no others."
    low, high = limits["MinimumCapacityUnits"], limits["MaximumCapacityUnits"]
    if not 1 <= low <= high:
        yield "MinimumCapacityUnits must be at least 1 and at most MaximumCapacityUnits."
    for name in ("MaximumOnDemandCapacityUnits", "MaximumCoreCapacityUnits"):
        if not 0 <= limits.get(name, high) <= high:
            yield f"{name} must be at most MaximumCapacityUnits."
