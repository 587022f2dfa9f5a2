"""The roles carry exactly the statements of include/iam, which the rehearsals run under."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from millrace.aws.images import image_of
from millrace.aws.policies import NAMES, policy
from millrace.aws.target import EU_REGIONS
from millrace.infrastructure.policies import POLICIES, TEMPLATES, logical_id, written
from millrace.infrastructure.template import Template
from tests.infrastructure.conftest import EVERYTHING
from tests.infrastructure.evaluate import ACCOUNT, KEY_ID, REGION, STACK, Evaluation

ROLE = f"arn:aws:iam::{ACCOUNT}:role/{STACK}"
VALUES = {
    "Bucket": "our-lake", "Prefix": "lake", "Region": REGION, "AccountId": ACCOUNT,
    "ImageAccount": "492215442770", "SageMakerRole": f"{ROLE}-JobsRole",
    "EmrServiceRole": f"{ROLE}-EmrServiceRole", "EmrJobRole": f"{ROLE}-SparkRole",
    "EmrInstanceRole": f"{ROLE}-SparkRole", "TaskLogGroup": "millrace-tasks",
    "MetricsNamespace": "Millrace", "EventsQueue": "millrace-UploadsQueue",
    "FailuresQueue": "millrace-DeadLetters", "FunctionName": "millrace-on-upload",
    "AthenaWorkgroup": "millrace", "AthenaDatabase": "millrace",
    "EcsCluster": "Cluster", "EcsService": "millrace-Service",
    "EcsFamily": "millrace-service", "EcsTaskRole": f"{ROLE}-ServiceRole",
    "EcsExecutionRole": f"{ROLE}-ServiceStartRole",
    "ServiceRepository": "millrace/service", "ServiceLogGroup": "millrace-service",
    "KmsKey": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{KEY_ID}",
}  # fmt: skip
EMR = "arn:aws:iam::aws:policy/service-role/AmazonEMRServicePolicy_v2"
CARRIED = {
    "WorkerRole": {"worker", "worker-emr", "worker-athena", "worker-ecs", "key"},
    "JobsRole": {"sagemaker", "key"},
    "EmrServiceRole": {EMR, "emr-service", "key"},
    "SparkRole": {"emr-instance", "key"},
    "OnUploadRole": {"lambda", "key"},
    "ServiceRole": {"service"},
    "ServiceStartRole": {"service-start"},
}
TRUSTED = {
    "WorkerRole": {"ec2", EVERYTHING["WorkerPrincipal"]},
    "JobsRole": {"sagemaker"},
    "EmrServiceRole": {"elasticmapreduce"},
    "SparkRole": {"ec2", "emr-serverless"},
    "OnUploadRole": {"lambda"},
    "ServiceRole": {"ecs-tasks"},
    "ServiceStartRole": {"ecs-tasks"},
}


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_says_what_include_iam_says(everything: Evaluation, name: str) -> None:
    made = everything.properties(logical_id(name))["PolicyDocument"]
    assert made["Statement"] == policy(name, VALUES)["Statement"]
    assert made == policy(name, VALUES)


def test_every_shipped_policy_is_there_but_the_one_for_an_own_network() -> None:
    shipped = {name for policies, _ in TEMPLATES.values() for name in policies}
    assert set(NAMES) - shipped == {"sagemaker-network"}


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_a_template_is_written_anew_after_a_change_of_include_iam(path: Path) -> None:
    said = "run `python -m millrace.infrastructure.policies`"
    assert written(path) == path.read_text(encoding="utf-8"), said


def test_each_role_carries_its_policies_and_nothing_else(everything: Evaluation) -> None:
    by_id = {logical_id(name): name for name in POLICIES}
    roles = everything.of_type("AWS::IAM::Role")
    assert all("Policies" not in role for role in roles.values())
    carried = {
        name: {by_id.get(each, each) for each in role["ManagedPolicyArns"]}
        for name, role in roles.items()
    }
    assert carried == CARRIED
    names = {"RoleName", "ManagedPolicyName", "InstanceProfileName"}  # they would need more than
    # CAPABILITY_IAM, and could stand in the way of a second stack
    assert all(names.isdisjoint(each["Properties"]) for each in everything.resources.values())
    others = ("AWS::IAM::Policy", "AWS::IAM::RolePolicy", "AWS::IAM::User", "AWS::IAM::Group")
    assert all(everything.of_type(kind) == {} for kind in others)


def trusted(statement: dict[str, Any]) -> str:
    (who,) = statement["Principal"].values()
    return who.removesuffix(".amazonaws.com")


def test_each_role_is_taken_on_by_its_service_alone(everything: Evaluation) -> None:
    documents = {
        name: role["AssumeRolePolicyDocument"]["Statement"]
        for name, role in everything.of_type("AWS::IAM::Role").items()
    }
    assert {name: {trusted(each) for each in said} for name, said in documents.items()} == TRUSTED
    assert {each["Action"] for said in documents.values() for each in said} == {"sts:AssumeRole"}


def test_nobody_but_ec2_is_trusted_with_airflows_role_unless_named(least: Evaluation) -> None:
    document = least.properties("WorkerRole")["AssumeRolePolicyDocument"]
    assert [trusted(each) for each in document["Statement"]] == ["ec2"]


def test_images_come_from_awss_own_accounts(template: Template) -> None:
    said = template.sections["Mappings"]["Regions"]
    assert said == {
        region: {"ImageAccount": image_of(algorithm, region).partition(".")[0]}
        for region in EU_REGIONS
        for algorithm in ("xgboost", "lightgbm")
    }
