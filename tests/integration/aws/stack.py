"""The real stack, pointed at the stand-in of AWS by its settings and connection alone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from millrace.aws.policies import policy
from millrace.lake import Store, open_store
from millrace.settings import Settings
from millrace.stack import Stack
from tests.integration.aws.service import CLUSTER, GROUP
from tests.integration.aws.spark import pack_this_environment, spark_submit
from tests.integration.aws.standin import StandIn
from tests.integration.aws.standin.account import ACCOUNT, INSTANCE_PROFILE, REGION, role_arn

BUCKET = "millrace-rehearsal"
LAKE = f"s3://{BUCKET}/lake"
JOBS_ROLE = "millrace-jobs"
ENVIRONMENT = "environments/own.tar.gz"
EMR_JOB_ROLE = "millrace-emr"  # of runs of EMR Serverless
SERVICE = "millrace-service"  # of ECS, its task definition and the role of its container
STARTER = "millrace-service-start"  # the role that starts it
VALUES = {
    "Bucket": BUCKET,
    "Prefix": "lake",
    "Region": REGION,
    "AccountId": ACCOUNT,
    "SageMakerRole": role_arn(JOBS_ROLE),
    "ImageAccount": "*",
    "EmrJobRole": role_arn(EMR_JOB_ROLE),
    "EmrServiceRole": role_arn(),
    "EmrInstanceRole": role_arn(INSTANCE_PROFILE),
    "TaskLogGroup": "millrace-tasks",
    "MetricsNamespace": "Millrace",
    "EventsQueue": "millrace-events",
    "EcsCluster": CLUSTER,
    "EcsService": SERVICE,
    "EcsFamily": SERVICE,
    "EcsTaskRole": role_arn(SERVICE),
    "EcsExecutionRole": role_arn(STARTER),
    "ServiceLogGroup": GROUP,
    "ServiceRepository": "millrace/serving",
    "KmsKey": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/0d990263",
}
OURS = ("MILLRACE_", "AIRFLOW_CONN_", "AWS_", "MLFLOW_TRACKING_URI")


@dataclass(frozen=True)
class Rehearsal:
    """A stand-in of AWS, and a stack that takes it for AWS."""

    aws: StandIn
    stack: Stack
    store: Store


@contextmanager
def rehearsal(
    folder: Path,
    variables: Mapping[str, str] | None = None,
    pace: Mapping[str, float] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Rehearsal]:
    """Start both.

    Args:
        folder: receives everything both of them write.
        variables: settings on top of those of the rehearsal.
        pace: how long the stand-in stays in each state, see there.
        environment: the stand-in's, on top of this process's.
    """
    with cloud(folder, pace, environment) as aws, stack_on(aws, folder, variables) as started:
        yield started


@contextmanager
def cloud(
    folder: Path,
    pace: Mapping[str, float] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[StandIn]:
    """The stand-in with a lake; worker, jobs and service are under the shipped policies."""
    worker = [policy(name, VALUES) for name in ("worker", "worker-emr", "worker-ecs")]
    archive = pack_this_environment(folder / "environment" / "spark.tar.gz")
    environment = {"STANDIN_SPARK_SUBMIT": spark_submit(folder / "spark"), **(environment or {})}
    machines = [policy("emr-instance", VALUES)]
    roles = {
        JOBS_ROLE: [policy("sagemaker", VALUES)],
        INSTANCE_PROFILE: machines,
        EMR_JOB_ROLE: machines,
        SERVICE: [policy("service", VALUES)],
        STARTER: [policy("service-start", VALUES)],
    }
    with StandIn(
        folder / "aws", policies={"worker": worker}, roles=roles, pace=pace, environment=environment
    ) as aws:
        aws.client("s3").create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": aws.region}
        )
        aws.client("s3").upload_file(str(archive), BUCKET, f"lake/{ENVIRONMENT}")
        yield aws


@contextmanager
def stack_on(
    aws: StandIn, folder: Path, variables: Mapping[str, str] | None = None
) -> Iterator[Rehearsal]:
    """The stack, whose worker is the stand-in's user of that name."""
    settings = {
        **{name: value for name, value in os.environ.items() if not name.startswith(OURS)},
        "MILLRACE_HOME": str(folder / "home"),
        "MILLRACE_LAKE": LAKE,
        "MILLRACE_AWS_REGION": aws.region,
        "MILLRACE_SAGEMAKER_ROLE": role_arn(JOBS_ROLE),
        "MILLRACE_EMR_SERVICE_ROLE": role_arn(),
        "MILLRACE_EMR_INSTANCE_PROFILE": INSTANCE_PROFILE,
        "MILLRACE_SPARK_ARCHIVE": f"{LAKE}/{ENVIRONMENT}",
        "MILLRACE_MLFLOW_BUDGET": "240",  # a busy machine must not make the spool take a result
        "MILLRACE_POLL_INTERVAL": "1",
        "AIRFLOW_CONN_AWS_DEFAULT": aws.connection("worker"),
        **(variables or {}),
    }
    with (
        patch.dict(os.environ, settings, clear=True),
        Stack(Settings.from_environment(settings)) as stack,
    ):
        yield Rehearsal(aws, stack, open_store(LAKE, aws.client("s3")))
