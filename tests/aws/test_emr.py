"""What EMR is asked to do: bodies that fit AWS's own service model, and what they say."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any

import pytest

from millrace.aws.emr import PYTHON, cluster_request, serverless_run, spark_step
from millrace.aws.emr_capacity import (
    STARTING,
    cluster_hourly,
    core_units,
    fleets,
    seconds_for,
    serverless_price,
    units_for,
)
from millrace.aws.emr_target import EmrSettings, vcpus
from millrace.aws.prices import hourly
from millrace.aws.target import EU_REGIONS, AwsSettings
from tests.aws.service_model import problems_of

TAGS = [{"Key": "project", "Value": "millrace"}, {"Key": "dataset", "Value": "fruits"}]
SENT = {
    "script": "s3://lake/jobs/sent/0a/image_features.py",
    "siblings": "s3://lake/jobs/sent/0b/modules.zip",
    "archive": "s3://lake/environments/spark.tar.gz",
    "arguments": ["--images", "s3://lake/raw/fruits/a b", "--components", "100"],
}
FULL = {
    "MILLRACE_AWS_REGION": "eu-west-1",
    "MILLRACE_EMR_SERVICE_ROLE": "arn:aws:iam::123456789012:role/emr",
    "MILLRACE_EMR_INSTANCE_PROFILE": "arn:aws:iam::123456789012:instance-profile/machines",
    "MILLRACE_EMR_SECURITY_CONFIGURATION": "encrypted",
    "MILLRACE_EMR_SERVERLESS_APPLICATION": "00f1abcde2fg3h45",
    "MILLRACE_EMR_JOB_ROLE": "arn:aws:iam::123456789012:role/runs",
    "MILLRACE_KMS_KEY": "arn:aws:kms:eu-west-1:123456789012:key/0d990263-018e-4e65",
    "MILLRACE_SUBNETS": "subnet-0a1b2c3d,subnet-0a1b2c3e",
    "MILLRACE_SECURITY_GROUPS": "sg-0a1b2c3d",
}
LEAST = {name: FULL[name] for name in list(FULL)[:3]}


def target_of(values: dict[str, str]) -> AwsSettings:
    found = AwsSettings.from_environment(values)
    assert found
    return found


def cluster(values: dict[str, str] = LEAST, images: int = 3840) -> dict[str, Any]:
    target = target_of(values)
    step = {"Name": "millrace-x-{try}", **spark_step(target, **SENT)}  # type: ignore[arg-type]
    return cluster_request(
        target, step=step, images=images, log_uri="s3://lake/jobs/logs/", tags=TAGS
    )


@pytest.mark.parametrize("values", [LEAST, FULL])
@pytest.mark.parametrize("images", [1, 3840, 10_000_000])
def test_a_cluster_fits_the_service_model(values: dict[str, str], images: int) -> None:
    assert problems_of("emr", "RunJobFlow", {"Name": "x", **cluster(values, images)}) == []


@pytest.mark.parametrize("values", [LEAST, FULL])
def test_a_step_fits_the_service_model(values: dict[str, str]) -> None:
    step = {"Name": "x", **spark_step(target_of(values), **SENT)}  # type: ignore[arg-type]
    assert problems_of("emr", "AddJobFlowSteps", {"JobFlowId": "j-1", "Steps": [step]}) == []


def test_a_serverless_run_fits_the_service_model() -> None:
    body = serverless_run(target_of(FULL), **SENT, log_uri="s3://lake/jobs/logs", tags=TAGS)  # type: ignore[arg-type]
    rest = {"applicationId": "00f1abcde2fg3h45", "clientToken": "t", "name": "x"}
    assert problems_of("emr-serverless", "StartJobRun", {**rest, **body}) == []
    driver = body["jobDriver"]["sparkSubmit"]
    assert driver["entryPointArguments"] == SENT["arguments"]
    words = shlex.split(driver["sparkSubmitParameters"])
    assert f"spark.emr-serverless.driverEnv.PYSPARK_DRIVER_PYTHON={PYTHON}" in words
    assert f"spark.executorEnv.PYSPARK_PYTHON={PYTHON}" in words
    assert f"spark.archives={SENT['archive']}#deps" in words
    assert "spark.dynamicAllocation.maxExecutors=16" in words


def test_the_cluster_ends_by_itself_in_three_ways() -> None:
    body = cluster()
    assert body["Instances"]["KeepJobFlowAliveWhenNoSteps"] is False
    assert body["Steps"][0]["ActionOnFailure"] == "TERMINATE_CLUSTER"
    assert body["AutoTerminationPolicy"] == {"IdleTimeout": 900}
    assert body["Instances"]["TerminationProtected"] is False


def test_its_step_is_there_from_the_beginning() -> None:
    (step,) = cluster()["Steps"]
    words = step["HadoopJarStep"]["Args"]
    assert step["HadoopJarStep"]["Jar"] == "command-runner.jar"
    assert words[:5] == ["spark-submit", "--master", "yarn", "--deploy-mode", "cluster"]
    assert words[-len(SENT["arguments"]) :] == SENT["arguments"]
    assert f"spark.yarn.appMasterEnv.PYSPARK_PYTHON={PYTHON}" in words
    assert "spark.executorEnv.AWS_REGION=eu-west-1" in words


def test_what_is_set_is_asked_for() -> None:
    body = cluster(FULL)
    assert body["SecurityConfiguration"] == "encrypted"
    assert body["LogEncryptionKmsKeyId"] == FULL["MILLRACE_KMS_KEY"]
    assert body["Instances"]["Ec2SubnetIds"] == ["subnet-0a1b2c3d", "subnet-0a1b2c3e"]
    assert body["Instances"]["AdditionalSlaveSecurityGroups"] == ["sg-0a1b2c3d"]
    assert (body["ServiceRole"], body["JobFlowRole"]) == (
        FULL["MILLRACE_EMR_SERVICE_ROLE"], FULL["MILLRACE_EMR_INSTANCE_PROFILE"],
    )  # fmt: skip
    assert body["Tags"][:2] == TAGS
    assert {"Key": "for-use-with-amazon-emr-managed-policies", "Value": "true"} in body["Tags"]
    bare = cluster()
    assert not {"SecurityConfiguration", "LogEncryptionKmsKeyId"} & set(bare)
    assert "Ec2SubnetIds" not in bare["Instances"]


class TestFleets:
    EMR = EmrSettings(max_vcpus=64)

    def of(self, images: int) -> dict[str, dict[str, Any]]:
        return {each["InstanceFleetType"]: each for each in fleets(self.EMR, images)}

    def test_a_few_images_need_one_machine_besides_the_master(self) -> None:
        found = self.of(3840)
        assert set(found) == {"MASTER", "CORE"}
        assert found["CORE"]["TargetOnDemandCapacity"] == 8

    def test_many_images_get_spot_machines_up_to_the_limit(self) -> None:
        found = self.of(10_000_000)
        assert found["TASK"]["TargetSpotCapacity"] == 64 - 8
        spot = found["TASK"]["LaunchSpecifications"]["SpotSpecification"]
        assert spot["TimeoutAction"] == "SWITCH_TO_ON_DEMAND"
        assert spot["AllocationStrategy"] == "price-capacity-optimized"
        assert "TargetSpotCapacity" not in found["CORE"]

    def test_a_unit_is_a_vcpu(self) -> None:
        for each in self.of(10_000_000)["TASK"]["InstanceTypeConfigs"]:
            assert each["WeightedCapacity"] == vcpus(each["InstanceType"])

    def test_units_follow_the_images(self) -> None:
        found = [units_for(self.EMR, images) for images in (1, 240_000, 480_000, 10**7)]
        assert found == [8, 10, 20, 64]
        assert seconds_for(self.EMR, 1) == pytest.approx(STARTING, abs=1)
        assert seconds_for(self.EMR, 10**7) == pytest.approx(STARTING + 10**7 / (40 * 64))

    def test_scaling_stays_within_the_limit(self) -> None:
        limits = cluster(LEAST | {"MILLRACE_EMR_MAX_VCPUS": "32"})["ManagedScalingPolicy"]
        assert limits["ComputeLimits"] == {
            "UnitType": "InstanceFleetUnits", "MinimumCapacityUnits": 8,
            "MaximumCapacityUnits": 32, "MaximumOnDemandCapacityUnits": 8,
            "MaximumCoreCapacityUnits": 8,
        }  # fmt: skip


class TestPrices:
    @pytest.mark.parametrize("region", sorted(EU_REGIONS))
    def test_the_default_machines_have_a_price(self, region: str) -> None:
        target = AwsSettings(region=region)
        assert all(hourly("emr_step", each, region) for each in target.emr.instances)
        one, eight = cluster_hourly(target, core_units(target.emr)), cluster_hourly(target, 64)
        assert one and eight and 0.3 < one < eight < 10
        assert (serverless_price(target, 8) or 0) > 0

    def test_the_dearest_type_counts(self) -> None:
        target = AwsSettings(
            region="eu-west-1", emr=EmrSettings(instances=("c7i.2xlarge", "r7i.2xlarge"))
        )
        alone = replace(target, emr=EmrSettings(instances=("r7i.2xlarge",)))
        assert cluster_hourly(target, 8) == cluster_hourly(alone, 8)

    def test_types_without_a_price_have_none(self) -> None:
        emr = EmrSettings(instances=("x9z.2xlarge",))
        assert cluster_hourly(AwsSettings(region="eu-west-1", emr=emr), 8) is None
        assert cluster_hourly(AwsSettings(region="us-east-1"), 8) is None
