"""Deployments of a service that really runs: into service, or back, whatever goes wrong."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from millrace.aws.ecs import NotServed
from millrace.aws.errors import AwsBusy, AwsRefused
from millrace.jobs import ecs_service
from millrace.jobs.ecs_service import EcsDeployment
from millrace.jobs.job import Job, JobFailed, State, Status
from millrace.jobs.operator import JobOperator
from millrace.jobs.trigger import JobTrigger
from millrace.lake import read_published
from millrace.steps.deploy import roll_back, update, why
from millrace.steps.run import Run
from millrace.steps.verify import DeploymentFailed, NotVerified, Patience, report_failure, verify
from tests.integration.aws.double import REMOTE, Ground
from tests.integration.aws.in_task import deferral_of, task_of
from tests.integration.aws.service import IMAGE
from tests.integration.aws.standin import StandIn
from tests.jobs.test_trigger import event_of

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("connection")]
SOON = Patience(seconds=8, pause=0.1)


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("aws"), pace={"state": 0.05, "grace": 0.2}) as started:
        yield started


@pytest.fixture(autouse=True)
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in describes a service as it is, at once."""
    monkeypatch.setattr(ecs_service, "CATCHING_UP", 0.0)


@pytest.fixture
def ground(aws: StandIn, tmp_path: Path) -> Iterator[Ground]:
    made = Ground(aws, tmp_path)
    yield made
    made.scale(0)


def waiting_update(run: Run, plan: dict[str, Any]) -> tuple[JobOperator, Any, dict[str, Any]]:
    """The task `update`, deferred."""
    operator, context = task_of("update", lambda: update(run, plan), run)
    return operator, context, deferral_of(operator, context)


def backend(ground: Ground) -> EcsDeployment:
    return EcsDeployment(ground.aws.client("ecs"), ground.aws.client("logs"))


def status_of(ground: Ground, waiting: dict[str, Any]) -> Status:
    job = Job(**waiting["job"])
    return backend(ground).poll([job])[job]


def deploy(ground: Ground, run: Run, plan: dict[str, Any]) -> Any:
    """The task `update` from its beginning to its end."""
    operator, context, waiting = waiting_update(run, plan)
    ground.until(lambda: status_of(ground, waiting).state.ended)
    return operator.complete(context, {}, **waiting)


def go_back(ground: Ground, run: Run, plan: dict[str, Any]) -> None:
    """The task `roll_back`, which need not wait where the service is back already."""
    operator, context = task_of("roll_back", lambda: roll_back(run, plan), run)
    try:
        waiting = deferral_of(operator, context)
    except AssertionError as done:
        assert "gave '2'" in str(done)
        return
    ground.until(ground.is_steady)
    operator.complete(context, {}, **waiting)


def told(run: Run, plan: dict[str, Any], reason: str = "") -> str:
    """What the task `report_failure` says."""
    with pytest.raises(DeploymentFailed) as failure:
        report_failure(run, plan, reason or why(run, plan), SOON)
    return str(failure.value)


def updates(aws: StandIn) -> int:
    return aws.calls().get("ecs.UpdateService", 0)


def test_a_new_version_comes_into_service_and_stays_pinned(ground: Ground) -> None:
    run, plan = ground.run(), ground.plan()
    assert deploy(ground, run, plan) == "2"
    found = verify(run, plan, Patience(seconds=60, pause=0.1))
    assert found == ground.serves() == ground.runs() == "2"
    answer = ground.ecs.describe_task_definition(taskDefinition=ground.name, include=["TAGS"])
    (container,) = answer["taskDefinition"]["containerDefinitions"]
    assert {"name": "MILLRACE_MODELS", "value": "club=2"} in container["environment"]
    tags = {tag["key"]: tag["value"] for tag in answer["tags"]}
    assert tags["content"] == "files of 2" and tags["replaces"].endswith(f"{ground.name}:1")
    assert tags["deployment"].startswith("millrace-club-deploy-2-")
    assert backend(ground).pinned(ground.home, "club") == "2"
    record = read_published(run.store, run.place("reports", "deployment"))
    assert record and record.json("deployment.json")["outcome"] == "updated"


def test_nobody_notices_an_update(ground: Ground) -> None:
    run, plan, over = ground.run(), ground.plan(), threading.Event()
    heard: list[str] = []

    def ask() -> None:
        while not over.is_set():
            heard.append(ground.serves())

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        deploy(ground, run, plan)
    finally:
        over.set()
        asking.join()
    assert set(heard) == {"1", "2"}, "never no answer"


