"""One frozen settings object, read from the environment.

Every variable stands in `.env.example` with its reason. Secrets do not belong here: they stay
in Airflow connections.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from millrace.errors import MillraceError

PROJECT = Path(__file__).resolve().parents[2]


class SettingsError(MillraceError):
    """A setting cannot be used; the message names the variable and what to write."""


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
        aws_connection: Airflow connection used for an S3 lake.
    """

    home: Path
    lake: str
    datasets: Path
    mlflow_uri: str
    mlflow_budget: float
    job_timeout: float
    aws_connection: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read the settings, with defaults for a laptop.

        Raises:
            SettingsError: a variable holds something that cannot be used.
        """
        home = _folder(environment.get("MILLRACE_HOME") or PROJECT / "var")
        return cls(
            home=home,
            lake=_lake(environment.get("MILLRACE_LAKE") or str(home / "lake")),
            datasets=_folder(environment.get("MILLRACE_DATASETS") or PROJECT / "include/datasets"),
            mlflow_uri=_server(environment.get("MLFLOW_TRACKING_URI") or "http://127.0.0.1:5000"),
            mlflow_budget=_seconds(environment, "MILLRACE_MLFLOW_BUDGET", 45),
            job_timeout=_seconds(environment, "MILLRACE_JOB_TIMEOUT", 3600),
            aws_connection=environment.get("MILLRACE_AWS_CONNECTION") or "aws_default",
        )


def _folder(path: str | Path) -> Path:
    return Path(path).expanduser().resolve()


def _lake(root: str) -> str:
    """A lake's root; a mistyped `s3:/bucket` must not quietly become a folder of that name."""
    if re.fullmatch(r"s3://[^/\s]+(/.*)?", root):
        return root.rstrip("/")
    if re.match(r"\w+:", root):
        raise SettingsError(
            f"MILLRACE_LAKE is {root!r}; write a local folder or s3://bucket/prefix"
        )
    return str(_folder(root))


def _server(uri: str) -> str:
    if not re.match(r"https?://[^/\s]", uri):
        raise SettingsError(
            f"MLFLOW_TRACKING_URI is {uri!r}; write the address of a server, http://host:port"
        )
    return uri.rstrip("/")


def _seconds(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name, "")
    try:
        value = float(text or default)
    except ValueError:
        raise SettingsError(
            f"{name} is {text!r}; write a number of seconds, such as {default}"
        ) from None
    if not (math.isfinite(value) and value > 0):
        raise SettingsError(f"{name} is {text!r}; write a positive number of seconds")
    return value
