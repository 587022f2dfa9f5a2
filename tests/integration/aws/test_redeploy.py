"""`make redeploy`: another image for a service that really runs, or its own again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from millrace import redeploy
from millrace.jobs import ecs_service
from millrace.settings import PROJECT
from millrace.steps.deploy import update
from tests.integration.aws.double import REMOTE, Ground
from tests.integration.aws.in_task import deferral_of, task_of
from tests.integration.aws.service import CLUSTER, IMAGE
from tests.integration.aws.standin import StandIn

pytestmark = pytest.mark.integration
TAG = "2026-11-29--20-55-18"
NEXT = f"123456789012.dkr.ecr.eu-central-1.amazonaws.com/millrace/service:{TAG}"


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("aws"), pace={"state": 0.05, "grace": 0.2}) as started:
        yield started


@pytest.fixture
def ground(aws: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ground]:
    """A service, and the settings and credentials of a person who may redeploy it."""
    made = Ground(aws, tmp_path)
    monkeypatch.setattr(ecs_service, "CATCHING_UP", 0.0)
    told = {
        **aws.environment(), "MILLRACE_HOME": str(tmp_path / "home"),
        "MILLRACE_AWS_REGION": aws.region, "MILLRACE_ECS_CLUSTER": CLUSTER,
        "MILLRACE_ECS_SERVICE": made.name, "MILLRACE_SERVICE_URL": made.url,
        "MILLRACE_POLL_INTERVAL": "0.2", "MILLRACE_JOB_TIMEOUT": "60",
    }  # fmt: skip
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    yield made
    made.scale(0)
    aws.clear_faults()


Say = Callable[..., tuple[int, str, str]]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """The command; its exit status, what it says, and its error."""

    def command(image: str = NEXT) -> tuple[int, str, str]:
        status = redeploy.main([image])
        return status, *capsys.readouterr()

    return command


def container(ground: Ground) -> dict[str, object]:
    """What the service's revision says of its container, its environment by name."""
    revision = ground.service()["taskDefinition"]
    found = ground.ecs.describe_task_definition(taskDefinition=revision)["taskDefinition"]
    (made,) = found["containerDefinitions"]
    return {**made, "environment": {each["name"]: each["value"] for each in made["environment"]}}


def test_a_new_image_serves_the_same_models(ground: Ground, say: Say) -> None:
    ground.aws.image(NEXT, PYTHONPATH=str(REMOTE))
    status, said, error = say()
    assert (status, error) == (0, "")
    assert f"{ground.url} serves club 1; release None." in said
    assert "club: version 1 answers and predicts." in said
    assert said.endswith(f"{ground.url} runs {NEXT} ({ground.name}:2).\n")
    made = container(ground)
    assert made["image"] == NEXT
    variables = made["environment"]
    assert isinstance(variables, dict)
    assert (variables["MILLRACE_RELEASE"], variables["MILLRACE_MODELS"]) == (TAG, "club=1")
    status, said, _ = say()
    assert (status, ground.runs()) == (0, "2"), "said again, it looks and changes nothing"
    assert f"serves club 1; release {TAG}." in said


def test_an_image_that_does_not_start_is_taken_back(ground: Ground, say: Say) -> None:
    ground.aws.image(NEXT)
    status, said, error = say()
    assert status == 1
    assert f"error: {NEXT} did not come into service: " in error
    assert "No module named 'remote_service'" in error and "What to do: set PYTHONPATH" in error
    assert error.endswith("What was in service before it is again, verified.\n")
    assert "task" in said and "stopped" in said, "the events and the tasks' last lines are told"
    assert (ground.runs(), ground.serves(), container(ground)["image"]) == ("1", "1", IMAGE)


def test_an_image_whose_code_is_at_fault_goes_back_although_ecs_is_content(
    ground: Ground, say: Say
) -> None:
    ground.aws.image(NEXT, PYTHONPATH=str(REMOTE), SILENT="yes")
    status, _, error = say()
    assert status == 1 and "does not predict its own example" in error
    assert error.endswith("What was in service before it is again, verified.\n")
    assert (ground.runs(), ground.serves()) == ("1", "1")


def die(ground: Ground) -> None:
    """Let the running image be one that does not start again, and its containers die."""
    ground.aws.image(IMAGE)
    assert ground.aws.process
    for process in psutil.Process(ground.aws.process.pid).children(recursive=True):
        if any("remote_service" in part for part in process.cmdline()):
            process.kill()
    ground.until(lambda: ground.serves() == "")


def test_an_image_heals_a_service_that_does_not_answer(ground: Ground, say: Say) -> None:
    die(ground)
    ground.aws.image(NEXT, PYTHONPATH=str(REMOTE))
    status, said, error = say()
    assert (status, error) == (0, "")
    assert "No model can be compared with what is served today" in said
    assert (ground.serves(), ground.runs()) == ("1", "2")


def test_there_is_no_way_back_to_what_did_not_answer(ground: Ground, say: Say) -> None:
    die(ground)
    ground.aws.image(NEXT)
    status, _, error = say()
    assert status == 1 and "No module named 'remote_service'" in error
    assert error.endswith("Nothing answered before it either, so it stays.\n")


def test_a_deployment_of_a_model_is_waited_for(ground: Ground, say: Say) -> None:
    ground.aws.image(NEXT, PYTHONPATH=str(REMOTE))
    ground.aws.pace(PENDING=2)
    operator, context = task_of("update", lambda: update(ground.run(), ground.plan()), ground.run())
    deferral_of(operator, context)
    status, _, error = say()
    ground.aws.pace(PENDING=0.05)
    assert status == 1 and f"is being deployed to {ground.name}:2; one at a time" in error
    ground.until(lambda: ground.serves() == "2" and ground.is_steady())


def test_a_model_deployed_later_keeps_the_image(ground: Ground, say: Say) -> None:
    ground.aws.image(NEXT, PYTHONPATH=str(REMOTE))
    assert say()[0] == 0
    operator, context = task_of("update", lambda: update(ground.run(), ground.plan()), ground.run())
    deferral_of(operator, context)
    ground.until(lambda: ground.serves() == "2" and ground.is_steady())
    assert container(ground)["image"] == NEXT


@pytest.mark.parametrize("image", ["service", "our/service:latest", "our/service@sha256:12"])
def test_an_image_that_may_become_another_is_refused(
    image: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        redeploy.main([image])
    assert "names no image that stays what it is; write <repository>:<tag>" in (
        capsys.readouterr().err
    )


def test_what_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch, say: Say) -> None:
    monkeypatch.delenv("MILLRACE_ECS_CLUSTER", raising=False)
    monkeypatch.delenv("MILLRACE_ECS_SERVICE", raising=False)
    assert say()[0::2] == (
        1,
        "error: deploying to ecs needs more settings: MILLRACE_ECS_CLUSTER and MILLRACE_ECS_SERVICE"
        " are not set, write the names of the cluster and the service; MILLRACE_AWS_REGION is not"
        " set, write a region such as eu-central-1\n",
    )


def test_the_command_explains_itself() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "millrace.redeploy", "--help"], capture_output=True, text=True,
        cwd=PROJECT / "plugins", check=True,
    )  # fmt: skip
    assert "make redeploy" in done.stdout
