"""Which permissions a call needs, on which resources: pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from tests.integration.aws.standin.account import ACCOUNT
from tests.integration.aws.standin.calls import Call

FREE = {"GetCallerIdentity", ""}  # always allowed, or nothing that is recognised


@dataclass(frozen=True)
class Need:
    """One permission a call needs."""

    action: str
    resource: str
    context: Mapping[str, Any] = field(default_factory=dict)


def needs(call: Call) -> list[Need]:
    """Everything the caller must be allowed."""
    found = BY_SERVICE.get(call.service, _any)(call)
    return found + _passed_roles(call)


def _any(call: Call) -> list[Need]:
    prefix = {"emr": "elasticmapreduce"}.get(call.service, call.service)
    context = {"cloudwatch:namespace": call.params.get("Namespace")}
    return [Need(f"{prefix}:{call.operation}", "*", {k: v for k, v in context.items() if v})]


def _tagged(tags: Any) -> dict[str, Any]:
    """Context of a request that brings tags, in any of the forms that services use."""
    if isinstance(tags, list):
        tags = {tag.get("Key"): tag.get("Value", "") for tag in tags}
    tags = tags or {}
    given = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    return {**given, "aws:TagKeys": list(tags)} if tags else {}


def _sagemaker(call: Call) -> list[Need]:
    kinds = {
        "TrainingJobName": "training-job", "TransformJobName": "transform-job",
        "ModelName": "model", "ProcessingJobName": "processing-job",
    }  # fmt: skip
    resource = call.params.get("ResourceArn", "*")
    for parameter, kind in kinds.items():
        if parameter in call.params and not call.operation.startswith("List"):
            name = call.params[parameter].lower()
            resource = f"arn:aws:sagemaker:{call.region}:{ACCOUNT}:{kind}/{name}"
            break
    context = _tagged(call.params.get("Tags"))
    found = [Need(f"sagemaker:{call.operation}", resource, context)]
    if context and call.operation != "AddTags":
        found.append(Need("sagemaker:AddTags", resource, context))
    return found


SCALING = {"ManagedScalingPolicy": "PutManagedScalingPolicy",
           "AutoTerminationPolicy": "PutAutoTerminationPolicy"}  # fmt: skip


def _emr(call: Call) -> list[Need]:
    ids = call.params.get("JobFlowIds") or [
        call.params.get("ClusterId") or call.params.get("JobFlowId")
        or call.params.get("ResourceId") or ("*" if call.operation == "RunJobFlow" else "")
    ]  # fmt: skip
    context = _tagged(call.params.get("Tags"))
    names = [f"arn:aws:elasticmapreduce:{call.region}:{ACCOUNT}:cluster/{i}" if i else "*"
             for i in ids]  # fmt: skip
    right = f"elasticmapreduce:{call.operation}"
    if call.operation == "RunJobFlow":  # the right to make a cluster has no resource
        found = [Need(right, "*", context)]
    else:
        found = [Need(right, name, context) for name in names]
    for member, right in SCALING.items():
        if call.operation == "RunJobFlow" and member in call.params:
            found.append(Need(f"elasticmapreduce:{right}", names[0], context))
    if context and call.operation == "RunJobFlow":
        found.append(Need("elasticmapreduce:AddTags", names[0], context))
    return found


def _emr_serverless(call: Call) -> list[Need]:
    base = f"arn:aws:emr-serverless:{call.region}:{ACCOUNT}:/"
    application, run = call.params.get("applicationId"), call.params.get("jobRunId")
    if application:
        base += f"applications/{application}" + (f"/jobruns/{run}" if run else "")
    context = _tagged(call.params.get("tags"))
    found = [Need(f"emr-serverless:{call.operation}", base if application else f"{base}*", context)]
    if context and call.operation == "StartJobRun":
        found.append(Need("emr-serverless:TagResource", f"{base}/jobruns/*", context))
    return found


def _athena(call: Call) -> list[Need]:
    """The right on a workgroup; of a query's workgroup the control plane knows."""
    if "QueryExecutionId" in call.params or "QueryExecutionIds" in call.params:
        return []
    group = call.params.get("WorkGroup") or call.params.get("Name") or "primary"
    return [Need(f"athena:{call.operation}", workgroup_arn(call, group))]


def workgroup_arn(call: Call, name: str) -> str:
    """The ARN of a workgroup of Athena."""
    return f"arn:aws:athena:{call.region}:{ACCOUNT}:workgroup/{name}"


def _ecs(call: Call) -> list[Need]:
    """Task definitions have no name before they are made, and are described by anyone or no one."""
    base, cluster = f"arn:aws:ecs:{call.region}:{ACCOUNT}", call.params.get("cluster", "default")
    action, context = f"ecs:{call.operation}", _ecs_tags(call.params.get("tags"))
    if call.operation == "RegisterTaskDefinition":
        found = [Need(action, "*", context)]
        if context:
            resource = f"{base}:task-definition/{call.params['family']}:*"
            found.append(Need("ecs:TagResource", resource, {**context, "ecs:CreateAction":
                                                             call.operation}))  # fmt: skip
        return found
    if call.operation == "DescribeTasks":
        return [Need(action, task) for task in call.params["tasks"]]
    if call.operation == "ListTasks":
        return [Need(action, "*", {"ecs:cluster": f"{base}:cluster/{cluster}"})]
    names = call.params.get("services") or [call.params.get("service")]
    if names != [None]:
        return [Need(action, f"{base}:service/{cluster}/{name}") for name in names]
    return [Need(action, "*")]


