"""The outputs are lines of `.env` that the settings take."""

from __future__ import annotations

import re

import pytest

from millrace.settings import Settings
from tests.infrastructure.evaluate import ACCOUNT, REGION, Evaluation
from tests.stack.test_settings_documented import documented


def settings_of(made: Evaluation) -> dict[str, str]:
    exported = {name for name, said in made.sections["Outputs"].items() if "Export" in said}
    lines = [value for name, value in made.outputs.items()
             if name not in exported and not value.startswith("# ")]  # fmt: skip
    return dict(line.split("=", 1) for line in lines)


def test_every_line_is_a_known_setting(everything: Evaluation) -> None:
    for name in settings_of(everything):
        assert name in documented() or re.fullmatch(r"AIRFLOW(__\w+__|_CONN_)\w+", name), name


def test_the_settings_make_aws_the_engine_for_everything(everything: Evaluation) -> None:
    settings = Settings.from_environment(settings_of(everything))
    assert settings.has_aws_target
    assert settings.lake == "s3://our-lake/lake"
    aws = settings.emr_target()
    assert (aws.region, aws.athena_workgroup, aws.athena_database) == (
        REGION,
        "millrace",
        "millrace",
    )
    assert aws.events_queue.endswith("/millrace-UploadsQueue")
    assert aws.kms_key and aws.emr.security_configuration
    assert aws.emr.instance_profile == "SparkProfile"


@pytest.mark.parametrize("who", ["everything", "least"])
def test_airflow_takes_the_connection(who: str, request: pytest.FixtureRequest) -> None:
    from airflow.sdk import Connection

    found = settings_of(request.getfixturevalue(who))["AIRFLOW_CONN_AWS_DEFAULT"]
    connection = Connection.from_uri(found, conn_id="aws_default")
    assert connection.conn_type == "aws"
    role = {"role_arn": f"arn:aws:iam::{ACCOUNT}:role/WorkerRole"} if who == "everything" else {}
    assert connection.extra_dejson == {"region_name": REGION, **role}


def test_deployments_know_the_service_and_its_address(everything: Evaluation) -> None:
    found = settings_of(everything)
    assert found["MILLRACE_ECS_CLUSTER"] == "Cluster"
    assert found["MILLRACE_ECS_SERVICE"] == "millrace-Service"
    assert found["MILLRACE_SERVICE_URL"] == "https://LoadBalancer.DNSName"


def test_lines_for_people_say_where_images_go(everything: Evaluation) -> None:
    said = "\n".join(value for value in everything.outputs.values() if value.startswith("# "))
    assert "# images of the service: ServiceRepository.RepositoryUri" in said
