"""Where on AWS the pipelines run, and as whom: the AWS part of the settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from millrace.aws.emr_target import EmrSettings
from millrace.aws.images import regions
from millrace.variables import SettingsError, file, listed, matching, whole, yes_or_no

EU_REGIONS = frozenset(
    {"eu-central-1", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-3"}
)
"""AWS regions inside member states of the European Union."""
ADEQUATE = {"eu-central-2": "Zurich", "eu-west-2": "London"}
"""Regions in countries whose data protection the European Commission has found adequate (GDPR,
article 45). Such a decision can expire or be withdrawn, so they too are allowed explicitly only."""

ARN = r"arn:aws[a-z-]*"
INSTANCE = r"ml\.[a-z][a-z0-9-]*\.(?:medium|large|\d*xlarge)"
IMAGE = r"\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com/[\w./-]+(?::[\w.-]+|@sha256:[0-9a-f]{64})"
AN_INSTANCE = "a SageMaker instance type, such as ml.m5.large"
AN_IMAGE = "an image in ECR, <account>.dkr.ecr.<region>.amazonaws.com/<repository>:<tag>"


@dataclass(frozen=True)
class AwsSettings:
    """What is set for AWS; empty text where a variable is unset and has no default.

    Attributes:
        region: AWS region of the bucket, the jobs and the queue.
        sagemaker_role: ARN of the role that SageMaker takes on for its jobs.
        training_instance: instance type of a training job.
        transform_instance: instance type of a batch transform job.
        spot: train on spare capacity: cheaper, and may be interrupted.
        volume: GB of disk of a training job.
        kms_key: key that encrypts volumes and outputs; empty for the key of the service.
        subnets: subnets of the jobs; none for SageMaker's own network.
        security_groups: their security groups.
        images: own image URIs by framework, in place of AWS's.
        events_queue: URL of the SQS queue that tells of uploads.
        metrics_namespace: CloudWatch namespace of the runs' metrics.
        prices: JSON file with prices that replace the built-in ones.
        emr: how Spark runs there.
        athena_workgroup: workgroup whose queries make features of several tables; empty: the
            worker makes them.
        athena_database: database of Athena that holds a query's tables while it runs.
        ecs_cluster: cluster of ECS in which the model service runs; empty: it runs elsewhere.
        ecs_service: name of that service.
    """

    region: str = ""
    sagemaker_role: str = ""
    training_instance: str = "ml.m5.large"
    transform_instance: str = "ml.m5.large"
    spot: bool = False
    volume: int = 10
    kms_key: str = ""
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    images: Mapping[str, str] = field(default_factory=dict, hash=False)
    events_queue: str = ""
    metrics_namespace: str = "Millrace"
    prices: Path | None = None
    emr: EmrSettings = field(default_factory=EmrSettings)
    athena_workgroup: str = ""
    athena_database: str = "millrace"
    ecs_cluster: str = ""
    ecs_service: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> AwsSettings | None:
        """Read the AWS settings; None where none is set.

        Raises:
            SettingsError: a variable holds something that cannot be used.
        """
        subnets = listed(environment, "MILLRACE_SUBNETS", r"subnet-[0-9a-f]{8,17}", "subnet-<id>")
        groups = listed(environment, "MILLRACE_SECURITY_GROUPS", r"sg-[0-9a-f]{8,17}", "sg-<id>")
        if bool(subnets) != bool(groups):
            raise SettingsError(
                "MILLRACE_SUBNETS and MILLRACE_SECURITY_GROUPS belong together: set both or none"
            )
        cluster, service = (
            matching(environment, name, r"[\w-]{1,255}", f"the name of a {what}, not its ARN")
            for name, what in (
                ("MILLRACE_ECS_CLUSTER", "cluster of ECS"), ("MILLRACE_ECS_SERVICE", "service"),
            )
        )  # fmt: skip
        if bool(cluster) != bool(service):
            raise SettingsError(
                "MILLRACE_ECS_CLUSTER and MILLRACE_ECS_SERVICE belong together: set both or none"
            )
        found = cls(
            region=_region(environment),
            sagemaker_role=matching(
                environment, "MILLRACE_SAGEMAKER_ROLE", ARN + r":iam::\d{12}:role/[\w+=,.@/-]+",
                "the ARN of a role, arn:aws:iam::<account>:role/<name>",
            ),
            training_instance=_instance(environment, "MILLRACE_TRAINING_INSTANCE"),
            transform_instance=_instance(environment, "MILLRACE_TRANSFORM_INSTANCE"),
            spot=yes_or_no(environment, "MILLRACE_SPOT"),
            volume=whole(environment, "MILLRACE_TRAINING_VOLUME", 10, "gigabytes"),
            kms_key=matching(
                environment, "MILLRACE_KMS_KEY",
                ARN + r":kms:[a-z0-9-]+:\d{12}:key/[\w-]+|[0-9a-f-]{36}",
                "a key's ARN, arn:aws:kms:<region>:<account>:key/<id>, or its id: an alias does not"
                " do for the disks of training jobs",
            ),
            subnets=subnets,
            security_groups=groups,
            images=_images(environment),
            events_queue=matching(
                environment, "MILLRACE_EVENTS_QUEUE", r"https?://[^/\s]+/\d{12}/[\w-]{1,80}",
                "the URL of a queue, https://sqs.<region>.amazonaws.com/<account>/<name>",
            ),
            metrics_namespace=matching(
                environment, "MILLRACE_METRICS_NAMESPACE", r"(?!AWS/)[\w.\-/#]{1,255}",
                "up to 255 letters, digits and ._-/#, not beginning with AWS/", "Millrace",
            ),
            prices=file(environment, "MILLRACE_PRICES"),
            emr=EmrSettings.from_environment(environment),
            athena_workgroup=matching(
                environment, "MILLRACE_ATHENA_WORKGROUP", r"[\w.-]{1,128}",
                "the name of a workgroup of Athena: letters, digits, ., _ and -",
            ),
            athena_database=matching(
                environment, "MILLRACE_ATHENA_DATABASE", r"[a-z][a-z0-9_]{0,127}",
                "the name of a database in a-z, 0-9 and _", "millrace",
            ),
            ecs_cluster=cluster,
            ecs_service=service,
        )  # fmt: skip
        return None if found == cls() else found


def _region(environment: Mapping[str, str]) -> str:
    """A region with SageMaker's containers; one outside the EU has to be allowed."""
    allowed = yes_or_no(environment, "MILLRACE_ALLOW_REGION_OUTSIDE_EU")
    region = environment.get("MILLRACE_AWS_REGION", "")
    if not region or region in EU_REGIONS:
        return region
    choice = f"one of {', '.join(sorted(EU_REGIONS))}"
    if region not in regions():
        raise SettingsError(f"MILLRACE_AWS_REGION is {region!r}, no known region; write {choice}")
    if not allowed:
        adequate = ADEQUATE.get(region)
        place = (
            f"{adequate}: outside the EU, though under an adequacy decision"
            if adequate
            else "outside the EU"
        )
        raise SettingsError(
            f"MILLRACE_AWS_REGION is {region!r} ({place}); write {choice},"
            " or set MILLRACE_ALLOW_REGION_OUTSIDE_EU=yes if data may go there"
        )
    return region


def _instance(environment: Mapping[str, str], name: str) -> str:
    return matching(environment, name, INSTANCE, AN_INSTANCE, "ml.m5.large")


def _images(environment: Mapping[str, str]) -> dict[str, str]:
    names = {"xgboost": "MILLRACE_XGBOOST_IMAGE", "scikit-learn": "MILLRACE_SKLEARN_IMAGE"}
    found = {key: matching(environment, name, IMAGE, AN_IMAGE) for key, name in names.items()}
    return {framework: image for framework, image in found.items() if image}
