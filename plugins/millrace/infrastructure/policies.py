"""The policies of include/iam as resources of the templates, which hold exactly their statements.

`python -m millrace.infrastructure.policies` writes them into each template, between two markers.
See ADR 30.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from millrace.aws.policies import FOLDER, PLACEHOLDER
from millrace.infrastructure import cfn_yaml
from millrace.infrastructure.template import GITHUB, TEMPLATE

BEGIN = "  # --- begin: written by `python -m millrace.infrastructure.policies` ---\n"
END = "  # --- end: change include/iam, then write this part anew ---\n"

POLICIES: Mapping[str, str | None] = {
    "worker": None, "worker-emr": None, "worker-athena": None, "sagemaker": None,
    "emr-service": None, "emr-instance": None, "key": None, "lambda": "HasOnUpload",
    "worker-ecs": "HasService", "service": "HasService", "service-start": "HasService",
}  # fmt: skip
"""The policies that the main template has, and the condition under which. `sagemaker-network` is in
none: the stack makes no network for the jobs."""

VALUES = {
    "Bucket": "${Bucket}",
    "Prefix": "${Prefix}/",
    "Region": "${AWS::Region}",
    "AccountId": "${AWS::AccountId}",
    "ImageAccount": "${ImageAccount}",
    "SageMakerRole": "${JobsRole.Arn}",
    "EmrServiceRole": "${EmrServiceRole.Arn}",
    "EmrJobRole": "${SparkRole.Arn}",
    "EmrInstanceRole": "${SparkRole.Arn}",
    "KmsKey": "${Key.Arn}",
    "EventsQueue": "${UploadsQueue.QueueName}",
    "FailuresQueue": "${DeadLetters.QueueName}",
    "TaskLogGroup": "${TaskLogs}",
    "MetricsNamespace": "${MetricsNamespace}",
    "AthenaWorkgroup": "${AWS::StackName}",
    "AthenaDatabase": "${AthenaDatabase}",
    "FunctionName": "${AWS::StackName}-on-upload",
    "EcsCluster": "${Cluster}",
    "EcsService": "${Service.Name}",
    "EcsFamily": "${AWS::StackName}-service",
    "EcsTaskRole": "${ServiceRole.Arn}",
    "EcsExecutionRole": "${ServiceStartRole.Arn}",
    "ServiceRepository": "${ServiceRepository}",
    "ServiceLogGroup": "${ServiceLogs}",
}
"""What stands in the main template for a placeholder of the policies."""

TEMPLATES: Mapping[Path, tuple[Mapping[str, str | None], Mapping[str, str]]] = {
    TEMPLATE: (POLICIES, VALUES),
    GITHUB: (
        {"push": None},
        {"Region": "${AWS::Region}", "AccountId": "${AWS::AccountId}",
         "ServiceRepository": "${Stack}/service", "OnUploadRepository": "${Stack}/on-upload"},
    ),
}  # fmt: skip
"""The policies of each template, and what stands in it for their placeholders."""


def logical_id(name: str) -> str:
    """`worker-emr` as a name of the template: `WorkerEmrPolicy`."""
    return f"{name.title().replace('-', '')}Policy"


def resource(name: str, condition: str | None, values: Mapping[str, str]) -> dict[str, Any]:
    """A policy of include/iam as a managed policy of a template."""
    document = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return {
        "Type": "AWS::IAM::ManagedPolicy",
        **({"Condition": condition} if condition else {}),
        "Properties": {
            "Description": f"include/iam/{name}.json of Millrace",
            "PolicyDocument": _filled(document, values),
        },
    }


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    """The same, with the template's names for the placeholders."""
    if isinstance(value, dict):
        return {key: _filled(each, values) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, values) for each in value]
    if not isinstance(value, str) or not PLACEHOLDER.search(value):
        return value
    text = PLACEHOLDER.sub(lambda found: values[found[1]], value)
    if "${ImageAccount}" not in text:
        return {"Fn::Sub": text}
    account = {"Fn::FindInMap": ["Regions", {"Ref": "AWS::Region"}, "ImageAccount"]}
    return {"Fn::Sub": [text, {"ImageAccount": account}]}


def written(path: Path) -> str:
    """A template's text with the policies as include/iam has them."""
    policies, values = TEMPLATES[path]
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    blocks = (
        cfn_yaml.dump({logical_id(name): resource(name, condition, values)})
        for name, condition in policies.items()
    )
    lines = "\n".join(blocks).splitlines()
    return before + BEGIN + "".join(f"  {line}".rstrip() + "\n" for line in lines) + END + after


if __name__ == "__main__":
    for template in TEMPLATES:
        template.write_text(written(template), encoding="utf-8")
