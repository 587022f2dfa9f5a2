"""Requests to ECS fit botocore's service model, and its answers are taken for what they mean."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from millrace.aws import ecs
from millrace.aws.remedies import remedy_of
from tests.aws.service_model import problems_of, service_model

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ARN = "arn:aws:ecs:eu-central-1:123456789012:task-definition/serving"
DEFINITION: dict[str, Any] = {
    "taskDefinitionArn": f"{ARN}:4", "revision": 4, "status": "ACTIVE", "family": "serving",
    "registeredAt": NOON, "registeredBy": "arn:aws:iam::123456789012:user/x",
    "requiresAttributes": [{"name": "com.amazonaws.ecs.capability.task-iam-role"}],
    "compatibilities": ["EC2", "FARGATE"], "requiresCompatibilities": ["FARGATE"],
    "networkMode": "awsvpc", "cpu": "512", "memory": "1024", "volumes": [],
    "taskRoleArn": "arn:aws:iam::123456789012:role/serving",
    "executionRoleArn": "arn:aws:iam::123456789012:role/execution",
    "runtimePlatform": {"cpuArchitecture": "ARM64"},
    "containerDefinitions": [
        {"name": "proxy", "image": "envoy", "environment": [{"name": "LEVEL", "value": "info"}]},
        {"name": "serving", "image": "serving:1", "portMappings": [{"containerPort": 8000}],
         "environment": [{"name": "MILLRACE_MODELS", "value": "titanic=2, fruits"},
                         {"name": "MLFLOW_TRACKING_URI", "value": "http://mlflow"}]},
    ],
}  # fmt: skip
TAGS = {"project": "millrace", "content": "0" * 64, ecs.REPLACES: f"{ARN}:4"}


def revision(pin: tuple[str, str] = ("titanic", "3")) -> dict[str, Any]:
    return ecs.revision_request(DEFINITION, "serving", {"pin": pin}, TAGS)


def deployment(number: int, status: str = "PRIMARY", **facts: Any) -> dict[str, Any]:
    return {
        "id": f"ecs-svc/{number}", "status": status, "taskDefinition": f"{ARN}:{number}",
        "rolloutState": "COMPLETED", "desiredCount": 2, "runningCount": 2, **facts,
    }  # fmt: skip


def service(*deployments: dict[str, Any], events: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "serviceName": "millrace", "deployments": list(deployments),
        "loadBalancers": [{"containerName": "serving", "containerPort": 8000}],
        "events": [{"id": str(n), "createdAt": NOON, "message": f"(service millrace) {text}"}
                   for n, text in enumerate(events)],
    }  # fmt: skip


def test_requests_fit_the_service_model() -> None:
    assert problems_of("ecs", "RegisterTaskDefinition", revision()) == []
    request = ecs.update_request("models/millrace", f"{ARN}:5")
    assert problems_of("ecs", "UpdateService", request) == []
    assert request["forceNewDeployment"] is True


def test_what_is_copied_is_all_that_both_calls_know() -> None:
    model = service_model("ecs")
    told = set(model.shape_for("TaskDefinition").members)
    taken = set(model.operation_model("RegisterTaskDefinition").input_shape.members)
    assert told & taken - {"inferenceAccelerators"} == set(ecs.COPIED), "AWS ended the latter"


def test_a_revision_differs_in_one_pin_alone() -> None:
    made = revision()
    proxy, serving = made["containerDefinitions"]
    assert proxy == DEFINITION["containerDefinitions"][0]
    assert {each["name"]: each["value"] for each in serving["environment"]} == {
        "MILLRACE_MODELS": "titanic=3,fruits", "MLFLOW_TRACKING_URI": "http://mlflow",
    }  # fmt: skip
    assert made["cpu"] == "512" and made["runtimePlatform"] == {"cpuArchitecture": "ARM64"}
    assert {tag["key"]: tag["value"] for tag in made["tags"]} == TAGS
    assert ecs.pins(DEFINITION, "serving") == {"titanic": "2", "fruits": ""}, "left as it was"


def test_a_data_set_that_was_not_named_is_added() -> None:
    serving = revision(("homes", "7"))["containerDefinitions"][1]
    assert serving["environment"][-1]["value"] == "titanic=2,fruits,homes=7"


def test_a_service_that_serves_all_champions_goes_on_to() -> None:
    definition = copy.deepcopy(DEFINITION)
    del definition["containerDefinitions"][1]["environment"][0]
    request = ecs.revision_request(definition, "serving", {"pin": ("titanic", "3")}, TAGS)
    variables = request["containerDefinitions"][1]["environment"]
    assert {"name": "MILLRACE_MODELS", "value": "*,titanic=3"} in variables
    again = ecs.revision_request(request, "serving", {"pin": ("homes", "7")}, TAGS)
    found = ecs.pins(again, "serving")
    assert found == {"*": "", "titanic": "3", "homes": "7"}


def test_the_container_is_the_one_behind_the_load_balancer() -> None:
    assert ecs.serving_container(service(), DEFINITION) == "serving"
    with pytest.raises(ecs.NotServed, match=r"no load balancer .* give it a target group"):
        ecs.serving_container({**service(), "loadBalancers": []}, DEFINITION)


@pytest.mark.parametrize(
    ("deployments", "settled"),
    [
        ([deployment(5)], True),
        ([deployment(5, rolloutState="IN_PROGRESS")], False),
        ([deployment(5, runningCount=1)], False),
        ([deployment(5), deployment(4, "ACTIVE")], False),
    ],
)
def test_a_service_is_settled_once_one_complete_deployment_is_left(
    deployments: list[dict[str, Any]], settled: bool
) -> None:
    assert ecs.is_settled(service(*deployments)) is settled


def test_a_service_without_rolling_updates_of_its_own_has_no_rollout_state() -> None:
    one = deployment(5)
    del one["rolloutState"]
    assert ecs.is_settled(service(one))


UNHEALTHY = "(port 8000) is unhealthy in (target-group x) due to (reason {})."


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("Health checks failed with these codes: [404]", "ask for the path"),
        ("Health checks failed with these codes: [503]", "promote a version that is in"),
        ("Request timed out", "security group of the service admit"),
    ],
)
def test_the_last_unhealthy_target_is_the_reason(reason: str, remedy: str) -> None:
    told = service(
        events=(
            "has reached a steady state.", "deployment failed: tasks failed to start.",
            UNHEALTHY.format(reason), UNHEALTHY.format("Health checks failed"),
        )
    )  # fmt: skip
    events = ecs.events_since(told, NOON)
    found = ecs.reason_of(deployment(5, rolloutStateReason="breaker: gave up."), events, "")
    assert found == f"breaker: gave up; {UNHEALTHY.format(reason)[:-1]}"
    assert remedy in remedy_of(found)


def test_a_task_that_stopped_tells_its_exit_codes() -> None:
    task = {
        "stoppedReason": "Essential container in task exited",
        "containers": [{"name": "serving", "exitCode": 1}, {"name": "proxy", "exitCode": 0},
                       {"name": "agent", "reason": "CannotPullContainerError: no such image"}],
    }  # fmt: skip
    assert ecs.stopped_because(task) == (
        "Essential container in task exited, container serving: exit code 1,"
        " container agent: CannotPullContainerError: no such image"
    )
    spoilt = "the artifact of version 2 of homes is not the one that was registered: found x"
    assert "run the partition" in remedy_of(f"{spoilt}; failed with these codes: [503]")
    assert "set PYTHONPATH" in remedy_of("ModuleNotFoundError: No module named 'millrace'")


def test_the_log_of_a_container_is_named_by_its_definition() -> None:
    assert ecs.log_stream(DEFINITION, "serving", "task/models/abc") is None
    options = {"awslogs-group": "/serving", "awslogs-stream-prefix": "x"}
    container = {"name": "serving", "logConfiguration": {"options": options}}
    found = ecs.log_stream({"containerDefinitions": [container]}, "serving", "task/models/abc")
    assert found == ("/serving", "x/serving/abc")