def wrong_health_path(ground: Ground) -> None:
    ground.aws.image(IMAGE, PYTHONPATH=str(REMOTE), HEALTH_PATH="/healthz")


def no_python_path(ground: Ground) -> None:
    ground.aws.image(IMAGE)


def closed_security_group(ground: Ground) -> None:
    ground.aws.client("ec2").revoke_security_group_ingress(**ground.rule)


def no_such_model(ground: Ground) -> None:
    ground.remove("2")


@pytest.mark.parametrize(
    ("spoil", "cause", "remedy"),
    [
        (wrong_health_path, r"failed with these codes: \[404\]", "path that the service answers"),
        (no_python_path, "No module named 'remote_service'", "set PYTHONPATH"),
        (closed_security_group, "Request timed out", "admit the one of the load balancer"),
        (no_such_model, "club has no version 2 in the registry", "MLFLOW_TRACKING_URI"),
    ],
)
def test_a_classic_failure_names_its_cause_and_the_old_version_stays(
    ground: Ground, spoil: Callable[[Ground], None], cause: str, remedy: str
) -> None:
    run, plan = ground.run(), ground.plan()
    spoil(ground)
    with pytest.raises(JobFailed, match=rf"(?s){cause}.*What to do: .*{remedy}") as failure:
        deploy(ground, run, plan)
    assert "deployment failed: tasks failed to start" in str(failure.value), "the events are told"
    assert ground.serves() == "1"
    go_back(ground, run, plan)
    said = told(run, plan)
    assert said.startswith("Version 2 of club did not come into service: ")
    assert re.search(rf"(?s){cause}.*What to do: .*{remedy}", said)
    assert said.endswith("Version 1 is in service, verified.")


def test_a_silent_rollback_is_noticed(ground: Ground) -> None:
    run, plan = ground.run(), ground.plan()
    no_python_path(ground)
    operator, context, waiting = waiting_update(run, plan)
    ground.until(lambda: ground.is_steady() and ground.runs() == "1")
    said = [event["message"] for event in ground.service()["events"][:1]]
    assert said == [f"(service {ground.name}) has reached a steady state."]
    with pytest.raises(JobFailed, match=rf"runs {ground.name}:1, not {ground.name}:2"):
        operator.complete(context, {}, **waiting)


def test_what_does_not_predict_goes_back_although_ecs_is_content(ground: Ground) -> None:
    run, plan = ground.run(), ground.plan()
    ground.version("2", mute=True)
    assert deploy(ground, run, plan) == "2"
    with pytest.raises(NotVerified, match=r"does not predict its own example: .* answers 500"):
        verify(run, plan, SOON)
    go_back(ground, run, plan)
    assert (ground.runs(), ground.serves()) == ("1", "1")
    said = told(run, plan, "it fell silent")
    assert said == (
        "Version 2 of club did not come into service: it fell silent\n"
        "Version 1 is in service, verified."
    )
    record = read_published(run.store, run.place("reports", "deployment"))
    assert record and record.json("deployment.json")["outcome"] == "rolled back"


def test_a_breaker_that_does_not_go_back_is_taken_back(ground: Ground) -> None:
    run, plan = ground.run(), ground.plan()
    ground.set_breaker({"enable": True, "rollback": False})
    no_python_path(ground)
    with pytest.raises(JobFailed, match="circuit breaker"):
        deploy(ground, run, plan)
    ground.aws.image(IMAGE, PYTHONPATH=str(REMOTE))
    assert ground.runs() == "2", "ECS leaves it as it is"
    go_back(ground, run, plan)
    assert (ground.runs(), ground.serves()) == ("1", "1")


def test_a_retry_finds_its_deployment_and_waits_on(ground: Ground) -> None:
    run, plan = ground.run(), ground.plan()
    before = updates(ground.aws)
    ground.aws.pace(PENDING=2)
    _, _, first = waiting_update(run, plan)
    operator, context, second = waiting_update(run, plan)
    ground.aws.pace(PENDING=0.05)
    assert first["job"] == second["job"] and second["found"]
    ground.until(lambda: status_of(ground, second).state.ended)
    assert operator.complete(context, {}, **second) == "2"
    again, context = task_of("update", lambda: update(run, plan), run)
    assert again.execute(context) == "2", "a retry after the end finds it done"
    assert updates(ground.aws) == before + 1


