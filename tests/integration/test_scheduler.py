"""The pipelines under a real scheduler, API server, triggerer and MLflow server."""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from millrace import rollback
from millrace.lake import open_store
from millrace.settings import Settings
from millrace.stack import Stack
from millrace.tracking import spool
from millrace.tracking.registry import champion, move_champion
from millrace.tracking.server import connect
from tests.recording import record, served

pytestmark = pytest.mark.integration

SPEC = """
description: Which trees of an orchard bear fruit.
owner: gardeners
raw: {tolerance: 0.05}
target: {column: bears, positive: "yes", negative: "no"}
columns:
  tree: {role: id}
  age: {role: numeric, minimum: 0}
  soil: {role: categorical}
  keeper: {role: personal, example: Somebody}
candidates:
  tree: {algorithm: decision_tree, hyperparameters: {max_depth: 3}}
  line: {algorithm: logistic_regression}
gates: {roc_auc: {minimum: 0.6}}
"""
WATCHED = "drift: {rows: 30, share: 0.5, retrain: true}\n"
WATCH, TIMEOUT = "watch_orchard", 300


def orchard(seed: int, rows: int = 200) -> str:
    """Raw rows as CSV; older trees on loam bear."""
    draw = random.Random(seed)
    lines = ["tree,age,soil,keeper,bears"]
    for number in range(rows):
        age, soil = draw.randint(0, 30), draw.choice(["loam", "sand"])
        bears = age + (8 if soil == "loam" else 0) + draw.gauss(0, 6) > 18
        lines.append(f"{number},{age},{soil},Keeper {number},{'yes' if bears else 'no'}")
    return "\n".join(lines) + "\n"


def deliver(settings: Settings, partition: str, text: str) -> None:
    """Put one raw file in place as a careful sender does: complete, by a rename."""
    folder = Path(settings.lake) / "raw" / "orchard" / partition
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / "rows.part"
    draft.write_text(text)
    draft.rename(folder / "rows.csv")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of its own with one small data set, which is watched and deployed."""
    home = tmp_path_factory.mktemp("home")
    datasets = tmp_path_factory.mktemp("datasets")
    (datasets / "orchard.yaml").write_text(f"{SPEC}{WATCHED}deploy: {{}}\n")
    settings = Settings.from_environment({
        "MILLRACE_HOME": str(home), "MILLRACE_DATASETS": str(datasets),
        "MILLRACE_MLFLOW_BUDGET": "240",  # a busy machine must not make the spool take a result
    })  # fmt: skip
    with Stack(settings) as running:
        api = running.api
        api.wait_for_dags(["orchard", "watch_orchard", "start_retraining", "deploy_orchard"])
        api.unpause("orchard")
        yield running


def finished(stack: Stack, conf: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Trigger a run by hand and wait for it; the run and the state of each task."""
    run = stack.api.wait("orchard", stack.api.trigger("orchard", conf), TIMEOUT)
    return run, states(stack, run)


def states(stack: Stack, run: dict[str, Any]) -> dict[str, str]:
    tasks = stack.api.task_instances("orchard", run["dag_run_id"])
    return {f"{task['task_id']}{max(task['map_index'], 0) or ''}": task["state"] for task in tasks}


def manifests(stack: Stack, partition: str) -> dict[str, dict[str, Any]]:
    """What is published for a partition, without what tells one attempt from another."""
    lake = Path(stack.settings.lake)
    found = {}
    for path in sorted(lake.glob(f"*/orchard/{partition}/**/_MANIFEST.json")):
        manifest = json.loads(path.read_text())
        found[path.relative_to(lake).as_posix()] = manifest
    return found


def contents(stack: Stack, partition: str) -> dict[str, dict[str, str]]:
    """Hash of every published file whose content does not tell the time."""
    return {
        place: {
            name: facts["sha256"]
            for name, facts in manifest["files"].items()
            if name not in ("report.html", "summary.json")
        }
        for place, manifest in manifests(stack, partition).items()
    }


def stack_client(stack: Stack) -> Any:
    environment = {"MLFLOW_TRACKING_URI": stack.mlflow_url, "MILLRACE_HOME": str(stack.home)}
    return connect(Settings.from_environment(environment))