def _ecs_tags(tags: Any) -> dict[str, Any]:
    return _tagged([{"Key": each["key"], "Value": each["value"]} for each in tags or ()])


def _logs(call: Call) -> list[Need]:
    group = call.params.get("logGroupName") or str(
        call.params.get("logGroupIdentifier", "")).rpartition(":log-group:")[2]  # fmt: skip
    if not group:
        return [Need(f"logs:{call.operation}", "*")]
    stream = call.params.get("logStreamName", "")
    base = f"arn:aws:logs:{call.region}:{ACCOUNT}:log-group:{group}:log-stream:{stream}"
    return [Need(f"logs:{call.operation}", base)]


def _sqs(call: Call) -> list[Need]:
    queue = call.params.get("QueueName") or call.params.get("QueueUrl", "").rpartition("/")[2]
    resource = f"arn:aws:sqs:{call.region}:{ACCOUNT}:{queue}" if queue else "*"
    return [Need(f"sqs:{call.operation.removesuffix('Batch')}", resource)]


def _lambda(call: Call) -> list[Need]:
    action = {"Invoke": "InvokeFunction"}.get(call.operation, call.operation)
    name = call.params.get("FunctionName")
    resource = f"arn:aws:lambda:{call.region}:{ACCOUNT}:function:{name}" if name else "*"
    return [Need(f"lambda:{action}", resource)]


def _iam(call: Call) -> list[Need]:
    for parameter, kind in (("RoleName", "role"), ("UserName", "user"),
                            ("InstanceProfileName", "instance-profile")):  # fmt: skip
        if parameter in call.params:
            resource = f"arn:aws:iam::{ACCOUNT}:{kind}/{call.params[parameter]}"
            return [Need(f"iam:{call.operation}", resource)]
    return [Need(f"iam:{call.operation}", "*")]


def _sts(call: Call) -> list[Need]:
    return [Need(f"sts:{call.operation}", call.params.get("RoleArn", "*"))]


S3_ACTIONS = {
    "HeadObject": "GetObject", "CreateMultipartUpload": "PutObject", "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject", "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket", "HeadBucket": "ListBucket",
    "ListObjectVersions": "ListBucketVersions", "ListBuckets": "ListAllMyBuckets",
    "ListParts": "ListMultipartUploadParts", "ListMultipartUploads": "ListBucketMultipartUploads",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "CopyObject": "PutObject", "UploadPartCopy": "PutObject",
}  # fmt: skip


def _s3(call: Call) -> list[Need]:
    bucket, key = call.params.get("Bucket"), call.params.get("Key")
    if not bucket:
        return [Need(f"s3:{S3_ACTIONS.get(call.operation, call.operation)}", "*")]
    arn = f"arn:aws:s3:::{bucket}"
    if call.operation == "DeleteObjects":
        body = call.raw.decode("utf-8", "replace")
        objects = re.findall(r"<Object>.*?<Key>(.*?)</Key>(.*?)</Object>", body, re.DOTALL)
        return [
            Need(f"s3:DeleteObject{'Version' if '<VersionId>' in more else ''}", f"{arn}/{key}")
            for key, more in objects
        ]
    action = f"s3:{S3_ACTIONS.get(call.operation, call.operation)}"
    resource = f"{arn}/{unquote(key)}" if key else arn
    context = {"s3:prefix": call.params.get("prefix", "")} if action == "s3:ListBucket" else {}
    found = [Need(action, resource, context)]
    if "x-amz-tagging" in call.headers:
        found.append(Need("s3:PutObjectTagging", resource))
    if source := unquote(call.headers.get("x-amz-copy-source", "")).lstrip("/").partition("?")[0]:
        found.append(Need("s3:GetObject", f"arn:aws:s3:::{source}"))
    return found


BY_SERVICE: dict[str, Callable[[Call], list[Need]]] = {
    "athena": _athena, "ecs": _ecs, "sagemaker": _sagemaker, "emr": _emr,
    "emr-serverless": _emr_serverless, "logs": _logs, "sqs": _sqs, "lambda": _lambda,
    "iam": _iam, "sts": _sts, "s3": _s3,
}  # fmt: skip
PASSED = {  # operation to parameters that name a role, each with the service it is passed to
    "CreateTrainingJob": {"RoleArn": "sagemaker.amazonaws.com"},
    "CreateModel": {"ExecutionRoleArn": "sagemaker.amazonaws.com"},
    "StartJobRun": {"executionRoleArn": "emr-serverless.amazonaws.com"},
    "RegisterTaskDefinition": {"taskRoleArn": "ecs-tasks.amazonaws.com",
                               "executionRoleArn": "ecs-tasks.amazonaws.com"},
    "RunJobFlow": {"ServiceRole": "elasticmapreduce.amazonaws.com",
                   "JobFlowRole": "ec2.amazonaws.com"},
}  # fmt: skip


def _passed_roles(call: Call) -> list[Need]:
    """`iam:PassRole` for each role that the call hands to a service."""
    return [
        Need("iam:PassRole", _role(call.params[parameter]), {"iam:PassedToService": service})
        for parameter, service in PASSED.get(call.operation, {}).items()
        if call.params.get(parameter)
    ]


def _role(text: str) -> str:
    """A role's ARN, also where the call gives its name only."""
    name = text.partition(":instance-profile/")[2]
    if name:  # the role in it, which has its name
        return f"arn:aws:iam::{ACCOUNT}:role/{name}"
    return text if text.startswith("arn:") else f"arn:aws:iam::{ACCOUNT}:role/{text}"
