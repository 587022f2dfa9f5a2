"""The template, and what it becomes with everything in it."""

from __future__ import annotations

import pytest

from millrace.infrastructure.template import TEMPLATE, Template
from tests.infrastructure.evaluate import ACCOUNT, REGION, Evaluation

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
