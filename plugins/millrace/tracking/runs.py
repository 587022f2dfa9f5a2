"""One evaluation in MLflow: a parent run for the partition, a child run a candidate.

Logging is idempotent: the parent carries the evaluation's content hash, a complete one is found
again, and an unfinished one is deleted and made anew.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from millrace import card
from millrace.lake import Published
from millrace.tracking.requirements import requirements
from millrace.training import source_files, unpacked

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.models import ModelSignature

log = logging.getLogger(__name__)

KEY, COMPLETE, CANDIDATE, MODEL_URI = (
    "millrace.evaluation", "millrace.complete", "millrace.candidate", "millrace.model_uri",
)  # fmt: skip


@dataclass(frozen=True)
class Evaluation:
    """What is to be logged about one partition.

    Attributes:
        key: `key_of` the published evaluation.
        summary: summary.json of the evaluation.
        models: model archive by candidate.
        artifacts: files for the parent run, by the folder they go into.
        example: one raw record, with made-up values in place of personal ones.
        card: what whoever uses the winner must know of it (see `millrace.card`).
        tags: facts such as the data fingerprint and the commit.
    """

    key: str
    summary: dict[str, Any]
    models: Mapping[str, Path]
    artifacts: Mapping[str, list[Path]]
    example: dict[str, Any]
    card: dict[str, Any]
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Logged:
    """Where an evaluation stands in MLflow."""

    run_id: str
    url: str
    model_uris: dict[str, str]


def key_of(evaluation: Published) -> str:
    """What names an evaluation in MLflow: its partition, and everything it depends on."""
    return f"{evaluation.place}/{evaluation.manifest.cause}"


def log_evaluation(client: MlflowClient, evaluation: Evaluation) -> Logged:
    """Log parameters, metrics, pages, plots and models of all candidates."""
    dataset = evaluation.summary["dataset"]
    experiment = _experiment(client, dataset)
    if logged := find_logged(client, dataset, evaluation.key):
        log.info("Already in MLflow: %s", logged.url)
        return logged
    for unfinished in _runs_with(client, experiment, {KEY: evaluation.key}):
        parts = _runs_with(client, experiment, {"mlflow.parentRunId": unfinished.info.run_id})
        for run in (unfinished, *parts):
            client.delete_run(run.info.run_id)
    summary = evaluation.summary
    tags = {**evaluation.tags, KEY: evaluation.key}
    parent = client.create_run(experiment, run_name=summary["partition"], tags=tags)
    parent_id = parent.info.run_id
    uris = {}
    for candidate in summary["candidates"]:
        uris[candidate["candidate"]] = _log_candidate(client, parent, candidate, evaluation)
    winner = next(item for item in summary["candidates"] if item["candidate"] == summary["winner"])
    _log_values(
        client,
        parent_id,
        {
            "winner": summary["winner"],
            "engine": summary["engine"],
            **summary.get("parameters", {}),
        },
        {**winner["metrics"], **summary.get("figures", {})},
    )
    for folder, paths in evaluation.artifacts.items():
        for path in paths:
            client.log_artifact(parent_id, str(path), folder)
    client.log_dict(parent_id, evaluation.card, f"{card.FOLDER}/{card.FILE}")
    client.set_tag(parent_id, COMPLETE, "true")
    client.set_terminated(parent_id)
    return Logged(parent_id, run_url(client, experiment, parent_id), uris)


def find_logged(client: MlflowClient, dataset: str, key: str) -> Logged | None:
    """The complete runs of an evaluation, None where it is not logged yet."""
    experiment = client.get_experiment_by_name(dataset)
    if experiment is None:
        return None
    identifier = experiment.experiment_id
    for parent in _runs_with(client, identifier, {KEY: key, COMPLETE: "true"}):
        children = _runs_with(client, identifier, {"mlflow.parentRunId": parent.info.run_id})
        uris = {child.data.tags[CANDIDATE]: child.data.tags[MODEL_URI] for child in children}
        return Logged(parent.info.run_id, run_url(client, identifier, parent.info.run_id), uris)
    return None


def run_url(client: MlflowClient, experiment: str, run_id: str) -> str:
    """Address of a run in the MLflow UI."""
    return f"{client.tracking_uri}/#/experiments/{experiment}/runs/{run_id}"


def _log_candidate(
    client: MlflowClient, parent: Run, candidate: dict[str, Any], evaluation: Evaluation
) -> str:
    started = time.monotonic()
    name = candidate["candidate"]
    tags = {**evaluation.tags, CANDIDATE: name, "mlflow.parentRunId": parent.info.run_id}
    run_id = client.create_run(parent.info.experiment_id, run_name=name, tags=tags).info.run_id
    parameters = {
        "algorithm": candidate["algorithm"], "threshold": candidate["threshold"],
        "balance": candidate.get("balance"), "rounds": candidate.get("rounds"),
        "calibrate": candidate.get("calibration", {}).get("method"),
        **candidate["hyperparameters"],
    }  # fmt: skip
    metrics = {
        **candidate["metrics"],
        **{f"cv_{metric}": value for metric, value in candidate["cross_validation"].items()},
        **{f"{metric}_low": low for metric, (low, _) in candidate["intervals"].items()},
        **{f"{metric}_high": high for metric, (_, high) in candidate["intervals"].items()},
        "train_seconds": candidate["seconds"],
        "cost_usd": candidate["cost_usd"],
    }
    _log_values(client, run_id, parameters, metrics)
    uri = _log_model(run_id, name, evaluation)
    client.set_tag(run_id, MODEL_URI, uri)
    client.set_terminated(run_id)
    log.info("Logged %s to MLflow in %.1f s.", name, time.monotonic() - started)
    return uri


def _log_values(
    client: MlflowClient,
    run_id: str,
    parameters: Mapping[str, Any],
    metrics: Mapping[str, float | None],
) -> None:
    from mlflow.entities import Metric, Param

    now = int(time.time() * 1000)
    client.log_batch(
        run_id,
        [Metric(name, value, now, 0) for name, value in metrics.items() if value is not None],
        [Param(name, str(value)) for name, value in parameters.items() if value is not None],
    )


def _log_model(run_id: str, candidate: str, evaluation: Evaluation) -> str:
    """Log one model with signature and example; the bundle holds data, the code is ours."""
    import mlflow
    import pandas as pd

    with unpacked(evaluation.models[candidate]) as folder, tempfile.TemporaryDirectory() as scratch:
        bundle = shutil.copytree(folder, Path(scratch) / "bundle")
        state = json.loads((bundle / "transformation.json").read_text())
        facts = json.loads((bundle / "model.json").read_text())
        with mlflow.start_run(run_id=run_id), warnings.catch_warnings():
            # The example is tried on the model; skops then looks at every attribute of every
            # module, Airflow's deprecated ones too, and each would warn.
            warnings.simplefilter("ignore")
            info = mlflow.pyfunc.log_model(
                name=candidate,
                loader_module="inference",
                data_path=str(bundle),
                code_paths=[str(path) for path in source_files()],
                signature=_signature(state),
                input_example=pd.DataFrame([evaluation.example]),
                pip_requirements=requirements(facts["algorithm"], facts["versions"]),
            )
    return str(info.model_uri)


def _signature(state: dict[str, Any]) -> ModelSignature:
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, Schema, TensorSpec

    types = {"number": "double", "text": "string"}
    inputs: list[ColSpec | TensorSpec] = [
        ColSpec(types[item["type"]], item["name"], required=False) for item in state["inputs"]
    ]
    named = state.get("classes") or ["probability"]
    outputs: list[ColSpec | TensorSpec] = [ColSpec("double", name) for name in named]
    return ModelSignature(Schema(inputs), Schema(outputs))


def _experiment(client: MlflowClient, name: str) -> str:
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        try:
            return str(client.create_experiment(name))
        except MlflowException:  # another run made it just now
            experiment = client.get_experiment_by_name(name)
            if experiment is None:
                raise
    if experiment.lifecycle_stage == "deleted":  # its name cannot be given again
        client.restore_experiment(experiment.experiment_id)
    return str(experiment.experiment_id)


def _runs_with(client: MlflowClient, experiment: str, tags: Mapping[str, str]) -> list[Run]:
    query = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
    return list(client.search_runs([experiment], query, max_results=1000))
