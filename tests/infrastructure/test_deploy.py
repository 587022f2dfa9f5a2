"""`make deploy` and `make destroy` from end to end, against moto's CloudFormation.

moto carries out at once and shows events of the stack alone. It proves the commands, and nothing of
what is made.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import boto3
import pytest

from millrace.infrastructure.changes import Change
from millrace.infrastructure.deploy import preview
from millrace.infrastructure.template import TEMPLATE, Template
from tests.infrastructure.commands import GIVEN, Run, status_of
from tests.infrastructure.conftest import LEAST
from tests.infrastructure.evaluate import ACCOUNT, REGION

pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")  # what moto leaves out

SMALL = """
Parameters:
  Name: {Type: String, Description: Name of the queue., ConstraintDescription: write a name}
  Wait: {Type: Number, Default: 30, Description: Seconds., ConstraintDescription: write seconds}
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties: {QueueName: !Ref Name, VisibilityTimeout: !Ref Wait}
"""
"""moto cannot update the whole template."""


class TestDeploy:
    def test_shows_what_would_be_made_and_makes_it_after_a_yes(self, cloud: Any, run: Run) -> None:
        said = run("deploy", *GIVEN, typed="yes\n")
        assert (said.status, said.error) == (0, "")
        first = said.out.splitlines()[0]
        assert first.startswith(f"Stack millrace, account {ACCOUNT}, {REGION}, as arn:aws:sts::")
        assert re.search(r"^action +name +type +replacement$", said.out, re.MULTILINE)
        assert re.search(r"^Add +Lake +AWS::S3::Bucket$", said.out, re.MULTILINE)
        assert "Carry this out? Type yes: " in said.out
        assert re.search(r"^\[0/\d+\]  CREATE_COMPLETE +millrace$", said.out, re.MULTILINE)
        assert status_of(cloud) == "CREATE_COMPLETE"
        tags = cloud.describe_stacks(StackName="millrace")["Stacks"][0]["Tags"]
        assert tags == [{"Key": "project", "Value": "millrace"}]

    @pytest.mark.parametrize("typed", ["no\n", "\n", ""])
    def test_leaves_nothing_behind_without_a_yes(self, cloud: Any, run: Run, typed: str) -> None:
        said = run("deploy", *GIVEN, typed=typed)
        assert said.status == 1
        assert said.error == "error: nothing was changed, because the answer was not yes\n"
        assert status_of(cloud) is None

    def test_asks_nobody_with_yes(self, cloud: Any, run: Run) -> None:
        said = run("deploy", "--yes", "--stack", "second", *GIVEN)
        assert said.status == 0 and "Type yes" not in said.out
        assert status_of(cloud, "second") == "CREATE_COMPLETE"

    def test_prints_the_outputs_as_lines_of_env(self, cloud: Any, run: Run) -> None:
        parameters = [{"ParameterKey": k, "ParameterValue": v} for k, v in LEAST.items()]
        body = Template.read(TEMPLATE.read_text()).body
        # moto fills in outputs of stacks alone that were made without a change set
        cloud.create_stack(StackName="millrace", TemplateBody=body, Parameters=parameters)
        said = run("deploy")
        assert said.status == 0
        assert "millrace is as the template says: nothing to do." in said.out
        lines = said.out.partition("# For .env:\n")[2].splitlines()
        assert lines[:2] == ["MILLRACE_LAKE=s3://our-lake/lake", f"MILLRACE_AWS_REGION={REGION}"]
        assert lines[-1].startswith("# images of the service: ")

    def test_a_second_time_keeps_the_values_of_the_first(
        self, cloud: Any, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "millrace.yaml").write_text(SMALL)
        monkeypatch.setattr("millrace.infrastructure.__main__.FOLDER", tmp_path)
        sqs = boto3.client("sqs", region_name=REGION)

        def wait() -> str:
            url = sqs.get_queue_url(QueueName="uploads")["QueueUrl"]
            found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])
            return str(found["Attributes"]["VisibilityTimeout"])

        assert run("deploy", "--yes", "Name=uploads").status == 0
        assert wait() == "30"
        said = run("deploy", "--yes", "Wait=45")
        assert (said.status, said.error) == (0, "")
        assert status_of(cloud) == "UPDATE_COMPLETE"
        assert wait() == "45"


class TestDestroy:
    def test_shows_what_goes_and_what_stays_and_takes_the_name(self, cloud: Any, run: Run) -> None:
        run("deploy", "--yes", *GIVEN)
        said = run("destroy", typed="millrace\n")
        assert (said.status, said.error) == (0, "")
        assert re.search(r"^is deleted +JobsRole +AWS::IAM::Role", said.out, re.MULTILINE)
        assert re.search(r"^stays +Lake +AWS::S3::Bucket +our-lake$", said.out, re.MULTILINE)
        assert "Lake stays: AWS::S3::Bucket our-lake" in said.out
        assert status_of(cloud) is None

    @pytest.mark.parametrize("typed", ["yes\n", "Millrace\n", ""])
    def test_another_word_deletes_nothing(self, cloud: Any, run: Run, typed: str) -> None:
        run("deploy", "--yes", *GIVEN)
        said = run("destroy", typed=typed)
        assert said.status == 1
        assert "nothing was deleted, because another name was typed" in said.error
        assert status_of(cloud) == "CREATE_COMPLETE"

    def test_no_such_stack(self, cloud: Any, run: Run) -> None:
        said = run("destroy", "--stack", "other")
        assert said.error == (
            "error: there is no stack other in this account and region; set STACK to its name\n"
        )


def test_the_preview_says_what_would_be_made_anew() -> None:
    changes = (
        Change("Modify", "Lake", "AWS::S3::Bucket", "yes"),
        Change("Add", "Budget", "AWS::Budgets::Budget", ""),
        Change("Modify", "Service", "AWS::ECS::Service", "maybe"),
    )
    *_, first, second, third, _, total = preview(changes).splitlines()
    assert first.split() == ["Add", "Budget", "AWS::Budgets::Budget"]
    assert second.split() == ["Modify", "Lake", "AWS::S3::Bucket", "yes"]
    assert third.split() == ["Modify", "Service", "AWS::ECS::Service", "maybe"]
    assert total == "3 resources: 1 Add, 2 Modify; 1 made anew in place of the old."
