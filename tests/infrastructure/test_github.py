"""What the workflow on GitHub may do in the account, and nobody else."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from millrace.aws.policies import policy
from millrace.infrastructure.template import GITHUB, Template
from millrace.settings import PROJECT
from tests.infrastructure.conftest import Said
from tests.infrastructure.evaluate import ACCOUNT, REGION, Evaluation
from tests.infrastructure.test_deploy import Run, status_of

ISSUER = "token.actions.githubusercontent.com"
GIVEN = {"Repository": "our/fork", "Redeploys": "yes"}


@pytest.fixture(scope="module")
def github() -> Evaluation:
    return Evaluation(Template.read(GITHUB.read_text(encoding="utf-8")), GIVEN)


def trust(made: Evaluation, role: str) -> dict[str, Any]:
    (statement,) = made.properties(role)["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER}"
    assert statement["Principal"] == {"Federated": provider}
    condition: dict[str, Any] = statement["Condition"]
    return condition


@pytest.mark.parametrize(
    ("role", "environment"), [("PushRole", "registries"), ("RedeployRole", "production")]
)
def test_a_role_is_for_one_environment_of_one_repository(
    github: Evaluation, role: str, environment: str
) -> None:
    assert trust(github, role) == {
        "StringEquals": {
            f"{ISSUER}:aud": "sts.amazonaws.com",
            f"{ISSUER}:sub": f"repo:our/fork:environment:{environment}",
        }
    }


def test_the_environments_are_those_of_the_workflow() -> None:
    path = PROJECT / ".github" / "workflows" / "ci.yml"
    jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    found = {name: job["environment"] for name, job in jobs.items() if "environment" in job}
    assert found == {"publish": "registries", "redeploy": "production"}


def test_who_pushes_may_push_and_nothing_else(github: Evaluation) -> None:
    values = {
        "Region": REGION, "AccountId": ACCOUNT, "ServiceRepository": "millrace/service",
        "OnUploadRepository": "millrace/on-upload",
    }  # fmt: skip
    assert github.properties("PushPolicy")["PolicyDocument"] == policy("push", values)
    assert github.properties("PushRole")["ManagedPolicyArns"] == ["PushPolicy"]


def test_who_redeploys_has_the_policies_of_a_deployment(
    github: Evaluation, everything: Evaluation
) -> None:
    exported = {
        f"<{everything.resolve(said['Export']['Name'])}>": everything.outputs[name]
        for name, said in everything.sections["Outputs"].items() if "Export" in said
    }  # fmt: skip
    carried = github.properties("RedeployRole")["ManagedPolicyArns"]
    assert {exported[each] for each in carried} == {"WorkerEcsPolicy", "KeyPolicy"}


def test_without_a_service_nobody_redeploys_one() -> None:
    template = Template.read(GITHUB.read_text(encoding="utf-8"))
    made = Evaluation(template, {"Repository": "our/fork", "MakeProvider": "no"})
    assert {*made.resources} == {"PushRole", "PushPolicy"}


def test_the_command_makes_it_beside_the_stack(cloud: Any, run: Run) -> None:
    said: Said = run("deploy", "--template", "github", "--yes", "Repository=our/fork")
    assert (said.status, said.error) == (0, "")
    assert "Stack millrace-github, account" in said.out
    assert status_of(cloud, "millrace-github") == "CREATE_COMPLETE"
    gone = run("destroy", "--template", "github", typed="millrace-github\n")
    assert gone.status == 0 and status_of(cloud, "millrace-github") is None


def test_a_repository_must_be_named(cloud: Any, run: Run) -> None:
    said = run("deploy", "--template", "github", "--yes", "Repository=fork")
    assert said.status == 1 and "write <owner>/<repository>" in said.error
