"""The settings of Spark on AWS: what is taken, what is refused, what is missing."""

from __future__ import annotations

import pytest

from millrace.aws.emr_target import INSTANCES, EmrSettings, vcpus
from millrace.settings import Settings
from millrace.variables import SettingsError

ROLE = "arn:aws:iam::123456789012:role/emr"
AWS = {
    "MILLRACE_LAKE": "s3://our-lake/lake", "MILLRACE_AWS_REGION": "eu-central-1",
    "MILLRACE_SAGEMAKER_ROLE": "arn:aws:iam::123456789012:role/jobs",
}  # fmt: skip
CLUSTER = {"MILLRACE_EMR_SERVICE_ROLE": ROLE, "MILLRACE_EMR_INSTANCE_PROFILE": "machines"}
SERVERLESS = {"MILLRACE_EMR_SERVERLESS_APPLICATION": "00f1abc", "MILLRACE_EMR_JOB_ROLE": ROLE}


def test_defaults() -> None:
    assert EmrSettings.from_environment({}) == EmrSettings()
    assert EmrSettings().instances == INSTANCES and not EmrSettings().serverless


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MILLRACE_EMR_SERVICE_ROLE", "emr"),
        ("MILLRACE_EMR_INSTANCE_PROFILE", "arn:aws:iam::123456789012:role/machines"),
        ("MILLRACE_EMR_RELEASE", "7.13.0"),
        ("MILLRACE_EMR_INSTANCES", "ml.m5.large"),
        ("MILLRACE_EMR_INSTANCES", "c7i.2xlarge,c7i.2xlarge"),
        ("MILLRACE_EMR_INSTANCES", ",".join(f"c{n}i.xlarge" for n in range(31))),
        ("MILLRACE_EMR_MAX_VCPUS", "many"),
        ("MILLRACE_EMR_MAX_VCPUS", "8"),
        ("MILLRACE_EMR_SECURITY_CONFIGURATION", "a\nb"),
        ("MILLRACE_SPARK_ARCHIVE", "/tmp/deps.tar.gz"),
        ("MILLRACE_SPARK_ARCHIVE", "s3://our-lake/deps.tar.gz#deps"),
        ("MILLRACE_EMR_SERVERLESS_APPLICATION", "my application"),
        ("MILLRACE_EMR_JOB_ROLE", "runs"),
        ("MILLRACE_SPARK_MEMORY", "lots"),
    ],
)
def test_what_cannot_be_used_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.from_environment({name: value})


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (AWS, ["MILLRACE_EMR_SERVICE_ROLE", "MILLRACE_EMR_INSTANCE_PROFILE"]),
        (CLUSTER, ["MILLRACE_LAKE", "MILLRACE_AWS_REGION", "MILLRACE_SAGEMAKER_ROLE"]),
        (AWS | {"MILLRACE_EMR_SERVERLESS_APPLICATION": "00f1abc"}, ["MILLRACE_EMR_JOB_ROLE"]),
        ({}, ["MILLRACE_LAKE", "MILLRACE_EMR_SERVICE_ROLE"]),
    ],
)
def test_what_is_missing_is_named_before_the_first_call(
    values: dict[str, str], named: list[str]
) -> None:
    with pytest.raises(SettingsError) as found:
        Settings.from_environment(values).emr_target()
    assert all(name in str(found.value) for name in named)


@pytest.mark.parametrize("more", [CLUSTER, SERVERLESS])
def test_a_cluster_or_an_application_will_do(more: dict[str, str]) -> None:
    target = Settings.from_environment(AWS | more).emr_target()
    assert target.emr.serverless == (more is SERVERLESS)


def test_tables_need_nothing_of_it() -> None:
    assert Settings.from_environment(AWS).has_aws_target


@pytest.mark.parametrize(
    ("instance", "count"), [("m5.xlarge", 4), ("c7i.2xlarge", 8), ("r5.24xlarge", 96)]
)
def test_vcpus(instance: str, count: int) -> None:
    assert vcpus(instance) == count
