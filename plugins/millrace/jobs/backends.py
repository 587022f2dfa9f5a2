"""The backends over the AWS provider's hooks, by the Airflow connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from millrace.jobs.job import Backend

if TYPE_CHECKING:
    from millrace.jobs.ecs_service import EcsDeployment

# botocore's own second chances for one call, before an error counts.
CONFIG: dict[str, Any] = {
    "retries": {"mode": "standard", "max_attempts": 6},
    "connect_timeout": 10,
    "read_timeout": 60,
}


def open_backend(kind: str, connection: str, region: str) -> Backend:
    """The backend of one kind of job.

    Args:
        kind: see `Request.kind`.
        connection: id of the Airflow connection to AWS.
    """
    options = {"aws_conn_id": connection, "region_name": region, "config": CONFIG}
    return _MAKERS[kind](options)


def _sagemaker_training(options: dict[str, Any]) -> Backend:
    from airflow.providers.amazon.aws.hooks.logs import AwsLogsHook
    from airflow.providers.amazon.aws.hooks.sagemaker import SageMakerHook

    from millrace.jobs.sagemaker import SageMakerTraining

    return SageMakerTraining(SageMakerHook(**options).get_conn(), AwsLogsHook(**options).get_conn())


def _sagemaker_transform(options: dict[str, Any]) -> Backend:
    from airflow.providers.amazon.aws.hooks.logs import AwsLogsHook
    from airflow.providers.amazon.aws.hooks.sagemaker import SageMakerHook

    from millrace.jobs.sagemaker import SageMakerTransform

    return SageMakerTransform(
        SageMakerHook(**options).get_conn(), AwsLogsHook(**options).get_conn()
    )


def _emr_step(options: dict[str, Any]) -> Backend:
    from airflow.providers.amazon.aws.hooks.emr import EmrHook
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    from millrace.jobs.emr_step import EmrStep

    return EmrStep(EmrHook(**options).get_conn(), S3Hook(**options).get_conn())


def _emr_cluster(options: dict[str, Any]) -> Backend:
    from airflow.providers.amazon.aws.hooks.emr import EmrHook

    from millrace.jobs.emr_cluster import EmrCluster

    return EmrCluster(EmrHook(**options).get_conn())


def _emr_serverless(options: dict[str, Any]) -> Backend:
    from airflow.providers.amazon.aws.hooks.emr import EmrServerlessHook
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    from millrace.jobs.emr_serverless import EmrServerless

    return EmrServerless(EmrServerlessHook(**options).get_conn(), S3Hook(**options).get_conn())


def _athena(options: dict[str, Any]) -> Backend:
    from airflow.providers.amazon.aws.hooks.athena import AthenaHook

    from millrace.jobs.athena import Athena

    return Athena(AthenaHook(**options).get_conn())


def _ecs(options: dict[str, Any], kind: type[EcsDeployment]) -> Backend:
    from airflow.providers.amazon.aws.hooks.ecs import EcsHook
    from airflow.providers.amazon.aws.hooks.logs import AwsLogsHook

    return kind(EcsHook(**options).get_conn(), AwsLogsHook(**options).get_conn())


def _ecs_deployment(options: dict[str, Any]) -> Backend:
    from millrace.jobs.ecs_service import EcsDeployment

    return _ecs(options, EcsDeployment)


def _ecs_rollback(options: dict[str, Any]) -> Backend:
    from millrace.jobs.ecs_rollback import EcsRollback

    return _ecs(options, EcsRollback)


_MAKERS: dict[str, Callable[[dict[str, Any]], Backend]] = {
    "sagemaker_training": _sagemaker_training,
    "sagemaker_transform": _sagemaker_transform,
    "emr_step": _emr_step,
    "emr_cluster": _emr_cluster,
    "emr_serverless": _emr_serverless,
    "athena": _athena,
    "ecs_deployment": _ecs_deployment,
    "ecs_rollback": _ecs_rollback,
}
