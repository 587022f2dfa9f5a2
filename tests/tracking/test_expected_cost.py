"""Models that are judged by what their decisions cost, in a real MLflow server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from millrace.lake import open_store
from millrace.steps.log_to_mlflow import log_published
from millrace.steps.promote import promote
from millrace.steps.run import Run
from millrace.tracking import runs
from millrace.tracking.server import connect
from tests.tracking import made_up
from tests.tracking.mlflow_server import MlflowServer

pytestmark = pytest.mark.integration

SPEC, _, _ = made_up.SPEC.partition("candidates:\n")
SPEC += """\
candidates:
  stump: {algorithm: decision_tree, hyperparameters: {max_depth: 1}}
  stopped:
    algorithm: lightgbm
    hyperparameters: {num_round: 300, early_stopping_rounds: 20, num_leaves: 4}
    balance: weights
    calibrate: sigmoid
decision: {cost: {false_negative: 10, false_positive: 1}}
metric: expected_cost
gates: {expected_cost: {maximum: 0.9}}
"""


def judged(run: Run) -> dict[str, Any]:
    made_up.evaluated(run)
    log_published(run)
    return promote(run)


def test_the_cheaper_model_becomes_champion_and_its_run_says_how_it_was_trained(
    jobs_in_this_process: None, mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    spec = made_up.write_spec(tmp_path / "datasets", SPEC, "costly_club")
    settings = made_up.settings(tmp_path, mlflow_server.uri)
    store, client = open_store(settings.lake), connect(settings)
    stump, stopped, worse, gated = (
        Run(spec, f"2026-03-0{day}", store, settings, (candidate,))
        for day, candidate in enumerate(("stump", "stopped", "stump", "stopped"), start=1)
    )
    gate = spec.gates["expected_cost"].model_copy(update={"maximum": 0.001})
    gated = replace(gated, spec=spec.model_copy(update={"gates": {"expected_cost": gate}}))
    for run in (stump, stopped, worse):
        made_up.deliver(store, run.partition, made_up.rows(), "costly_club")
    made_up.deliver(store, gated.partition, made_up.rows(seed=1), "costly_club")

    assert judged(stump)["champion"] is True
    better = judged(stopped)
    assert better["champion"] is True
    costs = [run.published("reports", "evaluation", "evaluate").json("summary.json")
             ["candidates"][0]["metrics"]["expected_cost"] for run in (stump, stopped)]  # fmt: skip
    assert costs[1] < costs[0]
    assert f"{costs[1]:.4f} against the champion's {costs[0]:.4f}" in better["reasons"]
    refused = judged(worse)
    assert refused["champion"] is False
    assert f"{costs[0]:.4f} is worse than the champion's {costs[1]:.4f}" in refused["reasons"]
    broken = judged(gated)
    assert broken["champion"] is False
    assert "gate expected_cost <= 0.001 does not hold" in broken["reasons"]

    experiment = client.get_experiment_by_name("costly_club")
    logged = {
        (found.data.tags["millrace.partition"], found.data.tags[runs.CANDIDATE]): found.data
        for found in client.search_runs([experiment.experiment_id])
        if runs.CANDIDATE in found.data.tags and "mlflow.parentRunId" in found.data.tags
    }
    [facts] = stopped.published("reports", "evaluation", "evaluate").json("summary.json")[
        "candidates"
    ]
    found = logged[(stopped.partition, "stopped")]
    assert (found.params["balance"], found.params["calibrate"]) == ("weights", "sigmoid")
    assert found.params["rounds"] == str(facts["rounds"])
    assert found.params["early_stopping_rounds"] == "20"
    assert found.metrics["expected_cost"] == facts["metrics"]["expected_cost"]
    assert found.metrics["cv_expected_cost"] == facts["cross_validation"]["expected_cost"]
    plain = logged[(stump.partition, "stump")].params
    assert not {"balance", "calibrate", "rounds"} & set(plain)
