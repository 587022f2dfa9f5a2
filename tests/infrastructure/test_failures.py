"""A stack that fails names the first cause and what to do.

moto knows no failure: the events that AWS writes are played into it.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from millrace.infrastructure.events import remedy
from tests.infrastructure.commands import GIVEN, Run, play

pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")  # what moto leaves out

BROKEN = [
    ("millrace", "CREATE_IN_PROGRESS", "User Initiated"),
    ("Key", "CREATE_COMPLETE", ""),
    ("TrainingLogs", "CREATE_FAILED", "Resource of type 'AWS::Logs::LogGroup' with identifier"
     " '{\"/properties/LogGroupName\":\"/aws/sagemaker/TrainingJobs\"}' already exists."),
    ("Lake", "CREATE_FAILED", "Resource creation cancelled"),
    ("millrace", "ROLLBACK_IN_PROGRESS", "The following resource(s) failed to create: [Lake]."),
    ("Key", "DELETE_FAILED", "not of interest any more"),
]  # fmt: skip


class TestFailures:
    def test_names_what_failed_first_and_what_to_do(
        self, cloud: Any, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from moto.cloudformation.models import CloudFormationBackend

        monkeypatch.setattr(
            CloudFormationBackend, "execute_change_set", play(BROKEN, "ROLLBACK_COMPLETE")
        )
        said = run("deploy", "--yes", *GIVEN)
        assert said.status == 1
        head, cause, remedy = said.error.splitlines()
        assert head == "error: the stack is in ROLLBACK_COMPLETE. What failed first:"
        assert cause.startswith("TrainingLogs (AWS::Logs::LogGroup): Resource of type")
        assert remedy == (
            "  -> the account has SageMaker's log groups already: deploy with MakeJobLogs=no"
        )
        assert re.search(
            r"^\[1/\d+\]  CREATE_FAILED +TrainingLogs  Resource", said.out, re.MULTILINE
        )
        again = run("deploy", "--yes", *GIVEN)
        assert "it was never made: `make destroy` clears it away" in again.error

    def test_says_what_would_not_be_deleted(
        self, cloud: Any, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from moto.cloudformation.models import CloudFormationBackend

        run("deploy", "--yes", *GIVEN)
        reason = "User: me is not authorized to perform: iam:DeleteRole on resource: role JobsRole"
        happening = [("JobsRole", "DELETE_FAILED", reason)]
        monkeypatch.setattr(CloudFormationBackend, "delete_stack", play(happening, "DELETE_FAILED"))
        said = run("destroy", typed="millrace\n")
        assert said.status == 1
        assert said.error.splitlines() == [
            "error: the stack is in DELETE_FAILED. What failed first:",
            f"JobsRole (AWS::IAM::Role): {reason}",
            "  -> deploy as somebody who has the right it names",
        ]


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("our-lake already exists", "with another Bucket"),
        ("The requested bucket name is not available. BucketAlreadyExists", "with another Bucket"),
        ("Role with name x already exists.", "deploy as another STACK"),
        ("ECS Deployment Circuit Breaker was triggered", "read their log group"),
        ("Source image 1.dkr.ecr/x:1f0c2ab does not exist. Provide a valid source image.", "push"),
        ("At least two subnets in two different Availability Zones must be specified", "two avail"),
        ("You have attempted to create more roles than the limit", "Service Quotas"),
        ("Property validation failure", "mend what it names"),
    ],
)
def test_a_reason_has_its_remedy(reason: str, words: str) -> None:
    assert words in remedy(reason)
