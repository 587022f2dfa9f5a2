"""One frozen settings object, read from the environment.

Every variable stands in `.env.example` with its reason. Secrets do not belong here: they stay
in Airflow connections.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from millrace.aws.target import AwsSettings
from millrace.variables import SettingsError, folder, matching, seconds, yes_or_no

__all__ = ["PROJECT", "AwsSettings", "Settings", "SettingsError"]

RETAINED = (
    "raw", "processed", "features", "models", "predictions", "reports", "recorded", "jobs",
)  # fmt: skip
DEFAULT_SERVICE = "http://127.0.0.1:8000"  # where the local stack serves models
PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Settings:
    """What an installation of Millrace can be told from outside.

    Attributes:
        home: folder of everything the local stack writes (databases, logs, the default lake).
        lake: root of the data lake, a local folder or `s3://bucket/prefix`.
        datasets: folder of the data set specs.
        mlflow_uri: address of the MLflow server (`http://host:port`).
        mlflow_budget: seconds that logging to MLflow may take before the result is spooled.
        job_timeout: seconds that one training or transform job may run.
        poll_interval: seconds between two questions to AWS about a running job.
        aws_connection: Airflow connection used for an S3 lake and for all jobs on AWS.
        spark_memory: memory of the JVM of a local Spark, such as `2g`.
        sql_memory: memory of the SQL engine on this machine, such as `2g`; more goes to disk.
        privacy_connection: Airflow connection whose password is the key of erasures' proofs.
        service_url: address of the model service, or of the load balancer in front of it.
        retention: for an area of the lake the days that its partitions are kept.
        retention_apply: whether what is older is removed, and not only listed.
        aws: where on AWS the pipelines run; None where nothing of it is set.
    """

    home: Path
    lake: str
    datasets: Path
    mlflow_uri: str
    mlflow_budget: float
    job_timeout: float
    poll_interval: float
    aws_connection: str
    spark_memory: str = "2g"
    sql_memory: str = "2g"
    privacy_connection: str = "millrace_privacy"
    service_url: str = DEFAULT_SERVICE
    retention: tuple[tuple[str, int], ...] = ()
    retention_apply: bool = False
    aws: AwsSettings | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read the settings, with defaults for a laptop.

        Raises:
            SettingsError: a variable holds something that cannot be used.
        """
        home = folder(environment.get("MILLRACE_HOME") or PROJECT / "var")
        return cls(
            home=home,
            lake=_lake(environment.get("MILLRACE_LAKE") or str(home / "lake")),
            datasets=folder(environment.get("MILLRACE_DATASETS") or PROJECT / "include/datasets"),
            mlflow_uri=_server(environment, "MLFLOW_TRACKING_URI", "http://127.0.0.1:5000"),
            mlflow_budget=seconds(environment, "MILLRACE_MLFLOW_BUDGET", 45),
            job_timeout=seconds(environment, "MILLRACE_JOB_TIMEOUT", 3600),
            poll_interval=seconds(environment, "MILLRACE_POLL_INTERVAL", 15),
            aws_connection=environment.get("MILLRACE_AWS_CONNECTION") or "aws_default",
            spark_memory=matching(
                environment, "MILLRACE_SPARK_MEMORY", r"[1-9]\d{0,4}[mg]",
                "an amount of memory, such as 2g", "2g",
            ),
            sql_memory=matching(
                environment, "MILLRACE_SQL_MEMORY", r"[1-9]\d{0,4}[mg]",
                "an amount of memory, such as 2g", "2g",
            ),
            privacy_connection=environment.get("MILLRACE_PRIVACY_CONNECTION") or "millrace_privacy",
            service_url=_server(environment, "MILLRACE_SERVICE_URL", DEFAULT_SERVICE),
            retention=_retention(environment.get("MILLRACE_RETENTION") or ""),
            retention_apply=yes_or_no(environment, "MILLRACE_RETENTION_APPLY"),
            aws=AwsSettings.from_environment(environment),
        )  # fmt: skip

    @property
    def aws_region(self) -> str | None:
        """The region that is set; None leaves it to the connection."""
        return (self.aws.region or None) if self.aws else None

    @property
    def engine(self) -> str:
        """What `auto` stands for, and why, for people."""
        missing = self._missing_for_aws()
        if not missing:
            return f"aws ({self.lake}, {self.aws_region})"
        wanted = self.aws is not None or self.lake.startswith("s3://")
        return f"local; for aws: {'; '.join(missing)}" if wanted else "local"

    @property
    def has_aws_target(self) -> bool:
        """Whether everything is set that jobs on AWS need."""
        return not self._missing_for_aws()

    def aws_target(self) -> AwsSettings:
        """Where on AWS jobs run.

        Raises:
            SettingsError: something is not set; the message names all of it.
        """
        missing = self._missing_for_aws()
        if missing or self.aws is None:
            raise SettingsError(f"engine aws needs more settings: {'; '.join(missing)}")
        return self.aws

    def emr_target(self) -> AwsSettings:
        """Where on AWS Spark runs.

        Raises:
            SettingsError: something is not set; the message names all of it.
        """
        aws = self.aws or AwsSettings()
        missing = [*self._missing_for_aws(), *aws.emr.missing()]
        if missing:
            raise SettingsError(f"Spark on aws needs more settings: {'; '.join(missing)}")
        return aws

    @property
    def has_ecs_target(self) -> bool:
        """Whether the model service is set as one of ECS."""
        return bool(self.aws and self.aws.ecs_service)

    def ecs_target(self) -> AwsSettings:
        """Where on ECS the model service runs.

        Raises:
            SettingsError: something is not set; the message names all of it.
        """
        aws = self.aws or AwsSettings()
        wanted = {
            "MILLRACE_ECS_CLUSTER and MILLRACE_ECS_SERVICE are not set, write the names of the"
            " cluster and the service": aws.ecs_service,
            "MILLRACE_AWS_REGION is not set, write a region such as eu-central-1": aws.region,
        }
        if missing := [text for text, found in wanted.items() if not found]:
            raise SettingsError(f"deploying to ecs needs more settings: {'; '.join(missing)}")
        return aws

    def _missing_for_aws(self) -> list[str]:
        aws = self.aws or AwsSettings()
        wanted = {
            f"MILLRACE_LAKE is {self.lake!r}, write s3://bucket/prefix": self.lake[:5] == "s3://",
            "MILLRACE_AWS_REGION is not set, write a region such as eu-central-1": aws.region,
            "MILLRACE_SAGEMAKER_ROLE is not set, write the ARN of the role of SageMaker's jobs,"
            " arn:aws:iam::<account>:role/<name>": aws.sagemaker_role,
        }
        return [text for text, found in wanted.items() if not found]


def _lake(root: str) -> str:
    """A lake's root; a mistyped `s3:/bucket` must not quietly become a folder of that name."""
    if re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?", root):
        return root.rstrip("/")
    if re.match(r"\w+:", root):
        raise SettingsError(
            f"MILLRACE_LAKE is {root!r}; write a local folder or s3://bucket/prefix"
        )
    return str(folder(root))


def _retention(text: str) -> tuple[tuple[str, int], ...]:
    """`raw=365,predictions=90`: days by area of the lake."""
    found: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        area, _, days = (each.strip() for each in part.partition("="))
        if area not in RETAINED or area in found or not re.fullmatch(r"[1-9]\d{0,4}", days):
            raise SettingsError(
                f"MILLRACE_RETENTION has {part!r}; write days for each area once, such as"
                f" raw=365,predictions=90, with areas of {', '.join(RETAINED)}"
            )
        found[area] = int(days)
    return tuple(found.items())


def _server(environment: Mapping[str, str], name: str, default: str) -> str:
    uri = environment.get(name) or default
    if not re.match(r"https?://[^/\s]", uri):
        raise SettingsError(f"{name} is {uri!r}; write the address of a server, http://host:port")
    return uri.rstrip("/")