def backfill(stack: Stack, *arguments: str) -> None:
    """`airflow backfill create` for the first three days of February, followed to its end."""
    airflow = Path(sys.executable).with_name("airflow")
    days = ["--from-date", "2026-02-01", "--to-date", "2026-02-03"]
    done = subprocess.run(
        [airflow, "backfill", "create", "--dag-id", "orchard", *days, *arguments],
        env={**os.environ, **stack.environment()},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        if all(one["completed_at"] for one in stack.api.backfills("orchard")):
            runs = stack.api.runs("orchard", run_type="backfill")
            assert {run["state"] for run in runs} == {"success"}
            return
        time.sleep(1)
    raise AssertionError("the backfill did not end in time")


def test_a_run_by_hand_ends_with_a_champion(stack: Stack) -> None:
    deliver(stack.settings, "2026-01-01", orchard(1))
    run, tasks = finished(stack, {"partition": "2026-01-01"})
    assert run["state"] == "success", tasks
    assert set(tasks.values()) == {"success"}
    client = stack_client(stack)
    assert champion(client, "orchard").version == "1"
    said = stack.api.log("orchard", run["dag_run_id"], "validate_raw", 1)
    assert "200 rows read, 200 clean" in said
    assert "Published" in said
    trained = stack.api.log("orchard", run["dag_run_id"], "train", 1, 0)
    assert "Cross-validation: fold 5 of 5" in trained
    for task in stack.api.task_instances("orchard", run["dag_run_id"]):
        log = stack.api.log("orchard", run["dag_run_id"], task["task_id"], 1, task["map_index"])
        assert "deprecated" not in log, f"noise in the log of {task['task_id']}"
        assert len(log.splitlines()) < 60


def test_the_same_run_again_does_nothing_and_says_so(stack: Stack) -> None:
    before = manifests(stack, "2026-01-01")
    run, _ = finished(stack, {"partition": "2026-01-01"})
    assert run["state"] == "success"
    assert manifests(stack, "2026-01-01") == before
    said = stack.api.log("orchard", run["dag_run_id"], "train", 1, 0)
    assert "Nothing to do" in said
    promoted = stack.api.xcom("orchard", run["dag_run_id"], "promote")
    assert promoted == {
        "version": "1",
        "champion": True,
        "reasons": "it is the champion already",
    }


def test_a_run_waits_for_its_files_in_the_triggerer(stack: Stack) -> None:
    run_id = stack.api.trigger("orchard", {"partition": "2026-01-05", "candidates": ["line"]})
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if states(stack, {"dag_run_id": run_id}).get("wait_for_raw") == "deferred":
            break
        time.sleep(0.5)
    else:
        raise AssertionError("the sensor did not defer")
    deliver(stack.settings, "2026-01-05", orchard(5))
    run = stack.api.wait("orchard", run_id, TIMEOUT)
    assert run["state"] == "success"
    assert len([task for task in states(stack, run) if task.startswith("train")]) == 1


def test_bad_raw_files_stop_the_run_at_once_and_publish_nothing_downstream(stack: Stack) -> None:
    bad = orchard(2).replace(",loam,", ",lo\x00am,").replace("3,", "x,")
    deliver(stack.settings, "2026-01-02", bad)
    run, tasks = finished(stack, {"partition": "2026-01-02"})
    assert run["state"] == "failed"
    assert tasks["validate_raw"] == "failed"
    assert tasks["preprocess"] == "upstream_failed"
    tried = [
        task["try_number"]
        for task in stack.api.task_instances("orchard", run["dag_run_id"])
        if task["task_id"] == "validate_raw"
    ]
    assert tried == [1], "a retry cannot help, so there is none"
    said = stack.api.log("orchard", run["dag_run_id"], "validate_raw", 1)
    assert "NUL byte" in said
    assert "Keeper" not in said
    assert set(manifests(stack, "2026-01-02")) == {
        "reports/orchard/2026-01-02/validation/_MANIFEST.json"
    }


def test_unpausing_started_no_run(stack: Stack) -> None:
    began = stack.api.runs("orchard", run_type="manual")[0]["run_after"][:10]
    runs = stack.api.runs("orchard", run_type="scheduled")
    assert [run for run in runs if run["partition_key"] <= began] == []


def test_a_backfill_run_twice_gives_identical_results_and_leaves_the_champion(
    stack: Stack,
) -> None:
    days = ["2026-02-01", "2026-02-02", "2026-02-03"]
    for seed, day in enumerate(days):
        deliver(stack.settings, day, orchard(10 + seed))
    client = stack_client(stack)
    before = champion(client, "orchard").version
    backfill(stack)
    first = {day: contents(stack, day) for day in days}
    assert all(len(places) == 9 for places in first.values()), first
    again = ["--reprocess-behavior", "completed", "--dag-run-conf", '{"again": true}']
    backfill(stack, *again)
    assert {day: contents(stack, day) for day in days} == first
    assert champion(client, "orchard").version == before
    versions = client.search_model_versions("name = 'orchard'")
    partitions = [version.tags["millrace.partition"] for version in versions]
    assert set(days) <= set(partitions)
    assert "promote=yes only" in next(
        version.tags["millrace.verdict"]
        for version in versions
        if version.tags["millrace.partition"] == days[0]
    )


def record_requests(stack: Stack, text: str, day: str) -> None:
    """What the champion is asked on a day, as the model service records it."""
    rows = csv.DictReader(text.splitlines())
    records = [{"age": float(row["age"]), "soil": row["soil"]} for row in rows]
    model = served(champion(stack_client(stack), "orchard"))
    record(stack.settings.lake, model, records, day)


def watch(stack: Stack, day: str) -> tuple[dict[str, str], dict[str, Any]]:
    """Watch over a day: the state of each task, and what was found."""
    run = stack.api.wait(WATCH, stack.api.trigger(WATCH, {"partition": day}), TIMEOUT)
    assert run["state"] == "success"
    tasks = stack.api.task_instances(WATCH, run["dag_run_id"])
    found = stack.api.xcom(WATCH, run["dag_run_id"], "compare")
    return {task["task_id"]: task["state"] for task in tasks}, found


def eventually(found: Callable[[], list[dict[str, Any]]], what: str) -> dict[str, Any]:
    """The one run that is found, as soon as it is there and has ended."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        if (runs := found()) and runs[0]["state"] in ("success", "failed"):
            assert [run["state"] for run in runs] == ["success"], what
            return runs[0]
        time.sleep(0.5)
    raise AssertionError(f"waited {TIMEOUT} s in vain for {what}")


def test_drift_starts_the_pipeline_for_the_newest_partition_and_no_drift_does_not(
    stack: Stack,
) -> None:
    api, newest = stack.api, "2026-04-03"
    for name in (WATCH, "start_retraining"):
        api.unpause(name)
    deliver(stack.settings, newest, orchard(9))
    record_requests(stack, orchard(7), "2026-04-01")
    tasks, found = watch(stack, "2026-04-01")
    assert tasks == {"compare": "success", "raise_alarm": "skipped"}
    assert found["drifted"] == {"requests": []}

    record_requests(stack, orchard(8).replace(",loam,", ",sand,"), "2026-04-02")
    tasks, found = watch(stack, "2026-04-02")
    assert tasks == {"compare": "success", "raise_alarm": "success"}
    assert found["drifted"] == {"requests": ["soil"]}
    assert "The data have drifted" in Path(found["report"]).read_text()

    def retrained() -> list[dict[str, Any]]:
        runs = [run for run in api.runs("orchard") if run["conf"]]
        return [run for run in runs if run["conf"].get("partition") == newest]

    eventually(retrained, "the run that the alarm started")
    started = eventually(lambda: api.runs("start_retraining"), "its starter, once")
    assert started["partition_key"] == "2026-04-02"
    versions = stack_client(stack).search_model_versions("name = 'orchard'")
    assert newest in [version.tags["millrace.partition"] for version in versions]


def test_a_rollback_and_the_spool_start_a_deployment(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    api, client = stack.api, stack_client(stack)
    for name, value in stack.environment().items():
        if name.startswith("MILLRACE_"):
            monkeypatch.setenv(name, value)
    present = champion(client, "orchard")
    other = next(each for each in client.search_model_versions("name = 'orchard'")
                 if each.version != present.version)  # fmt: skip
    move_champion(client, other, present)
    assert rollback.main(["orchard"]) == 0
    assert "Switch deploy_orchard on and trigger it" in capsys.readouterr().out
    assert api.runs("deploy_orchard") == []

    move_champion(client, other, present)
    api.unpause("deploy_orchard")
    assert rollback.main(["orchard"]) == 0
    assert "deploy_orchard starts now." in capsys.readouterr().out
    run = eventually(lambda: api.runs("deploy_orchard"), "the deployment after the rollback")
    assert run["partition_key"] == other.tags["millrace.partition"]
    said = api.log("deploy_orchard", run["dag_run_id"], "plan", 1)
    assert f"ersion {present.version} of orchard is " in said, "to come into service, or there"

    entry = spool.Pending("orchard", present.tags["millrace.partition"], "local", "auto", False, "")
    spool.add(open_store(stack.settings.lake), entry)
    api.trigger("log_spooled")
    eventually(
        lambda: [each for each in api.runs("deploy_orchard")
                 if each["dag_run_id"] != run["dag_run_id"]],
        "the deployment after the spool",
    )  # fmt: skip