def test_a_worker_that_died_before_the_update_leaves_nothing_but_a_revision(
    ground: Ground,
) -> None:
    run, plan = ground.run(), ground.plan()
    ground.aws.fault({"fault": "access_denied", "operation": "UpdateService", "times": 1})
    with pytest.raises(AwsRefused, match="ecs:UpdateService"):
        waiting_update(run, plan)
    assert (ground.runs(), ground.serves()) == ("1", "1")
    go_back(ground, run, plan)
    assert told(run, plan).endswith("Version 1 is in service, verified.")
    _, _, waiting = waiting_update(run, plan)
    assert waiting["job"]["number"] == 2


def test_a_service_that_ecs_does_not_describe_as_updated_yet_is_waited_for(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, plan = ground.run(), ground.plan()
    ground.aws.fault({"fault": "access_denied", "operation": "UpdateService", "times": 1})
    with pytest.raises(AwsRefused):
        waiting_update(run, plan)
    monkeypatch.setattr(ecs_service, "CATCHING_UP", 60.0)
    _, _, waiting = waiting_update(run, plan)
    assert waiting["found"] and status_of(ground, waiting).state is State.WAITING
    monkeypatch.setattr(ecs_service, "CATCHING_UP", 0.0)
    assert status_of(ground, waiting).state is State.STOPPED, "it is started anew then"


def test_a_deployment_of_old_is_not_taken_back(ground: Ground) -> None:
    """The update of today failed before it changed anything; the one of last month did not."""
    deploy(ground, ground.run(), ground.plan())
    deploy(ground, ground.run(), ground.plan("1", before="2"))
    assert (ground.runs(), ground.serves()) == ("3", "1")
    today = replace(ground.run(), run_id="manual__today")
    go_back(ground, today, ground.plan())
    assert (ground.runs(), ground.serves()) == ("3", "1")
    assert "the logs of `update` and `verify` tell why" in told(today, ground.plan())


def test_an_answer_that_is_lost_makes_no_second_deployment(ground: Ground) -> None:
    run, plan = ground.run(), ground.plan()
    ground.aws.fault({"fault": "lost_answer", "operation": "RegisterTaskDefinition", "times": 1})
    assert deploy(ground, run, plan) == "2"
    assert ground.serves() == "2"


def test_a_task_that_is_failed_takes_its_deployment_back(ground: Ground) -> None:
    run, plan = ground.run(), ground.plan()
    ground.aws.pace(PENDING=2)
    operator, _, waiting = waiting_update(run, plan)
    operator.on_kill()
    ground.aws.pace(PENDING=0.05)
    ground.until(lambda: status_of(ground, waiting).state is State.STOPPED)
    assert (ground.runs(), ground.serves()) == ("1", "1")
    assert told(run, plan).endswith("Version 1 is in service, verified.")
    _, _, again = waiting_update(run, plan)
    assert again["job"]["number"] == 2


def test_the_triggerer_tells_the_events_and_takes_back_what_comes_to_nothing(
    ground: Ground, capsys: pytest.CaptureFixture[str]
) -> None:
    run, plan = ground.run(MILLRACE_JOB_TIMEOUT="2"), ground.plan()
    ground.set_breaker({"enable": False, "rollback": False})
    no_such_model(ground)
    operator, context, waiting = waiting_update(run, plan)
    trigger = JobTrigger("ecs_deployment", waiting["job"], "aws_default", ground.aws.region, 2, 0.2)
    event = asyncio.run(event_of(trigger))
    said = capsys.readouterr().out
    assert "of 1 tasks run" in said and "has started 1 tasks: (task" in said
    assert "has reached its limit of 2 s and is stopped" in said and event["expired"]
    with pytest.raises(JobFailed, match=r"(?s)time limit of 2 s.*MILLRACE_JOB_TIMEOUT"):
        operator.complete(context, event, **waiting)
    assert (ground.runs(), ground.serves()) == ("1", "1")


def test_one_deployment_of_a_service_at_a_time(ground: Ground) -> None:
    run = ground.run()
    ground.version("3")
    ground.aws.pace(PENDING=1)
    _, _, waiting = waiting_update(run, ground.plan())
    with pytest.raises(AwsBusy, match=f"is being deployed to {ground.name}:2; one at a time"):
        waiting_update(run, ground.plan("3"))
    ground.aws.pace(PENDING=0.05)
    ground.until(lambda: status_of(ground, waiting).state is State.SUCCEEDED)


def test_a_service_that_is_not_there_is_named(ground: Ground) -> None:
    run = ground.run(MILLRACE_ECS_SERVICE="nobody")
    with pytest.raises(NotServed, match="there is no service nobody in the cluster models; set"):
        waiting_update(run, ground.plan())
