"""The AWS settings: every value is checked, and the errors say what to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from millrace.aws.images import regions
from millrace.aws.target import ADEQUATE, EU_REGIONS, AwsSettings
from millrace.variables import SettingsError

KEY = "arn:aws:kms:eu-central-1:123456789012:key/0d990263-018e-4e65-a703-eff731de951e"


def test_nothing_set_is_no_aws() -> None:
    assert AwsSettings.from_environment({}) is None
    assert AwsSettings.from_environment({"MILLRACE_AWS_CONNECTION": "ours"}) is None


def test_defaults() -> None:
    found = AwsSettings.from_environment({"MILLRACE_AWS_REGION": "eu-west-1"})
    assert found == AwsSettings(region="eu-west-1")
    assert found.training_instance == found.transform_instance == "ml.m5.large"
    assert (found.spot, found.volume, found.metrics_namespace) == (False, 10, "Millrace")


def test_everything_set(tmp_path: Path) -> None:
    prices = tmp_path / "prices.json"
    prices.touch()
    image = "123456789012.dkr.ecr.eu-west-3.amazonaws.com/mirror/xgboost:3.2"
    found = AwsSettings.from_environment(
        {
            "MILLRACE_AWS_REGION": "eu-west-3",
            "MILLRACE_SAGEMAKER_ROLE": "arn:aws:iam::123456789012:role/service-role/jobs",
            "MILLRACE_TRAINING_INSTANCE": "ml.m7i.2xlarge",
            "MILLRACE_TRANSFORM_INSTANCE": "ml.c5.xlarge",
            "MILLRACE_TRAINING_VOLUME": "50",
            "MILLRACE_SPOT": "yes",
            "MILLRACE_KMS_KEY": KEY,
            "MILLRACE_SUBNETS": "subnet-0a1b2c3d, subnet-0123456789abcdef0",
            "MILLRACE_SECURITY_GROUPS": "sg-0a1b2c3d",
            "MILLRACE_XGBOOST_IMAGE": image,
            "MILLRACE_EVENTS_QUEUE": "https://sqs.eu-west-3.amazonaws.com/123456789012/uploads",
            "MILLRACE_METRICS_NAMESPACE": "Team/Millrace",
            "MILLRACE_PRICES": str(prices),
        }
    )
    assert found == AwsSettings(
        "eu-west-3", "arn:aws:iam::123456789012:role/service-role/jobs", "ml.m7i.2xlarge",
        "ml.c5.xlarge", True, 50, KEY, ("subnet-0a1b2c3d", "subnet-0123456789abcdef0"),
        ("sg-0a1b2c3d",), {"xgboost": image},
        "https://sqs.eu-west-3.amazonaws.com/123456789012/uploads", "Team/Millrace", prices,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "write"),
    [
        ("MILLRACE_SAGEMAKER_ROLE", "jobs", "arn:aws:iam::<account>:role/<name>"),
        ("MILLRACE_SAGEMAKER_ROLE", "arn:aws:iam::12:role/jobs", "write the ARN of a role"),
        ("MILLRACE_SAGEMAKER_ROLE", "arn:aws:iam::123456789012:user/me", "write the ARN of a role"),
        ("MILLRACE_TRAINING_INSTANCE", "m5.large", "such as ml.m5.large"),
        ("MILLRACE_TRANSFORM_INSTANCE", "ml.m5", "such as ml.m5.large"),
        ("MILLRACE_TRAINING_VOLUME", "0", "write whole gigabytes, such as 10"),
        ("MILLRACE_TRAINING_VOLUME", "1.5", "write whole gigabytes, such as 10"),
        ("MILLRACE_SPOT", "true", "write yes or no"),
        ("MILLRACE_ALLOW_REGION_OUTSIDE_EU", "1", "write yes or no"),
        ("MILLRACE_KMS_KEY", "my key", "an alias does not do"),
        ("MILLRACE_SUBNETS", "subnet-1,vpc-0a1b2c3d", "write subnet-<id>"),
        ("MILLRACE_SECURITY_GROUPS", "default", "write sg-<id>"),
        ("MILLRACE_XGBOOST_IMAGE", "xgboost:latest", "write an image in ECR"),
        ("MILLRACE_SKLEARN_IMAGE", "docker.io/library/x:1", "write an image in ECR"),
        ("MILLRACE_EVENTS_QUEUE", "uploads", "write the URL of a queue"),
        ("MILLRACE_METRICS_NAMESPACE", "AWS/Millrace", "not beginning with AWS/"),
        ("MILLRACE_PRICES", "/nowhere/prices.json", "there is no such file"),
    ],
)
def test_what_cannot_be_used_is_named(name: str, text: str, write: str) -> None:
    with pytest.raises(SettingsError) as found:
        AwsSettings.from_environment({name: text})
    assert str(found.value).startswith(name)
    assert write in str(found.value)


def test_subnets_and_security_groups_belong_together() -> None:
    with pytest.raises(SettingsError, match="MILLRACE_SECURITY_GROUPS belong together"):
        AwsSettings.from_environment({"MILLRACE_SUBNETS": "subnet-0a1b2c3d"})


@pytest.mark.parametrize("region", sorted(EU_REGIONS))
def test_every_region_of_the_eu_is_taken_and_has_containers(region: str) -> None:
    found = AwsSettings.from_environment({"MILLRACE_AWS_REGION": region})
    assert found and found.region == region
    assert region in regions()


@pytest.mark.parametrize("region", ["us-east-1", *ADEQUATE])
def test_a_region_outside_the_eu_must_be_allowed(region: str) -> None:
    with pytest.raises(SettingsError, match="set MILLRACE_ALLOW_REGION_OUTSIDE_EU=yes") as found:
        AwsSettings.from_environment({"MILLRACE_AWS_REGION": region})
    assert ("adequacy" in str(found.value)) == (region in ADEQUATE)
    allowed = {"MILLRACE_AWS_REGION": region, "MILLRACE_ALLOW_REGION_OUTSIDE_EU": "yes"}
    settings = AwsSettings.from_environment(allowed)
    assert settings and settings.region == region


@pytest.mark.parametrize("region", ["eu-central-9", "frankfurt", "EU-CENTRAL-1", "us-gov-west-1"])
def test_an_unknown_region_is_refused_even_when_all_are_allowed(region: str) -> None:
    values = {"MILLRACE_AWS_REGION": region, "MILLRACE_ALLOW_REGION_OUTSIDE_EU": "yes"}
    with pytest.raises(SettingsError, match="no known region; write one of eu-central-1"):
        AwsSettings.from_environment(values)


def test_every_known_region_is_one_of_botocores() -> None:
    import botocore.session

    session = botocore.session.get_session()
    assert regions() <= set(session.get_available_regions("s3"))
    assert {name for name in session.get_available_regions("s3") if name.startswith("eu-")} == (
        EU_REGIONS | set(ADEQUATE)
    )
