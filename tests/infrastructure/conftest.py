"""The template, what it becomes with everything in it, and the commands against moto."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
import requests

from millrace.infrastructure import changes, events
from millrace.infrastructure.__main__ import main
from millrace.infrastructure.template import TEMPLATE, Template
from tests.infrastructure.evaluate import ACCOUNT, REGION, Evaluation
from tests.lake.s3 import s3_server

LEAST = {"Bucket": "our-lake", "AlarmEmail": "ops@example.org"}
"""What has to be given."""
SERVICE = {
    "ServiceTag": "1f0c2ab", "VpcId": "vpc-0a1b2c3d",
    "PublicSubnets": "subnet-0a1b2c3d,subnet-1a1b2c3d",
    "TaskSubnets": "subnet-2a1b2c3d,subnet-3a1b2c3d", "ClientCidr": "203.0.113.0/24",
}  # fmt: skip
EVERYTHING = {
    **LEAST, **SERVICE, "OnUploadTag": "1f0c2ab", "MlflowTrackingUri": "https://mlflow.example.org",
    "CertificateArn": f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/0d990263-018e-4e65-a703-eff7",
    "WorkerPrincipal": f"arn:aws:iam::{ACCOUNT}:user/airflow",
}  # fmt: skip


@pytest.fixture(scope="session")
def template() -> Template:
    return Template.read(TEMPLATE.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def everything(template: Template) -> Evaluation:
    """With the function, the service, its certificate and its MLflow server."""
    return Evaluation(template, EVERYTHING)


@pytest.fixture(scope="session")
def least(template: Template) -> Evaluation:
    """With no more than has to be given: no function, no service."""
    return Evaluation(template, LEAST)


@pytest.fixture(scope="package")
def server() -> Iterator[str]:
    with s3_server() as endpoint:
        yield endpoint


@pytest.fixture
def cloud(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """CloudFormation, where nothing is deployed; the command reaches it by its environment."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("MILLRACE_AWS_REGION", REGION)
    monkeypatch.setattr(events, "PAUSE", 0.01)
    monkeypatch.setattr(changes, "PAUSE", 0.01)
    yield boto3.client("cloudformation", region_name=REGION)
    requests.post(f"{server}/moto-api/reset", timeout=10).raise_for_status()


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    status: int
    out: str
    error: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """The command with what somebody types."""

    def command(*arguments: str, typed: str = "") -> Said:
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        status = main(list(arguments))
        return Said(status, *capsys.readouterr())

    return command
