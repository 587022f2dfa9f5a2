"""What a linter cannot know of the lake and of who hears of uploads."""

from __future__ import annotations

import pytest

from millrace.arrivals.trigger import INVISIBLE
from millrace.infrastructure.template import Template
from tests.infrastructure.evaluate import ACCOUNT, REGION, STACK, Evaluation, statement

BUCKET = "arn:aws:s3:::our-lake"
NOT_TLS = {"Bool": {"aws:SecureTransport": "false"}}


class TestBucket:
    def test_nobody_gets_in_without_tls(self, least: Evaluation) -> None:
        policy = least.properties("LakePolicy")
        assert policy["Bucket"] == "our-lake"
        assert statement(policy["PolicyDocument"], "TlsOnly") == {
            "Sid": "TlsOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
            "Resource": [BUCKET, f"{BUCKET}/*"], "Condition": NOT_TLS,
        }  # fmt: skip

    def test_nothing_can_be_made_public(self, least: Evaluation) -> None:
        lake = least.properties("Lake")
        assert set(lake["PublicAccessBlockConfiguration"].values()) == {True}
        assert len(lake["PublicAccessBlockConfiguration"]) == 4
        assert lake["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}

    def test_everything_is_encrypted_with_the_stacks_key(self, least: Evaluation) -> None:
        (rule,) = least.properties("Lake")["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        key = rule["ServerSideEncryptionByDefault"]
        assert key["SSEAlgorithm"] == "aws:kms"
        assert least.outputs["KmsKey"] == f"MILLRACE_KMS_KEY={key['KMSMasterKeyID']}"
        assert least.properties("Key")["EnableKeyRotation"] is True

    def test_what_is_deleted_and_when(self, least: Evaluation) -> None:
        rules = least.properties("Lake")["LifecycleConfiguration"]["Rules"]
        assert {rule["Status"] for rule in rules} == {"Enabled"}
        expiring = {
            rule["Prefix"]: rule["ExpirationInDays"] for rule in rules if "ExpirationInDays" in rule
        }
        assert expiring == {"lake/jobs/": "30"}, "only jobs/ may lose current objects"
        (old,) = [rule for rule in rules if "NoncurrentVersionExpiration" in rule]
        assert "Prefix" not in old and old["NoncurrentVersionExpiration"] == {
            "NoncurrentDays": "30"
        }
        (broken,) = [rule for rule in rules if "AbortIncompleteMultipartUpload" in rule]
        assert "Prefix" not in broken
        assert least.properties("Lake")["VersioningConfiguration"] == {"Status": "Enabled"}

    def test_lake_and_key_outlive_the_stack_and_nothing_else_does(self, template: Template) -> None:
        assert template.retained == {"Lake", "LakePolicy", "Key"}
        kept = {name: template.resources[name] for name in template.retained}
        assert {each["UpdateReplacePolicy"] for each in kept.values()} == {"Retain"}


class TestUploads:
    def test_the_lake_tells_the_queue_of_raw_files_alone(self, least: Evaluation) -> None:
        (told,) = least.properties("Lake")["NotificationConfiguration"].values()
        assert told == [{
            "Event": "s3:ObjectCreated:*",
            "Queue": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{STACK}-UploadsQueue",
            "Filter": {"S3Key": {"Rules": [{"Name": "prefix", "Value": "lake/raw/"}]}},
        }]  # fmt: skip
        assert least.resources["Lake"]["DependsOn"] == "UploadsQueuePolicy"

    def test_with_the_function_eventbridge_tells_both(self, everything: Evaluation) -> None:
        told = everything.properties("Lake")["NotificationConfiguration"]
        assert told == {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
        rule = everything.properties("UploadsRule")
        assert rule["EventPattern"] == {
            "source": ["aws.s3"], "detail-type": ["Object Created"],
            "detail": {
                "bucket": {"name": ["our-lake"]}, "object": {"key": [{"prefix": "lake/raw/"}]},
            },
        }  # fmt: skip
        assert [target["Arn"] for target in rule["Targets"]] == [
            f"arn:aws:sqs:{REGION}:{ACCOUNT}:{STACK}-UploadsQueue", "OnUpload.Arn",
        ]  # fmt: skip

    def test_only_this_bucket_and_this_rule_may_send(self, everything: Evaluation) -> None:
        policy = everything.properties("UploadsQueuePolicy")["PolicyDocument"]
        assert {each["Sid"] for each in policy["Statement"] if each["Effect"] == "Allow"} == {
            "TheLakeTells", "EventBridgeTells",
        }  # fmt: skip
        assert statement(policy, "TheLakeTells")["Condition"] == {
            "ArnEquals": {"aws:SourceArn": BUCKET}, "StringEquals": {"aws:SourceAccount": ACCOUNT},
        }  # fmt: skip
        name = everything.properties("UploadsRule")["Name"]
        assert statement(policy, "EventBridgeTells")["Condition"] == {
            "ArnEquals": {"aws:SourceArn": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{name}"}
        }

    @pytest.mark.parametrize("name", ["UploadsQueue", "DeadLetters"])
    def test_queues_are_encrypted_and_take_tls_alone(self, least: Evaluation, name: str) -> None:
        assert least.properties(name)["SqsManagedSseEnabled"] is True
        denied = statement(least.properties(f"{name}Policy")["PolicyDocument"], "TlsOnly")
        assert (denied["Effect"], denied["Principal"], denied["Condition"]) == (
            "Deny",
            "*",
            NOT_TLS,
        )

    def test_what_cannot_be_handled_is_kept(self, everything: Evaluation) -> None:
        queue = everything.properties("UploadsQueue")
        assert queue["VisibilityTimeout"] == INVISIBLE
        dead = everything.resolve({"Fn::GetAtt": ["DeadLetters", "Arn"]})
        assert queue["RedrivePolicy"]["deadLetterTargetArn"] == dead
        handed = everything.properties("OnUploadFailures")["DestinationConfig"]["OnFailure"]
        assert handed == {"Destination": dead}

    def test_the_function_is_the_one_of_include_lambda(self, everything: Evaluation) -> None:
        function = everything.properties("OnUpload")
        repository = everything.properties("OnUploadRepository")["RepositoryName"]
        assert function["FunctionName"] == f"{STACK}-on-upload" == repository.replace("/", "-")
        assert function["Code"] == {"ImageUri": "OnUploadRepository.RepositoryUri:1f0c2ab"}
        assert function["Environment"]["Variables"] == {"MILLRACE_LAKE": "s3://our-lake/lake"}
        assert function["LoggingConfig"]["LogFormat"] == "JSON"
