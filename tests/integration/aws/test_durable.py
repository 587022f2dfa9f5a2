"""Jobs on AWS under a real scheduler survive what happens to machines, people and services."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from millrace.settings import PROJECT
from tests.integration.aws.stack import BUCKET, Rehearsal, rehearsal
from tests.integration.aws.standin import StandIn
from tests.integration.test_scheduler import SPEC, orchard

pytestmark = pytest.mark.integration

HERE = Path(__file__).parent
TIMEOUT = 240
ONE_CANDIDATE = SPEC.replace("  line: {algorithm: logistic_regression}\n", "")
TRAIN, STEP = "sagemaker-training", "emr-step"
SUBMITS = {TRAIN: "CreateTrainingJob", STEP: "AddJobFlowSteps"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    """The stand-in and a stack with a small data set of one candidate, and a DAG on EMR."""
    folder = tmp_path_factory.mktemp("rehearsal")
    datasets, dags = folder / "datasets", folder / "dags"
    shutil.copytree(PROJECT / "dags", dags)
    shutil.copytree(HERE / "dags", dags, dirs_exist_ok=True)
    datasets.mkdir()
    (datasets / "orchard.yaml").write_text(ONE_CANDIDATE)
    (datasets / "broken_orchard.yaml").write_text(
        ONE_CANDIDATE.replace("max_depth: 3", "max_dept: 3")
    )
    variables = {
        "MILLRACE_DATASETS": str(datasets),
        "MILLRACE_DAGS": str(dags),
        "REHEARSAL_ROLE": StandIn.role,
        "REHEARSAL_PROFILE": StandIn.instance_profile,
    }
    with rehearsal(folder, variables) as started:
        script = (HERE / "steps" / "count_squares.py").read_bytes()
        key = "lake/jobs/sent/count_squares.py"
        started.aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=script)
        names = ["orchard", "broken_orchard", "emr_rehearsal", "stop_orphans"]
        started.stack.api.wait_for_dags(names)
        for name in names:
            started.stack.api.unpause(name)
        yield started


@pytest.fixture(autouse=True)
def quiet_cloud(running: Rehearsal) -> Iterator[None]:
    """Leaves no fault and no slow state to the next test."""
    yield
    running.aws.clear_faults()
    running.aws.pace(Downloading=0.3)


def deliver(running: Rehearsal, partition: str, dataset: str = "orchard", seed: int = 1) -> None:
    key = f"lake/raw/{dataset}/{partition}/rows.csv"
    running.aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=orchard(seed).encode())


def start(running: Rehearsal, partition: str, dag: str = "orchard") -> str:
    return running.stack.api.trigger(dag, {"partition": partition})


def jobs(running: Rehearsal, service: str, partition: str) -> list[dict[str, Any]]:
    """What was submitted for a partition."""
    compact = partition.replace("-", "")
    return [job for job in running.aws.jobs(service=service) if compact in job["title"]]


def eventually(found: Callable[[], Any], what: str, timeout: float = 60) -> Any:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if result := found():
            return result
        time.sleep(0.1)
    raise AssertionError(f"waited {timeout} s in vain for {what}")


def task(running: Rehearsal, run_id: str, name: str, dag: str = "orchard") -> dict[str, Any]:
    for instance in running.stack.api.task_instances(dag, run_id):
        if instance["task_id"] == name and instance["state"]:
            return instance
    return {"state": None}


def log_of(running: Rehearsal, instance: dict[str, Any]) -> str:
    return running.stack.api.log(
        instance["dag_id"], instance["dag_run_id"], instance["task_id"],
        instance["try_number"], instance["map_index"],
    )  # fmt: skip


def wait_until_deferred(running: Rehearsal, run_id: str, name: str, dag: str = "orchard") -> None:
    eventually(
        lambda: task(running, run_id, name, dag)["state"] == "deferred", f"{name} to be deferred"
    )


def wait_until_watched(running: Rehearsal, run_id: str, name: str, dag: str = "orchard") -> None:
    """Wait until the triggerer has said in the log where the job stands: then it holds the task."""
    wait_until_deferred(running, run_id, name, dag)
    instance = task(running, run_id, name, dag)
    state = re.compile(r"millrace-\S+-1: [A-Z]")
    eventually(lambda: state.search(log_of(running, instance)), f"{name} to be watched")


def fail(running: Rehearsal, instance: dict[str, Any]) -> None:
    """Mark a task failed, as a person does in the UI."""
    path = f"/dags/{instance['dag_id']}/dagRuns/{instance['dag_run_id']}"
    path += f"/taskInstances/{instance['task_id']}"
    if instance["map_index"] >= 0:
        path += f"/{instance['map_index']}"
    running.stack.api._call("PATCH", path, json={"new_state": "failed"})


def sweep(running: Rehearsal) -> None:
    api = running.stack.api
    assert api.wait("stop_orphans", api.trigger("stop_orphans"), TIMEOUT)["state"] == "success"


def succeeded(running: Rehearsal, run_id: str, dag: str = "orchard") -> None:
    run = running.stack.api.wait(dag, run_id, TIMEOUT)
    if run["state"] != "success":
        failed = [
            t for t in running.stack.api.task_instances(dag, run_id) if t["state"] == "failed"
        ]
        raise AssertionError("\n".join(log_of(running, each)[-3000:] for each in failed))


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def runner_of(instance_id: str) -> int | None:
    """The process that runs a task instance: Airflow titles it so."""
    for process in psutil.process_iter(["cmdline"]):
        if f"airflow worker -- {instance_id}" in " ".join(process.info["cmdline"] or ()):
            return process.pid
    return None


def test_a_killed_task_runner_leaves_one_job_that_the_retry_finds(running: Rehearsal) -> None:
    """Killed after the job was made and before its name could be noted anywhere."""
    deliver(running, "2026-01-01")
    lost = {"fault": "lost_answer", "operation": "CreateTrainingJob", "times": 1, "seconds": 60}
    running.aws.fault(lost)
    running.aws.pace(Downloading=5)
    run_id = start(running, "2026-01-01")
    eventually(lambda: jobs(running, TRAIN, "2026-01-01"), "the training job")
    kill(eventually(lambda: runner_of(task(running, run_id, "train")["id"]), "the task runner"))
    succeeded(running, run_id)
    assert len(jobs(running, TRAIN, "2026-01-01")) == 1
    assert task(running, run_id, "train")["try_number"] == 2
    assert "at this work already" in log_of(running, task(running, run_id, "train")) or (
        "has done this work already" in log_of(running, task(running, run_id, "train"))
    )


def test_killed_triggerer_and_scheduler_change_nothing(running: Rehearsal) -> None:
    deliver(running, "2026-01-02")
    running.aws.pace(Downloading=10)
    trained, counted = start(running, "2026-01-02"), start(running, "2026-01-02", "emr_rehearsal")
    wait_until_deferred(running, trained, "train")
    wait_until_deferred(running, counted, "count_squares", "emr_rehearsal")
    for component in ("triggerer", "scheduler"):
        kill(running.stack.pids()[component])
    succeeded(running, trained)
    succeeded(running, counted, "emr_rehearsal")
    assert len(jobs(running, TRAIN, "2026-01-02")) == 1
    assert len(jobs(running, STEP, "2026-01-02")) == 1
    assert jobs(running, STEP, "2026-01-02")[0]["starts"] == 1
    said = log_of(running, task(running, counted, "count_squares", "emr_rehearsal"))
    assert "stdout | counted 332833500" in said


@pytest.mark.parametrize(
    ("dag", "name", "service", "partition", "end"),
    [
        ("orchard", "train", TRAIN, "2026-01-03", "Stopped"),
        ("emr_rehearsal", "count_squares", STEP, "2026-01-03", "CANCELLED"),
    ],
)
def test_failing_a_deferred_task_stops_its_job(
    running: Rehearsal, dag: str, name: str, service: str, partition: str, end: str
) -> None:
    deliver(running, partition)
    running.aws.fault({"fault": "never_ends", "times": 1, "operation": SUBMITS[service]})
    run_id = start(running, partition, dag)
    wait_until_watched(running, run_id, name, dag)
    fail(running, task(running, run_id, name, dag))
    eventually(lambda: jobs(running, service, partition)[0]["state"] == end, f"{end} job")


def test_a_job_whose_task_was_failed_while_no_triggerer_ran_is_found_and_stopped(
    running: Rehearsal,
) -> None:
    deliver(running, "2026-01-09")
    running.aws.fault({"fault": "never_ends", "times": 1, "operation": SUBMITS[TRAIN]})
    run_id = start(running, "2026-01-09")
    wait_until_watched(running, run_id, "train")
    instance, killed = task(running, run_id, "train"), running.stack.pids()["triggerer"]
    kill(killed)
    fail(running, instance)
    eventually(lambda: running.stack.pids().get("triggerer", killed) != killed, "a triggerer")
    assert jobs(running, TRAIN, "2026-01-09")[0]["state"] == "InProgress"
    sweep(running)
    eventually(lambda: jobs(running, TRAIN, "2026-01-09")[0]["state"] == "Stopped", "the stop")
    sweep(running)
    assert running.store.list("jobs/waiting") == []


def test_clearing_a_deferred_task_stops_its_job_and_starts_another(running: Rehearsal) -> None:
    deliver(running, "2026-01-04")
    running.aws.fault({"fault": "never_ends", "times": 1, "operation": SUBMITS[TRAIN]})
    run_id = start(running, "2026-01-04")
    wait_until_watched(running, run_id, "train")
    body = {"dag_run_id": run_id, "task_ids": ["train"], "dry_run": False, "only_failed": False,
            "include_downstream": True}  # fmt: skip
    running.stack.api._call("POST", "/dags/orchard/clearTaskInstances", json=body)
    eventually(lambda: jobs(running, TRAIN, "2026-01-04")[0]["state"] == "Stopped", "the stop")
    succeeded(running, run_id)
    assert [job["state"] for job in jobs(running, TRAIN, "2026-01-04")] == ["Stopped", "Completed"]


def test_a_failing_script_fails_the_task_once_with_its_traceback(running: Rehearsal) -> None:
    deliver(running, "2026-01-05", "broken_orchard")
    run_id = start(running, "2026-01-05", "broken_orchard")
    run = running.stack.api.wait("broken_orchard", run_id, TIMEOUT)
    assert run["state"] == "failed"
    instance = task(running, run_id, "train", "broken_orchard")
    assert instance["try_number"] == 1
    said = log_of(running, instance)
    assert "Traceback (most recent call last)" in said
    error = next(line for line in said.splitlines() if "JobFailed" in line)
    assert "failed: ValueError: decision_tree has no hyperparameter ['max_dept']" in error


def test_a_failing_step_fails_the_task_once_and_the_cluster_is_terminated(
    running: Rehearsal,
) -> None:
    conf = {"partition": "2026-01-05", "fail": True}
    run_id = running.stack.api.trigger("emr_rehearsal", conf)
    run = running.stack.api.wait("emr_rehearsal", run_id, TIMEOUT)
    assert run["state"] == "failed"
    instance = task(running, run_id, "count_squares", "emr_rehearsal")
    assert instance["try_number"] == 1
    assert "RuntimeError: told to fail with 332833500" in log_of(running, instance)
    cluster = running.stack.api.xcom("emr_rehearsal", run_id, "create_cluster")
    (made,) = [job for job in running.aws.jobs(service="emr-cluster") if job["name"] == cluster]
    assert made["state"] in ("TERMINATING", "TERMINATED")


def test_two_identical_triggers_at_once_make_one_job(running: Rehearsal) -> None:
    deliver(running, "2026-01-06")
    running.aws.pace(Downloading=5)
    for run_id in [start(running, "2026-01-06"), start(running, "2026-01-06")]:
        succeeded(running, run_id)
    assert len(jobs(running, TRAIN, "2026-01-06")) == 1
    assert len(jobs(running, "sagemaker-transform", "2026-01-06")) == 1


def test_trouble_that_passes_is_waited_out(running: Rehearsal) -> None:
    deliver(running, "2026-01-07")
    running.aws.fault(
        {"fault": "throttling", "operation": "CreateTrainingJob", "times": 2},
        {"fault": "http500", "operation": "DescribeTrainingJob", "times": 3},
        {"fault": "http503", "service": "logs", "times": 2},
        {"fault": "capacity", "operation": "CreateTrainingJob", "times": 1},
        {"fault": "partial_read", "service": "s3", "times": 1},
    )
    run_id = start(running, "2026-01-07")
    succeeded(running, run_id)
    states = [job["state"] for job in jobs(running, TRAIN, "2026-01-07")]
    assert states == ["Failed", "Completed"]


def test_a_quota_fails_at_once_and_names_the_setting(running: Rehearsal) -> None:
    deliver(running, "2026-01-08")
    running.aws.fault({"fault": "quota", "operation": "CreateTrainingJob", "times": None})
    run_id = start(running, "2026-01-08")
    assert running.stack.api.wait("orchard", run_id, TIMEOUT)["state"] == "failed"
    instance = task(running, run_id, "train")
    assert instance["try_number"] == 1
    assert "MILLRACE_TRAINING_INSTANCE" in log_of(running, instance)


def test_a_backfill_of_three_partitions(running: Rehearsal) -> None:
    days = ["2026-02-01", "2026-02-02", "2026-02-03"]
    for seed, day in enumerate(days):
        deliver(running, day, seed=seed)
    airflow = Path(sys.executable).with_name("airflow")
    done = subprocess.run(
        [airflow, "backfill", "create", "--dag-id", "orchard",
         "--from-date", days[0], "--to-date", days[-1]],
        env={**os.environ, **running.stack.environment()}, capture_output=True, text=True,
        timeout=TIMEOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    api = running.stack.api
    eventually(
        lambda: all(each["completed_at"] for each in api.backfills("orchard")), "the end", TIMEOUT
    )
    runs = api.runs("orchard", run_type="backfill")
    assert [run["state"] for run in runs] == ["success"] * 3
    for day in days:
        (job,) = jobs(running, TRAIN, day)
        assert job["tags"]["partition"] == day
        assert job["tags"]["project"] == "millrace"
