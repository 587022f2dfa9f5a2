"""The stand-in's account: rights, faults, refusals, events of S3."""

from __future__ import annotations

import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from tests.integration.aws.standin import StandIn
from tests.integration.aws.standin.account import role_arn
from tests.integration.aws.standin.policies import decide
from tests.integration.aws.standin.tryout import (
    ended,
    furnish,
    log_lines,
    model,
    training,
    transform,
    wait,
)

ONCE = Config(retries={"total_max_attempts": 1}, read_timeout=30)
TRAINING_ARN = "arn:aws:sagemaker:eu-west-3:123456789012:training-job"
WORKER = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "sagemaker:*TrainingJob",
         "Resource": f"{TRAINING_ARN}/ours-*",
         "Condition": {"StringEqualsIfExists": {"aws:RequestTag/project": "orchard"}}},
        {"Effect": "Allow", "Action": "sagemaker:AddTags", "Resource": "*"},
        {"Effect": "Allow", "Action": "iam:PassRole", "Resource": role_arn("reader"),
         "Condition": {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}},
        {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"],
         "Resource": "arn:aws:s3:::lake/mine/*"},
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::lake",
         "Condition": {"StringLike": {"s3:prefix": ["mine/*"]}}},
        {"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::lake/mine/secret"},
    ],
}  # fmt: skip
READER = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"],
         "Resource": ["arn:aws:s3:::lake", "arn:aws:s3:::lake/train/*",
                      "arn:aws:s3:::lake/source.tar.gz"]},
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::lake/mine/*"},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    """Without enforced rights."""
    with StandIn(tmp_path_factory.mktemp("aws"), pace={"state": 0.05}) as started:
        furnish(started)
        yield started


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    """With the rights of one worker and one role."""
    with StandIn(
        tmp_path_factory.mktemp("guarded"), pace={"state": 0.05},
        policies={"worker": [WORKER], "nobody": []}, roles={"reader": [READER]},
    ) as started:  # fmt: skip
        furnish(started)
        yield started


@pytest.fixture(autouse=True)
def no_faults(aws: StandIn) -> Iterator[None]:
    yield
    aws.clear_faults()


@pytest.mark.integration
class TestRights:
    def test_what_no_policy_allows_is_refused_by_name(self, guarded: StandIn) -> None:
        sagemaker = guarded.client("sagemaker", "worker")
        with pytest.raises(ClientError) as refused:
            sagemaker.create_training_job(**training(guarded, "theirs"))
        assert refused.value.response["Error"] == {
            "Code": "AccessDeniedException",
            "Message": "User: arn:aws:iam::123456789012:user/worker is not authorized to perform:"
            f" sagemaker:CreateTrainingJob on resource: {TRAINING_ARN}/theirs because no"
            " identity-based policy allows the sagemaker:CreateTrainingJob action",
        }
        assert not guarded.jobs()

    def test_a_role_must_be_allowed_to_be_passed(self, guarded: StandIn) -> None:
        with pytest.raises(ClientError, match=f"iam:PassRole on resource: {guarded.role} because"):
            guarded.client("sagemaker", "worker").create_training_job(**training(guarded, "ours-1"))

    def test_conditions_on_tags_count(self, guarded: StandIn) -> None:
        request = training(guarded, "ours-2", RoleArn=role_arn("reader"),
                           Tags=[{"Key": "project", "Value": "another"}])  # fmt: skip
        with pytest.raises(ClientError, match="sagemaker:CreateTrainingJob"):
            guarded.client("sagemaker", "worker").create_training_job(**request)

    def test_a_job_has_the_rights_of_its_role(self, guarded: StandIn) -> None:
        sagemaker = guarded.client("sagemaker", "worker")
        request = training(guarded, "ours-3", RoleArn=role_arn("reader"))
        sagemaker.create_training_job(**request)
        reason = ended(guarded, "ours-3")["FailureReason"]
        assert reason.startswith("ClientError: Artifact upload failed:User: arn:aws:sts::")
        assert "s3:PutObject" in reason and "lake/jobs/ours-3/output/model.tar.gz" in reason
        with pytest.raises(ClientError):  # the role may not write logs: the group was never made
            log_lines(guarded, "/aws/sagemaker/TrainingJobs", "ours-3/")
        sagemaker.create_training_job(**training(
            guarded, "ours-4", RoleArn=role_arn("reader"),
            OutputDataConfig={"S3OutputPath": "s3://lake/mine/jobs"},
        ))  # fmt: skip
        assert ended(guarded, "ours-4")["TrainingJobStatus"] == "Completed"

    def test_an_input_that_the_role_does_not_see_is_refused(self, guarded: StandIn) -> None:
        request = training(guarded, "ours-5", RoleArn=role_arn("reader"))
        request["HyperParameters"]["sagemaker_submit_directory"] = '"s3://lake/job.py"'
        guarded.client("sagemaker").create_training_job(**request)
        reason = ended(guarded, "ours-5")["FailureReason"]
        assert "Data download failed" in reason and "s3://lake/job.py" in reason

    def test_objects_and_prefixes_count(self, guarded: StandIn) -> None:
        s3 = guarded.client("s3", "worker")
        s3.put_object(Bucket="lake", Key="mine/a", Body=b"1")
        assert s3.list_objects_v2(Bucket="lake", Prefix="mine/a")["KeyCount"] == 1
        for refused in (
            lambda: s3.put_object(Bucket="lake", Key="yours/a", Body=b"1"),
            lambda: s3.get_object(Bucket="lake", Key="train/train.csv"),
            lambda: s3.list_objects_v2(Bucket="lake", Prefix="train/"),
            lambda: s3.list_objects_v2(Bucket="lake"),
            lambda: s3.delete_objects(Bucket="lake", Delete={"Objects": [{"Key": "mine/a"}]}),
            lambda: s3.put_object(Bucket="lake", Key="mine/secret", Body=b"1"),
        ):
            with pytest.raises(ClientError, match=r"AccessDenied.*not authorized to perform: s3:"):
                refused()

    def test_a_missing_key_is_forbidden_to_who_may_not_list(self, guarded: StandIn) -> None:
        with pytest.raises(ClientError, match="403"):
            guarded.client("s3", "worker").head_object(Bucket="lake", Key="mine/missing")
        with pytest.raises(ClientError, match="404"):
            guarded.client("s3").head_object(Bucket="lake", Key="mine/missing")

    def test_who_has_no_policy_may_nothing(self, guarded: StandIn) -> None:
        for service, operation in (("sqs", "list_queues"), ("emr", "list_clusters"),
                                   ("iam", "list_users"), ("s3", "list_buckets")):  # fmt: skip
            with pytest.raises(ClientError, match="AccessDenied"):
                getattr(guarded.client(service, "nobody"), operation)()
        assert guarded.client("sts", "nobody").get_caller_identity()["Arn"].endswith("user/nobody")

    def test_an_unknown_key_is_refused(self, guarded: StandIn) -> None:
        client = guarded.client("sagemaker")
        client._request_signer._credentials = Credentials("AKIAUNKNOWNUNKNOWN00", "x")
        with pytest.raises(ClientError, match="security token included in the request is invalid"):
            client.list_training_jobs()


@pytest.mark.integration
class TestFaults:
    def test_throttling_is_retried_and_ends(self, aws: StandIn) -> None:
        fault = {"fault": "throttling", "service": "sagemaker",
                 "operation": "DescribeTrainingJob", "times": 2}  # fmt: skip
        aws.fault(fault)
        with pytest.raises(ClientError, match="Requested resource not found"):
            aws.client("sagemaker").describe_training_job(TrainingJobName="x")
        aws.fault({**fault, "times": None})
        for _ in range(3):
            with pytest.raises(ClientError, match="ThrottlingException"):
                aws.client("sagemaker", config=ONCE).describe_training_job(TrainingJobName="x")

    @pytest.mark.parametrize(
        ("fault", "service", "call", "code"),
        [
            ("throttling", "s3", "list_buckets", "SlowDown"),
            ("http500", "s3", "list_buckets", "InternalError"),
            ("http503", "emr", "list_clusters", "ServiceUnavailable"),
            ("http500", "sqs", "list_queues", "InternalError"),
            ("http500", "sts", "get_caller_identity", "InternalError"),
            ("expired_token", "sagemaker", "list_models", "ExpiredTokenException"),
            ("expired_token", "s3", "list_buckets", "ExpiredToken"),
            ("access_denied", "logs", "describe_log_groups", "AccessDeniedException"),
        ],
    )
    def test_errors_have_the_codes_of_aws(
        self, aws: StandIn, fault: str, service: str, call: str, code: str
    ) -> None:
        aws.fault({"fault": fault, "service": service, "times": 1})
        with pytest.raises(ClientError) as met:
            getattr(aws.client(service, config=ONCE), call)()
        assert met.value.response["Error"]["Code"] == code

    def test_a_quota_is_not_a_matter_of_waiting(self, aws: StandIn) -> None:
        aws.fault({"fault": "quota", "operation": "CreateTrainingJob"})
        sagemaker = aws.client("sagemaker")
        with pytest.raises(sagemaker.exceptions.ResourceLimitExceeded, match=r"'ml\.m5\.large for"):
            sagemaker.create_training_job(**training(aws, "quota"))

    def test_no_answer_in_time(self, aws: StandIn) -> None:
        aws.fault({"fault": "timeout", "service": "s3", "seconds": 3, "times": 1})
        with pytest.raises(ReadTimeoutError):
            aws.client("s3", config=ONCE.merge(Config(read_timeout=1))).list_buckets()

    def test_an_answer_can_be_lost_after_the_job_was_started(self, aws: StandIn) -> None:
        aws.fault({"fault": "lost_answer", "operation": "CreateTrainingJob", "times": 1})
        sagemaker = aws.client("sagemaker", config=ONCE)
        with pytest.raises(ConnectionClosedError):
            sagemaker.create_training_job(**training(aws, "lost"))
        assert ended(aws, "lost")["TrainingJobStatus"] == "Completed"

    def test_a_body_that_breaks_midway(self, aws: StandIn, tmp_path: Path) -> None:
        s3, content = aws.client("s3"), b"0123456789" * 1000
        s3.put_object(Bucket="lake", Key="big", Body=content)
        aws.fault({"fault": "partial_read", "service": "s3", "times": 1})
        with pytest.raises(Exception, match=r"IncompleteRead|Connection broken"):
            s3.get_object(Bucket="lake", Key="big")["Body"].read()
        aws.fault({"fault": "partial_read", "service": "s3", "times": 1})
        s3.download_file("lake", "big", str(tmp_path / "big"))
        assert (tmp_path / "big").read_bytes() == content

    def test_jobs_do_not_meet_faults_of_calls(self, aws: StandIn) -> None:
        aws.client("sagemaker").create_training_job(**training(aws, "calm"))
        aws.fault({"fault": "http500", "service": "s3"})
        assert ended(aws, "calm")["TrainingJobStatus"] == "Completed"

    def test_an_unknown_fault_is_refused(self, aws: StandIn) -> None:
        with pytest.raises(urllib.error.HTTPError, match="400"):
            aws.fault({"fault": "earthquake"})


def post(aws: StandIn, service: str, target: str, body: bytes) -> dict[str, Any]:
    """The error that a raw, signed request is answered with."""
    headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}
    request = AWSRequest("POST", aws.endpoint + "/", headers=headers, data=body)
    SigV4Auth(Credentials(*aws.keys()), service, aws.region).add_auth(request)
    raw = urllib.request.Request(  # noqa: S310
        request.url, body, dict(request.headers), method="POST"
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(raw)  # noqa: S310
    found: dict[str, Any] = json.load(refused.value)
    return found


@pytest.mark.integration
class TestValidation:
    @pytest.mark.parametrize(
        ("body", "code", "words"),
        [
            (b"{", "SerializationException", "no JSON"),
            (b'{"TrainingJobName": 3}', "SerializationException", "string expected, int found"),
            (b'{"TrainingJobName": "a"}', "ValidationException", "at 'roleArn' failed to satisfy"),
            (b'{"Fancy": 1}', "ValidationException", "has no member 'Fancy'"),
        ],
    )
    def test_raw_bodies(self, aws: StandIn, body: bytes, code: str, words: str) -> None:
        found = post(aws, "sagemaker", "SageMaker.CreateTrainingJob", body)
        assert found["__type"] == code and words in found["message"]

    def test_names_and_words_that_boto3_lets_pass(self, aws: StandIn) -> None:
        sagemaker = aws.client("sagemaker")
        with pytest.raises(ClientError, match="regular expression pattern"):
            sagemaker.create_training_job(**training(aws, "no_underscores"))
        with pytest.raises(ClientError, match="length less than or equal to 63"):
            sagemaker.create_training_job(**training(aws, "x" * 64))
        request = training(aws, "wrong-instance")
        request["ResourceConfig"]["InstanceType"] = "ml.m5.tiny"
        with pytest.raises(ClientError, match="enum value set"):
            sagemaker.create_training_job(**request)
        with pytest.raises(ClientError, match="Could not find model"):
            sagemaker.create_transform_job(**transform("x", "train/train.csv"))
        with pytest.raises(ClientError, match="Could not access model data"):
            sagemaker.create_model(**{**model(aws, "x"), "PrimaryContainer": {
                "Image": "x", "ModelDataUrl": "s3://lake/missing.tar.gz"}})  # fmt: skip


@pytest.mark.integration
class TestUploads:
    def test_events_reach_a_queue_with_encoded_keys(self, aws: StandIn) -> None:
        sqs, s3 = aws.client("sqs"), aws.client("s3")
        url = sqs.create_queue(QueueName="arrivals")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
        configuration = {"QueueArn": arn["QueueArn"], "Events": ["s3:ObjectCreated:*"]}
        s3.put_bucket_notification_configuration(
            Bucket="lake", NotificationConfiguration={"QueueConfigurations": [configuration]}
        )
        s3.put_object(Bucket="lake", Key="raw/our trees/a+b é.csv", Body=b"1")
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
        keys = [record["s3"]["object"]["key"] for message in messages
                for record in json.loads(message["Body"]).get("Records", [])]  # fmt: skip
        assert keys == ["raw/our+trees/a%2Bb+%C3%A9.csv"]

    def test_a_command_hears_of_each_object_under_its_prefix(self, aws: StandIn) -> None:
        code = "import json,os,sys; print(os.environ['NAME'], json.load(sys.stdin)['Records'][0]"
        aws.on_upload("hook", "lake", "raw/trees/", [sys.executable, "-c", code
                      + "['s3']['object']['key'])"], {"NAME": "orchard"})  # fmt: skip
        s3 = aws.client("s3")
        s3.put_object(Bucket="lake", Key="raw/others/x.csv", Body=b"1")
        s3.put_object(Bucket="lake", Key="raw/trees/x.csv", Body=b"1")
        (run,) = wait(aws.invocations)
        assert (run["code"], run["stdout"]) == (0, "orchard raw/trees/x.csv\n")


@pytest.mark.integration
def test_of_many_conditional_writes_at_once_one_wins(aws: StandIn) -> None:
    s3 = aws.client("s3", config=Config(max_pool_connections=16))

    def write(number: int) -> int:
        try:
            s3.put_object(Bucket="lake", Key=f"once-{number // 8}", Body=b"1", IfNoneMatch="*")
        except ClientError as error:
            assert error.response["Error"]["Code"] == "PreconditionFailed"
            return 0
        return 1

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(write, range(160))) == 20


@pytest.mark.integration
def test_many_jobs_without_a_process_are_held(aws: StandIn) -> None:
    aws.fault({"fault": "never_ends", "operation": "CreateTrainingJob"})
    sagemaker = aws.client("sagemaker")
    started = time.monotonic()
    for number in range(100):
        sagemaker.create_training_job(**training(aws, f"many-{number}"))
    pages = sagemaker.get_paginator("list_training_jobs").paginate(
        NameContains="many-", StatusEquals="InProgress", PaginationConfig={"PageSize": 100}
    )
    assert sum(len(page["TrainingJobSummaries"]) for page in pages) == 100
    assert time.monotonic() - started < 30
    assert aws.calls()["sagemaker.ListTrainingJobs"] >= 1


@pytest.mark.parametrize(
    ("condition", "context", "allowed"),
    [
        ({"StringEquals": {"aws:RequestTag/a": "1"}}, {"aws:RequestTag/a": "1"}, True),
        ({"StringEquals": {"aws:RequestTag/a": "1"}}, {}, None),
        ({"StringNotEquals": {"aws:RequestTag/a": "1"}}, {"aws:RequestTag/a": "2"}, True),
        ({"StringNotLike": {"aws:RequestTag/a": "1*"}}, {"aws:RequestTag/a": "12"}, None),
        ({"Null": {"aws:RequestTag/a": "true"}}, {}, True),
        ({"Null": {"aws:RequestTag/a": "false"}}, {}, None),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}, {"aws:TagKeys": ["a"]}, True),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a"]}}, {"aws:TagKeys": ["a", "c"]}, None),
        ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["a"]}}, {"aws:TagKeys": ["a", "c"]}, True),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:user/x"}},
         {"aws:PrincipalArn": "arn:aws:iam::1:user/x"}, True),
        ({"Bool": {"aws:SecureTransport": "false"}}, {"aws:SecureTransport": "true"}, None),
        ({"NumericLessThanEquals": {"s3:max-keys": "10"}}, {"s3:max-keys": "11"}, None),
    ],
)  # fmt: skip
def test_conditions(condition: Any, context: dict[str, Any], allowed: bool | None) -> None:
    statement = {"Effect": "Allow", "Action": "s3:Get*", "Resource": "*", "Condition": condition}
    assert decide([{"Statement": statement}], "s3:GetObject", "x", context) is allowed


def test_a_denial_beats_every_permission() -> None:
    documents = [
        {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]},
        {"Statement": [{"Effect": "Deny", "NotAction": "s3:*", "Resource": "arn:aws:x:::[a]*"}]},
    ]
    assert decide(documents, "s3:GetObject", "arn:aws:x:::[a]b", {}) is True
    assert decide(documents, "sqs:SendMessage", "arn:aws:x:::[a]b", {}) is False
    assert decide(documents, "sqs:SendMessage", "arn:aws:x:::ab", {}) is True
