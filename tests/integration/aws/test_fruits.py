"""The DAG of image data sets with `engine=aws` under a real scheduler, on the stand-in's EMR."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from millrace.lake import Place, require_published
from tests.integration.aws.stack import Rehearsal, rehearsal
from tests.steps import photos

pytestmark = pytest.mark.integration

TIMEOUT = 600  # seconds; the machine may be busy
DAG = "basket"
STEP, CLUSTER = "emr-step", "emr-cluster"
GONE = ("TERMINATING", "TERMINATED", "TERMINATED_WITH_ERRORS")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    """The stand-in and a stack with one small data set of drawn photos."""
    folder = tmp_path_factory.mktemp("rehearsal")
    network = photos.write_network(folder / "small.onnx")
    photos.write_spec(folder / "datasets", str(network), DAG)
    variables = {"MILLRACE_DATASETS": str(folder / "datasets")}
    with rehearsal(folder, variables) as started:
        started.stack.api.wait_for_dags([DAG, "stop_orphans"])
        for name in (DAG, "stop_orphans"):
            started.stack.api.unpause(name)
        yield started


@pytest.fixture(autouse=True)
def quiet_cloud(running: Rehearsal) -> Iterator[None]:
    yield
    running.aws.clear_faults()


def start(running: Rehearsal, partition: str, engine: str = "aws", **drawing: Any) -> str:
    photos.deliver(running.store, DAG, partition, **drawing)
    return running.stack.api.trigger(DAG, {"partition": partition, "engine": engine})


def finished(running: Rehearsal, run_id: str) -> tuple[str, dict[str, str]]:
    """How a run ended, and the state of each of its tasks."""
    state = running.stack.api.wait(DAG, run_id, TIMEOUT)["state"]
    return state, {name: task["state"] for name, task in tasks(running, run_id).items()}


def tasks(running: Rehearsal, run_id: str) -> dict[str, dict[str, Any]]:
    return {each["task_id"]: each for each in running.stack.api.task_instances(DAG, run_id)}


def log_of(running: Rehearsal, run_id: str, name: str) -> str:
    task = tasks(running, run_id)[name]
    return running.stack.api.log(DAG, run_id, name, task["try_number"], task["map_index"])


def told(running: Rehearsal, run_id: str) -> str:
    """The logs of the tasks that failed."""
    failed = [name for name, each in tasks(running, run_id).items() if each["state"] == "failed"]
    return "\n".join(log_of(running, run_id, name)[-4000:] for name in failed)


def made(running: Rehearsal, service: str, partition: str) -> list[dict[str, Any]]:
    """Clusters or steps that were made for a partition."""
    if service == CLUSTER:
        return [job for job in running.aws.jobs(service=service)
                if job["tags"].get("partition") == partition]  # fmt: skip
    return [job for job in running.aws.jobs(service=service)
            if partition.replace("-", "") in job["title"]]  # fmt: skip


def eventually(found: Callable[[], Any], what: str, timeout: float = 60) -> Any:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if result := found():
            return result
        time.sleep(0.2)
    raise AssertionError(f"waited {timeout} s in vain for {what}")


def test_from_raw_images_to_a_judged_model_on_emr_and_then_here(running: Rehearsal) -> None:
    partition = "2026-01-01"
    run_id = start(running, partition)
    state, states = finished(running, run_id)
    assert state == "success", told(running, run_id)
    assert set(states.values()) == {"success"}
    (cluster,), (step,) = (made(running, kind, partition) for kind in (CLUSTER, STEP))
    assert cluster["state"] in GONE and step["state"] == "COMPLETED" and step["starts"] == 1
    said = log_of(running, run_id, "image_features")
    assert "images: 37 / 37" in said, "the job's progress is the task's log"
    assert "is at this work already" in said, "the step came with its cluster"
    page = running.stack.api.xcom(DAG, run_id, "image_features", "job_page")
    assert page.endswith(f"#/clusterDetails/{cluster['name']}")
    features = require_published(running.store, Place("features", DAG, partition), "image_features")
    assert features.facts["rows"] == 36
    place = Place("reports", DAG, partition, "evaluation")
    judged = require_published(running.store, place, "evaluate")
    assert judged.facts["metrics"]["accuracy"] > 0.5

    run_id = running.stack.api.trigger(DAG, {"partition": partition, "engine": "aws"})
    state, states = finished(running, run_id)
    assert state == "success"
    assert states.pop("terminate_cluster") == "skipped"
    assert set(states.values()) == {"success"}
    assert len(made(running, CLUSTER, partition)) == 1, "nothing to do, so no cluster"
    assert "Nothing to do" in log_of(running, run_id, "plan")


def test_the_local_engine_makes_no_cluster_and_the_same_features(running: Rehearsal) -> None:
    partition = "2026-01-02"
    run_id = start(running, partition, "local")
    state, states = finished(running, run_id)
    assert state == "success", told(running, run_id)
    assert states.pop("terminate_cluster") == "skipped"
    assert set(states.values()) == {"success"}
    assert made(running, CLUSTER, partition) == []
    place = Place("features", DAG, partition)
    found = require_published(running.store, place, "image_features")
    assert found.facts["rows"] == 36 and "event_log" in found.facts


def test_a_job_that_fails_fails_the_task_once_and_the_cluster_is_gone(running: Rehearsal) -> None:
    partition = "2026-01-03"
    run_id = start(running, partition, broken=30)
    state, states = finished(running, run_id)
    assert state == "failed"
    assert states["image_features"] == "failed" and states["terminate_cluster"] == "success"
    assert states["check_features"] == "upstream_failed"
    assert tasks(running, run_id)["image_features"]["try_number"] == 1
    said = log_of(running, run_id, "image_features")
    assert "images cannot be used, more than --tolerance 0.1" in said
    (cluster,) = made(running, CLUSTER, partition)
    eventually(
        lambda: made(running, CLUSTER, partition)[0]["state"] in GONE, f"the end of {cluster}"
    )


def test_failing_the_task_stops_the_step_and_ends_the_cluster(running: Rehearsal) -> None:
    partition = "2026-01-04"
    running.aws.fault({"fault": "never_ends", "operation": "RunJobFlow", "times": 1})
    run_id = start(running, partition)
    eventually(lambda: tasks(running, run_id)["image_features"]["state"] == "deferred", "the wait")
    eventually(lambda: "RUNNING" in log_of(running, run_id, "image_features"), "the triggerer")
    path = f"/dags/{DAG}/dagRuns/{run_id}/taskInstances/image_features"
    running.stack.api._call("PATCH", path, json={"new_state": "failed"})
    eventually(lambda: made(running, STEP, partition)[0]["state"] == "CANCELLED", "the stop")
    state, states = finished(running, run_id)
    assert state == "failed" and states["terminate_cluster"] == "success"
    eventually(lambda: made(running, CLUSTER, partition)[0]["state"] in GONE, "the cluster's end")


def test_clearing_the_task_does_it_anew_on_a_cluster_that_lives(running: Rehearsal) -> None:
    partition = "2026-01-05"
    running.aws.fault({"fault": "never_ends", "operation": "RunJobFlow", "times": 1})
    run_id = start(running, partition)
    eventually(lambda: tasks(running, run_id)["image_features"]["state"] == "deferred", "the wait")
    eventually(lambda: "RUNNING" in log_of(running, run_id, "image_features"), "the triggerer")
    body = {"dag_run_id": run_id, "task_ids": ["image_features"], "dry_run": False,
            "only_failed": False, "include_downstream": True}  # fmt: skip
    running.stack.api._call("POST", f"/dags/{DAG}/clearTaskInstances", json=body)
    state, _ = finished(running, run_id)
    assert state == "success", told(running, run_id)
    assert [job["state"] for job in made(running, STEP, partition)] == ["CANCELLED", "COMPLETED"]
    eventually(
        lambda: all(job["state"] in GONE for job in made(running, CLUSTER, partition)), "the end"
    )


def test_a_cluster_whose_call_was_lost_is_found_and_ended(running: Rehearsal) -> None:
    """The call is carried out, its answer is lost, and botocore's next try is refused."""
    partition = "2026-01-06"
    running.aws.fault(
        {"fault": "lost_answer", "operation": "RunJobFlow", "times": 1},
        {"fault": "access_denied", "operation": "RunJobFlow", "times": 1},
    )
    run_id = start(running, partition)
    state, states = finished(running, run_id)
    assert state == "failed", "a right that is missing is no matter of waiting"
    assert states["create_cluster"] == "failed" and states["image_features"] == "upstream_failed"
    sweep = running.stack.api.trigger("stop_orphans")
    assert running.stack.api.wait("stop_orphans", sweep, TIMEOUT)["state"] == "success"
    eventually(
        lambda: all(job["state"] in GONE for job in made(running, CLUSTER, partition)), "the end"
    )
    assert len(made(running, CLUSTER, partition)) == 1


def test_no_capacity_is_tried_again_on_another_cluster(running: Rehearsal) -> None:
    partition = "2026-01-07"
    running.aws.fault({"fault": "capacity", "operation": "RunJobFlow", "times": 1})
    run_id = start(running, partition)
    state, _ = finished(running, run_id)
    assert state == "success", told(running, run_id)
    assert len(made(running, CLUSTER, partition)) == 2
