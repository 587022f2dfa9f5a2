"""Logging one evaluation to a real MLflow server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest

from millrace.steps.evaluate import evaluate
from millrace.steps.log_to_mlflow import log_published, log_to_mlflow
from millrace.steps.run import Run
from millrace.tracking import runs
from tests.tracking.conftest import AGAIN, BOTH, GOOD, STOPPED
from tests.tracking.made_up import PLANTED
from tests.tracking.mlflow_server import MlflowServer

pytestmark = pytest.mark.integration

RunOf = Callable[..., Run]


def all_runs(client: Any) -> list[Any]:
    experiment = client.get_experiment_by_name("club")
    return list(client.search_runs([experiment.experiment_id])) if experiment else []


def parents(client: Any) -> list[Any]:
    return [run for run in all_runs(client) if "mlflow.parentRunId" not in run.data.tags]


def test_a_parent_for_the_partition_and_a_child_for_each_candidate(
    client: Any, run_of: RunOf
) -> None:
    run = run_of(BOTH)
    logged = log_published(run)
    summary = run.published("reports", "evaluation", "evaluate").json("summary.json")
    [parent] = parents(client)
    children = {r.data.tags[runs.CANDIDATE]: r for r in all_runs(client) if r is not parent
                and "mlflow.parentRunId" in r.data.tags}  # fmt: skip

    assert parent.info.run_id == logged.run_id
    assert parent.info.run_name == BOTH
    assert {r.info.status for r in all_runs(client)} == {"FINISHED"}
    assert {r.data.tags["mlflow.parentRunId"] for r in children.values()} == {logged.run_id}
    assert parent.data.params["winner"] == summary["winner"]
    for facts in summary["candidates"]:
        child = children[facts["candidate"]]
        assert child.data.params["algorithm"] == facts["algorithm"]
        for name, value in facts["hyperparameters"].items():
            assert child.data.params[name] == str(value)
        for name, value in facts["metrics"].items():
            assert child.data.metrics[name] == pytest.approx(value, abs=0)
            assert child.data.metrics[f"cv_{name}"] == facts["cross_validation"][name]
            assert (
                child.data.metrics[f"{name}_low"], child.data.metrics[f"{name}_high"],
            ) == tuple(facts["intervals"][name])  # fmt: skip
        assert child.data.tags["millrace.partition"] == BOTH
        assert child.data.tags["millrace.data"] == summary["data_fingerprint"]
        assert child.data.tags["mlflow.source.git.commit"]
    folder = mlflow.artifacts.download_artifacts(run_id=logged.run_id, artifact_path="report")
    assert json.loads((Path(folder) / "summary.json").read_text()) == summary
    names = {item.path for item in client.list_artifacts(logged.run_id, "report")}
    assert {f"report/{p}.html" for p in ("report", "statistics", "validation")} <= names
    assert [i for i in client.list_artifacts(logged.run_id, "plots") if i.path.endswith(".png")]
    assert logged.url == (
        f"{run.settings.mlflow_uri}/#/experiments/{parent.info.experiment_id}/runs/{logged.run_id}"
    )


def test_a_run_says_how_its_model_was_stopped_balanced_and_calibrated(
    client: Any, run_of: RunOf
) -> None:
    run = run_of(STOPPED)
    log_published(run)
    summary = run.published("reports", "evaluation", "evaluate").json("summary.json")
    [child] = [r for r in all_runs(client) if r.data.tags.get(runs.CANDIDATE) == "stopped"]
    told = child.data.params
    assert (told["balance"], told["calibrate"]) == ("weights", "sigmoid")
    assert int(told["rounds"]) == summary["candidates"][0]["rounds"] < int(told["num_round"])
    log_published(run_of(GOOD))
    [plain] = [r for r in all_runs(client) if r.data.tags.get(runs.CANDIDATE) == "good"]
    assert not {"balance", "calibrate", "rounds"} & set(plain.data.params)


def test_logging_twice_gives_the_same_runs(client: Any, run_of: RunOf) -> None:
    first = log_published(run_of(GOOD))
    assert log_published(run_of(GOOD)) == first
    assert len(all_runs(client)) == 2


def test_partitions_with_equal_rows_are_logged_each(client: Any, run_of: RunOf) -> None:
    first, second = log_published(run_of(GOOD)), log_published(run_of(AGAIN))
    assert first.run_id != second.run_id
    assert {run.info.run_name for run in parents(client)} == {GOOD, AGAIN}


def test_a_half_logged_evaluation_is_replaced(
    client: Any, run_of: RunOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = runs._log_model

    def breaks_at_the_second(run_id: str, candidate: str, evaluation: Any) -> str:
        if candidate == "stump":
            raise OSError("the worker was killed here")
        return whole(run_id, candidate, evaluation)

    monkeypatch.setattr(runs, "_log_model", breaks_at_the_second)
    with pytest.raises(OSError, match="killed"):
        log_published(run_of(BOTH))
    half = {run.info.run_id for run in all_runs(client)}
    assert len(half) == 3
    monkeypatch.undo()

    logged = log_published(run_of(BOTH))

    left = {run.info.run_id for run in all_runs(client)}
    assert len(left) == 3
    assert not left & half
    assert logged.run_id in left


def test_a_deleted_experiment_is_taken_up_again(client: Any, run_of: RunOf) -> None:
    first = log_published(run_of(GOOD))
    client.delete_experiment(client.get_experiment_by_name("club").experiment_id)
    second = log_published(run_of(AGAIN))
    assert second.run_id != first.run_id
    assert GOOD in {run.info.run_name for run in parents(client)}


def test_the_logged_model_says_what_it_takes_and_gives(client: Any, run_of: RunOf) -> None:
    [uri] = log_published(run_of(GOOD)).model_uris.values()
    info = mlflow.models.get_model_info(uri)
    assert [(c.name, c.type.name, c.required) for c in info.signature.inputs.inputs] == [
        ("name", "string", False), ("visits", "double", False),
        ("fee", "double", False), ("club", "string", False),
    ]  # fmt: skip
    assert info.signature.outputs.input_names() == ["probability"]
    example = mlflow.pyfunc.load_model(uri).input_example
    assert example["name"].tolist() == ["Doe, Mrs. Jane"]


def test_the_requirements_stand_with_the_model(client: Any, run_of: RunOf) -> None:
    [uri] = log_published(run_of(GOOD)).model_uris.values()
    asked = Path(mlflow.pyfunc.get_model_dependencies(uri)).read_text().split()
    assert {line.split("==")[0] for line in asked} >= {"numpy", "pandas", "xgboost-cpu"}
    assert not any(line.startswith("shap") for line in asked)


def test_the_logged_model_predicts_what_the_batch_job_predicted(client: Any, run_of: RunOf) -> None:
    run = run_of(GOOD)
    [uri] = log_published(run).model_uris.values()
    processed = run.published("processed", "", "preprocess")
    inputs = [item["name"] for item in processed.json("train/transformation.json")["inputs"]]
    rows = pd.read_csv(
        processed.path("test/test.csv"), header=None, names=["id", *inputs],
        keep_default_na=False, dtype={"visits": float, "fee": float},
    )  # fmt: skip
    batch = pd.read_csv(
        run.published("predictions", "good", "transform").path("predictions.csv"), header=None
    )
    predicted = mlflow.pyfunc.load_model(uri).predict(rows[inputs])["probability"]
    np.testing.assert_array_equal(predicted.to_numpy(), batch[1].to_numpy())
    assert len(predicted) > 30


def test_nothing_personal_and_no_pickle_reaches_mlflow(
    client: Any, run_of: RunOf, mlflow_server: MlflowServer
) -> None:
    run = run_of(BOTH)
    raw = run.store.read(f"raw/club/{BOTH}/members.csv")
    assert raw is not None
    assert PLANTED.encode() in raw[0]

    assert log_to_mlflow(run)["spooled"] is False

    files = [path for path in mlflow_server.folder.rglob("*") if path.is_file()]
    assert any(path.name == "summary.json" for path in files)
    assert any(path.suffix == ".db" for path in files)
    assert [path.name for path in files if PLANTED.encode() in path.read_bytes()] == []
    pickles = {".pkl", ".pickle", ".joblib", ".cloudpickle"}
    assert [path.name for path in files if path.suffix in pickles] == []
    assert [path for path in files if path.read_bytes()[:2] in (b"\x80\x04", b"\x80\x05")] == []


def test_what_the_jobs_cost(client: Any, run_of: RunOf) -> None:
    run = run_of(GOOD, again=True)
    key = f"{run.place('models', 'good')}/_MANIFEST.json"
    found = run.store.read(key)
    assert found
    manifest = json.loads(found[0])
    manifest["facts"]["cost_usd"] = 0.25
    run.store.replace(key, json.dumps(manifest).encode(), found[1])
    evaluate(run)
    log_published(run)
    [child] = [each for each in all_runs(client) if "mlflow.parentRunId" in each.data.tags]
    assert child.data.metrics["cost_usd"] == 0.25
