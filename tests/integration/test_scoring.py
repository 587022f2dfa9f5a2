"""Scoring under a real scheduler: features and champions start it, each for its partition."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from millrace.datasets import RelationalSpec, load_relational_spec
from millrace.lake import Place, open_store, read_published
from millrace.settings import PROJECT, Settings
from millrace.stack import Stack
from tests.integration.waiting import eventually, finished
from tests.relational import bank

pytestmark = pytest.mark.integration

DATASET, SCORING, STARTER = "bank", "score_bank", "start_scoring"
PARTITION = "2026-03-01"


def write_spec(folder: Path) -> RelationalSpec:
    """The spec of home_credit with a small model that every bank can have."""
    include = PROJECT / "include"
    found = yaml.safe_load((include / "datasets" / "home_credit.yaml").read_text())
    found |= {
        "candidates": {"small": {"algorithm": "lightgbm", "hyperparameters": {"num_round": 10}}},
        "gates": {}, "checks": {}, "schedule": None,
        "scoring": {"components": 3, "reasons": 2},
    }  # fmt: skip
    (folder / "datasets").mkdir()
    shutil.copytree(include / "sql", folder / "sql")
    path = folder / "datasets" / f"{DATASET}.yaml"
    path.write_text(yaml.safe_dump(found, sort_keys=False))
    return load_relational_spec(path)


def deliver(settings: Settings, spec: RelationalSpec, partition: str) -> None:
    folder = Path(settings.lake) / "raw" / DATASET / partition
    folder.mkdir(parents=True)
    for name, text in bank.texts(spec, bank.tables(spec, 200)).items():
        (folder / name).write_text(text)
    (folder / "_SUCCESS").touch()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of its own with one small bank."""
    home, include = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("include")
    spec = write_spec(include)
    settings = Settings.from_environment(
        {"MILLRACE_HOME": str(home), "MILLRACE_DATASETS": str(include / "datasets")}
    )
    deliver(settings, spec, PARTITION)
    with Stack(settings) as running:
        names = [DATASET, SCORING, STARTER]
        running.api.wait_for_dags(names)
        for name in names:
            running.api.unpause(name)
        yield running


def states(stack: Stack, run_id: str) -> dict[str, str]:
    return {
        task["task_id"]: task["state"] for task in stack.api.task_instances(SCORING, run_id)
    }  # fmt: skip


def scored(stack: Stack) -> Any:
    store = open_store(stack.settings.lake)
    return read_published(store, Place("predictions", DATASET, PARTITION, "scores"))


def runs_of_events(stack: Stack) -> list[dict[str, Any]]:
    """Ended runs of the scoring, once every event that was told has led to one."""
    starters = [run for run in stack.api.runs(STARTER) if run["state"] == "success"]
    runs = [run for run in stack.api.runs(SCORING) if run["conf"]]
    ended = all(run["state"] in ("success", "failed") for run in runs)
    return runs if len(starters) >= 2 and len(runs) >= 2 and ended else []


def test_features_and_the_champion_of_a_run_by_hand_start_it(stack: Stack) -> None:
    run_id = stack.api.trigger(DATASET, {"partition": PARTITION, "engine": "local"})
    assert finished(stack, DATASET, run_id)["state"] == "success"
    found = eventually(lambda: scored(stack), "scores", stack)
    assert found.facts["rows"] == 200 and found.facts["model_version"] == f"{DATASET} 1"
    runs = eventually(lambda: runs_of_events(stack), "the runs of both events", stack)
    assert {run["conf"]["partition"] for run in runs} == {PARTITION}
    assert {run["state"] for run in runs} == {"success"}
    ends = [states(stack, run["dag_run_id"]) for run in runs]
    assert {"plan": "success", "score": "success"}.items() <= ends[-1].items()
    assert all(each["terminate_cluster"] == "skipped" for each in ends), "Spark ran here"
    assert not [run for run in stack.api.runs(STARTER) if run["state"] == "failed"]


def test_a_partition_can_be_backfilled_and_its_scores_still_answer(stack: Stack) -> None:
    before = scored(stack).manifest
    subprocess.run(
        [sys.executable, "-m", "airflow", "backfill", "create", "--dag-id", SCORING,
         "--from-date", PARTITION, "--to-date", "2026-03-02", "--reprocess-behavior", "completed"],
        check=True, capture_output=True, env={**os.environ, **stack.environment()},
    )  # fmt: skip
    eventually(
        lambda: all(one["completed_at"] for one in stack.api.backfills(SCORING)),
        "the backfill", stack,
    )  # fmt: skip
    runs = {run["partition_key"]: run for run in stack.api.runs(SCORING, "backfill")}
    assert runs[PARTITION]["state"] == "success"
    assert states(stack, runs[PARTITION]["dag_run_id"])["score"] == "success"
    assert scored(stack).manifest == before
    empty = runs["2026-03-02"]
    assert empty["state"] == "success", "without features it is skipped"
    assert states(stack, empty["dag_run_id"])["plan"] == "skipped"
