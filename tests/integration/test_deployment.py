"""Deployment under a real scheduler: a champion starts it, a person agrees, the service answers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from millrace.settings import Settings
from millrace.stack import Stack
from millrace.tracking import registry
from tests.integration.deployments import Deployments
from tests.integration.test_scheduler import SPEC, deliver, orchard, stack_client
from tests.integration.waiting import eventually, finished
from tests.steps.test_verify import Remote

pytestmark = pytest.mark.integration
DAG = "deploy_orchard"
REFUSAL = "the model does not predict as it must"


@dataclass
class Ground:
    """A stack whose one data set is deployed with approval, and its service."""

    stack: Stack
    remote: Remote
    deployments: Deployments


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    remote = Remote(tmp_path_factory.mktemp("remote"), "orchard")
    remote.champion("old", {"old": {"content": "what was there before"}})
    datasets = tmp_path_factory.mktemp("datasets")
    spec = SPEC.replace("  line: {algorithm: logistic_regression}\n", "")
    (datasets / "orchard.yaml").write_text(f"{spec}deploy: {{approval: true}}\n")
    settings = Settings.from_environment({
        "MILLRACE_HOME": str(tmp_path_factory.mktemp("home")), "MILLRACE_DATASETS": str(datasets),
        "MILLRACE_SERVICE_URL": remote.url, "MILLRACE_MLFLOW_BUDGET": "240",
    })  # fmt: skip
    try:
        with Stack(settings) as stack:
            stack.api.wait_for_dags(["orchard", DAG])
            for name in ("orchard", DAG):
                stack.api.unpause(name)
            yield Ground(stack, remote, Deployments(stack, "orchard"))
    finally:
        remote.process.kill()
        remote.process.wait()


def test_a_champion_is_agreed_to_and_verified_or_the_old_version_is(ground: Ground) -> None:
    api, deployments = ground.stack.api, ground.deployments
    deliver(ground.stack.settings, "2026-01-01", orchard(1))
    run = api.trigger("orchard", {"partition": "2026-01-01", "engine": "local"})
    assert finished(ground.stack, "orchard", run)["state"] == "success"

    first = deployments.waiting(set())
    assert api.run(DAG, first)["run_type"] != "manual", "the champion started it"
    version = registry.champion(stack_client(ground.stack), "orchard")
    assert version is not None
    served = {"content": version.tags[registry.CONTENT]}
    ground.remote.champion(version.version, {version.version: {**served, "broken": REFUSAL}})
    state, tasks = deployments.answer(first, "Approve")
    assert (state, tasks) == ("failed", {
        "plan": "success", "approve": "success", "update": "success", "verify": "failed",
        "roll_back": "success", "report_failure": "failed",
    })  # fmt: skip
    said = deployments.log(first, "report_failure")
    assert f"did not come into service: {ground.remote.url} does not take version" in said
    assert REFUSAL in said and "is in service, verified" in said

    second = api.trigger(DAG)
    assert deployments.waiting({first}) == second
    state, tasks = deployments.answer(second, "Reject")
    assert (state, tasks.pop("plan"), tasks.pop("approve")) == ("success", "success", "success")
    assert set(tasks.values()) == {"skipped"}
    assert "the service stays as it is" in deployments.log(second, "approve")

    third = api.trigger(DAG)
    assert deployments.waiting({first, second}) == third
    ground.remote.champion(version.version, {version.version: served})
    state, tasks = deployments.answer(third, "Approve")
    assert (state, tasks["verify"]) == ("success", "success")
    assert tasks["roll_back"] == tasks["report_failure"] == "skipped"

    fourth = api.trigger(DAG)
    assert deployments.end(fourth)[0] == "success"
    assert deployments.states(fourth)["plan"] == "skipped", "it is in service"


def test_a_backfill_that_may_promote_deploys_nothing(ground: Ground) -> None:
    api = ground.stack.api
    before = len(api.runs(DAG))
    deliver(ground.stack.settings, "2026-02-01", orchard(2))
    backfill(ground.stack, "2026-02-01")
    started = "the run that the event started"
    eventually(lambda: len(api.runs(DAG)) > before, started, ground.stack)
    (run,) = [run for run in api.runs(DAG) if run["run_type"] != "manual"][1:]
    assert finished(ground.stack, DAG, run["dag_run_id"])["state"] == "success"
    assert ground.deployments.states(run["dag_run_id"])["plan"] == "skipped"
    promoted = registry.champion(stack_client(ground.stack), "orchard")
    assert promoted and promoted.tags["millrace.partition"] == "2026-02-01", "but it is champion"


def backfill(stack: Stack, day: str) -> None:
    """A backfill of one day that may move the champion, followed to its end."""
    done = subprocess.run(
        [Path(sys.executable).with_name("airflow"), "backfill", "create", "--dag-id", "orchard",
         "--from-date", day, "--to-date", day, "--dag-run-conf", '{"promote": "yes"}'],
        env={**os.environ, **stack.environment()}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    eventually(
        lambda: all(one["completed_at"] for one in stack.api.backfills("orchard")),
        "the backfill", stack,
    )  # fmt: skip
