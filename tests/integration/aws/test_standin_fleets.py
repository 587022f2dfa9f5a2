"""What the stand-in refuses of instance fleets and scaling, as EMR does."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest

from millrace.aws.emr import cluster_request, spark_step
from millrace.aws.emr_target import EmrSettings
from millrace.aws.target import AwsSettings
from tests.integration.aws.standin.answers import AwsError
from tests.integration.aws.standin.fleets import check_instances, fleet_of

TARGET = AwsSettings(region="eu-west-3", emr=EmrSettings(service_role="r", instance_profile="p"))
REQUEST = cluster_request(
    TARGET, images=10_000_000, log_uri="s3://lake/logs/", tags=[],
    step={"Name": "x", **spark_step(TARGET, script="s", siblings="z", archive="a", arguments=[])},
)  # fmt: skip


def changed(*path: Any, to: Any) -> dict[str, Any]:
    request = copy.deepcopy(REQUEST)
    place: Any = request
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = to
    return request


FLEETS = ("Instances", "InstanceFleets")
TYPES = [{"InstanceType": f"c{n}i.xlarge"} for n in range(31)]
LIMITS = ("ManagedScalingPolicy", "ComputeLimits")


def test_what_the_pipeline_asks_for_is_taken() -> None:
    check_instances(REQUEST)
    described = [fleet_of(each) for each in REQUEST["Instances"]["InstanceFleets"]]
    assert [each["InstanceFleetType"] for each in described] == ["MASTER", "CORE", "TASK"]
    assert described[2]["ProvisionedSpotCapacity"] == 56


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (changed(*FLEETS, to=REQUEST["Instances"]["InstanceFleets"][1:]), "A master instance"),
        (changed("Instances", "InstanceGroups", to=[{}]), "not both"),
        (changed(*FLEETS, 0, "TargetOnDemandCapacity", to=2), "must be 1"),
        (changed(*FLEETS, 1, "TargetOnDemandCapacity", to=0), "must be at least 1"),
        (changed(*FLEETS, 1, "InstanceTypeConfigs", to=TYPES), "31 types, at most 30"),
        (changed(*FLEETS, 1, "InstanceTypeConfigs", to=TYPES[:1] * 2), "names a type twice"),
        (changed(*FLEETS, 2, "LaunchSpecifications", to={}), "5 types|SpotSpecification"),
        (changed(*LIMITS, "UnitType", to="Instances"), "InstanceFleetUnits"),
        (changed(*LIMITS, "MinimumCapacityUnits", to=100), "MinimumCapacityUnits"),
        (changed(*LIMITS, "MaximumCoreCapacityUnits", to=100), "MaximumCoreCapacityUnits"),
        (changed("AutoTerminationPolicy", "IdleTimeout", to=10), "idle timeout 10"),
    ],
)
def test_what_emr_refuses_is_refused(request_: dict[str, Any], said: str) -> None:
    with pytest.raises(AwsError) as found:
        check_instances(request_)
    assert re.search(said, str(vars(found.value)))
