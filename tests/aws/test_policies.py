"""The shipped IAM policies: valid, filled in, and no wider than there is a reason for."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from millrace.aws.policies import FOLDER, NAMES, PolicyError, main, placeholders, policy
from tests.aws.service_model import service_model

VALUES = {
    "Bucket": "lake", "Prefix": "millrace", "Region": "eu-central-1", "AccountId": "123456789012",
    "SageMakerRole": "arn:aws:iam::123456789012:role/jobs", "TaskLogGroup": "/millrace/tasks",
    "MetricsNamespace": "Millrace", "EventsQueue": "millrace-uploads",
    "ImageAccount": "492215442770", "FunctionName": "millrace-preprocess",
    "FailuresQueue": "millrace-failures", "ServiceRepository": "millrace/service",
    "OnUploadRepository": "millrace/on-upload",
    "AthenaWorkgroup": "features", "AthenaDatabase": "millrace",
    "EmrJobRole": "arn:aws:iam::123456789012:role/spark",
    "EmrServiceRole": "arn:aws:iam::123456789012:role/clusters",
    "EmrInstanceRole": "arn:aws:iam::123456789012:role/instances",
    "EcsCluster": "models", "EcsService": "millrace", "EcsFamily": "serving",
    "EcsTaskRole": "arn:aws:iam::123456789012:role/serving",
    "EcsExecutionRole": "arn:aws:iam::123456789012:role/execution",
    "ServiceLogGroup": "/millrace/serving",
    "KmsKey": "arn:aws:kms:eu-central-1:123456789012:key/0d990263-018e-4e65-a703-eff731de951e",
}  # fmt: skip

WHOLE_SERVICE = {
    ("worker", "ListJobs"): "lists have no resource; one listing replaces a call for each job",
    ("worker", "WriteMetrics"): "metrics have no resource; the namespace is restricted",
    ("worker-emr", "MakeClusters"): "a cluster that is not yet made has no name; its tag is asked",
    ("worker-emr", "FindClusters"): "lists have no resource; a cluster is found by its name",
    ("worker-ecs", "ReadDefinitions"): "ECS knows no resource for it",
    (
        "worker-ecs",
        "MakeRevisions",
    ): "a revision that is not yet made has no name; its tag is asked",
    ("worker-ecs", "ListTasks"): "lists have no resource; the cluster is restricted",
    ("sagemaker", "GetImageToken"): "the token is one for the whole registry",
    ("sagemaker", "WriteMetrics"): "metrics have no resource; the namespace is restricted",
    ("service-start", "GetImageToken"): "the token is one for the whole registry",
    ("push", "GetImageToken"): "the token is one for the whole registry",
    ("sagemaker-network", "SeeNetwork"): "EC2's descriptions have no resource",
}
SERVICES = {"elasticmapreduce": "emr"}  # prefix of a right: botocore's name of the service
NO_OPERATION = {  # rights that no single operation is named after
    "s3:ListBucket": "ListObjectsV2", "s3:ListBucketMultipartUploads": "ListMultipartUploads",
    "s3:ListBucketVersions": "ListObjectVersions", "s3:DeleteObjectVersion": "DeleteObject",
    "s3:ListMultipartUploadParts": "ListParts", "iam:PassRole": None,
}  # fmt: skip


def statements(name: str) -> list[dict[str, Any]]:
    return policy(name, VALUES)["Statement"]


def many(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def test_every_file_is_a_known_policy() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(NAMES)


def test_every_placeholder_is_known_and_used() -> None:
    used = {name: placeholders((FOLDER / f"{name}.json").read_text()) for name in NAMES}
    assert set.union(*used.values()) == set(VALUES)


@pytest.mark.parametrize("name", NAMES)
def test_a_filled_policy_is_whole(name: str) -> None:
    document = policy(name, VALUES)
    assert document["Version"] == "2012-10-17"
    assert "${" not in json.dumps(document)
    names = [statement["Sid"] for statement in document["Statement"]]
    assert len(set(names)) == len(names)
    assert len(json.dumps(document, separators=(",", ":"))) < 6144  # IAM's limit


@pytest.mark.parametrize("name", NAMES)
def test_only_rights_that_exist_and_none_by_pattern(name: str) -> None:
    for statement in statements(name):
        for right in many(statement["Action"]):
            prefix, _, action = right.partition(":")
            operation = NO_OPERATION.get(right, action)
            model = service_model(SERVICES.get(prefix, prefix))
            assert operation is None or operation in model.operation_names


@pytest.mark.parametrize("name", NAMES)
def test_a_right_on_everything_has_a_reason(name: str) -> None:
    wide = {(name, s["Sid"]) for s in statements(name) if "*" in many(s["Resource"])}
    assert wide == {entry for entry in WHOLE_SERVICE if entry[0] == name}


@pytest.mark.parametrize("name", NAMES)
def test_resources_are_arns_of_this_account(name: str) -> None:
    for statement in statements(name):
        for resource in set(many(statement["Resource"])) - {"*"}:
            assert re.fullmatch(
                r"arn:aws:(s3:::lake(/millrace/.*)?"
                r"|s3:::(eu-central-1\.elasticmapreduce|repo\.eu-central-1\.emr\.amazonaws\.com)/\*"
                r"|iam::123456789012:role/\w+"
                r"|ecr:eu-central-1:492215442770:repository/sagemaker-\*"
                r"|[a-z0-9-]+:eu-central-1:123456789012:.+)",
                resource,
            )


def allowed(name: str, right: str) -> list[str]:
    return [
        resource
        for statement in statements(name)
        if right in many(statement["Action"])
        for resource in many(statement["Resource"])
    ]


def test_the_worker_starts_jobs_of_its_own_names_only() -> None:
    jobs = allowed("worker", "sagemaker:CreateTrainingJob")
    assert jobs and all(resource.endswith("/millrace-*") for resource in jobs)
    passing = [s for s in statements("worker") if "iam:PassRole" in s["Action"]]
    assert [s["Condition"]["StringEquals"] for s in passing] == [
        {"iam:PassedToService": "sagemaker.amazonaws.com"}
    ]


def test_queries_drop_no_tables_but_their_own() -> None:
    base = "arn:aws:glue:eu-central-1:123456789012"
    places = [f"{base}:catalog", f"{base}:database/millrace"]
    assert allowed("worker-athena", "glue:DeleteTable") == [
        *places, f"{base}:table/millrace/millrace_*",
    ]  # fmt: skip
    assert allowed("worker-athena", "athena:StartQueryExecution") == [
        "arn:aws:athena:eu-central-1:123456789012:workgroup/features"
    ]


def test_deployments_change_one_service_only() -> None:
    service = "arn:aws:ecs:eu-central-1:123456789012:service/models/millrace"
    assert allowed("worker-ecs", "ecs:UpdateService") == [service]
    (passing,) = [s for s in statements("worker-ecs") if "iam:PassRole" in s["Action"]]
    assert passing["Condition"] == {
        "StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
    }


def test_jobs_write_to_the_area_of_jobs_only() -> None:
    assert allowed("sagemaker", "s3:PutObject") == ["arn:aws:s3:::lake/millrace/jobs/*"]
    assert allowed("sagemaker", "s3:DeleteObject") == []


def test_machines_write_attempts_only_and_publish_nothing() -> None:
    attempts = [
        f"arn:aws:s3:::lake/millrace/{area}/attempt=*"
        for area in ("features/*", "predictions/*/scores")
    ]
    assert allowed("emr-instance", "s3:DeleteObject") == attempts
    logs = ["arn:aws:s3:::lake/millrace/jobs/logs/*"]
    assert allowed("emr-instance", "s3:PutObject") == attempts + logs


def test_the_function_never_changes_what_arrived() -> None:
    assert "arn:aws:s3:::lake/millrace/raw/*" in allowed("lambda", "s3:GetObject")
    assert not any("/raw/" in resource for resource in allowed("lambda", "s3:PutObject"))


def test_the_service_reads_models_and_writes_nothing_but_what_it_predicted() -> None:
    area = "arn:aws:s3:::lake/millrace"
    assert allowed("service", "s3:GetObject") == [f"{area}/models/*", f"{area}/mlflow/*"]
    assert allowed("service", "s3:PutObject") == [f"{area}/recorded/*"]
    assert allowed("service", "s3:DeleteObject") == []


@pytest.mark.parametrize("prefix", ["", "/"])
def test_a_lake_may_be_the_whole_bucket(prefix: str) -> None:
    document = policy("lambda", {**VALUES, "Prefix": prefix})
    assert "arn:aws:s3:::lake/raw/*" in json.dumps(document)


def test_missing_values_are_named_at_once() -> None:
    with pytest.raises(
        PolicyError, match="lambda needs AccountId, FailuresQueue, FunctionName, Region;"
    ):
        policy("lambda", {"Bucket": "lake", "Prefix": ""})


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(PolicyError, match=r"no policy 'admin'; write one of worker"):
        policy("admin", {})


@pytest.mark.parametrize("name", NAMES)
def test_the_command_prints_the_filled_document(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([name, *(f"{key}={value}" for key, value in VALUES.items())]) == 0
    assert json.loads(capsys.readouterr().out) == policy(name, VALUES)


def test_the_command_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["key", "Bucket=lake"]) == 1
    out, error = capsys.readouterr()
    assert (out, error) == ("", "error: the policy key needs KmsKey; give a value for each\n")


def test_the_command_takes_values_by_name_only(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["key", "alias/lake"])
    assert "'alias/lake' is no value; write Name=value" in capsys.readouterr().err
