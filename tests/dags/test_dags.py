"""What the DAG files define: the edges, the form, the documentation, and what they import."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.definitions.retry_policy import RetryAction
from airflow.serialization.serialized_objects import DagSerialization

from millrace.datasets import load_image_specs, load_relational_specs, load_specs
from millrace.errors import MillraceError
from millrace.jobs.job import JobFailed, JobStopped
from millrace.settings import PROJECT
from tests.dags.conftest import parse

OTHERS = {"arrivals", "erase_subject", "log_spooled", "retention", "stop_orphans"}
SCORING = {"score_home_credit", "start_scoring"}
WATCHED = ("fruits", "home_credit", "loan_default", "telecom_churn")
WATCHING = {*(f"watch_{name}" for name in WATCHED), "start_retraining"}
DEPLOYED = {"deploy_titanic", "deploy_loan_default"}
SPECS, BROKEN = load_specs(PROJECT / "include" / "datasets")
IMAGES, BROKEN_IMAGES = load_image_specs(PROJECT / "include" / "datasets")
TABLES, BROKEN_TABLES = load_relational_specs(PROJECT / "include" / "datasets")
HEAVY = (
    "pandas numpy pyarrow sklearn scipy xgboost lightgbm mlflow boto3 botocore pandera skops"
    " matplotlib duckdb sqlglot pyspark shap onnx onnxruntime openvino cv2 PIL"
).split()
EDGES = {
    "wait_for_raw": {"validate_raw"},
    "validate_raw": {"preprocess"},
    "preprocess": {"train"},
    "train": {"transform"},
    "transform": {"evaluate"},
    "evaluate": {"explain"},
    "explain": {"log_to_mlflow"},
    "log_to_mlflow": {"promote"},
    "promote": set(),
}


def test_every_spec_is_usable_and_has_a_dag(dags: dict[str, Any]) -> None:
    assert not BROKEN and not BROKEN_IMAGES and not BROKEN_TABLES
    assert set(dags) == {
        *SPECS, *IMAGES, *TABLES, *OTHERS, *SCORING, *WATCHING, *DEPLOYED,
    }  # fmt: skip


@pytest.mark.parametrize("name", SPECS)
def test_the_graph_is_the_pipeline(dags: dict[str, Any], name: str) -> None:
    found = {task.task_id: set(task.downstream_task_ids) for task in dags[name].tasks}
    assert found == EDGES


@pytest.mark.parametrize("name", SPECS)
def test_tasks_are_owned_documented_and_bounded(dags: dict[str, Any], name: str) -> None:
    dag, spec = dags[name], SPECS[name]
    assert spec.description in dag.doc_md
    assert {"tabular", *spec.tags} <= dag.tags
    for task in dag.tasks:
        assert task.owner == spec.owner
        assert task.doc_md, task.task_id
        assert task.execution_timeout
        assert task.retries == (5 if task.task_id in ("train", "transform") else 2)
        assert task.retry_exponential_backoff


@pytest.mark.parametrize("name", SPECS)
def test_the_form_offers_what_the_spec_has(dags: dict[str, Any], name: str) -> None:
    form = dags[name].params
    assert set(form) == {"partition", "engine", "candidates", "promote", "again"}
    assert form["candidates"] == list(SPECS[name].candidates)
    for field, bad in {
        "partition": "yesterday; rm -rf /",
        "engine": "moon",
        "candidates": ["nobody"],
        "promote": "perhaps",
        "again": "very",
    }.items():
        with pytest.raises(Exception, match=r"(?s)validat|Invalid|is not"):
            form.get_param(field).resolve(value=bad)
    assert form.get_param("partition").resolve(value="2026-01-31") == "2026-01-31"
    assert form.get_param("partition").resolve(value=None) is None


@pytest.mark.parametrize("name", SPECS)
def test_runs_are_by_day_and_do_not_start_at_once(dags: dict[str, Any], name: str) -> None:
    dag = dags[name]
    assert not dag.catchup
    timetable = dag.timetable
    assert timetable.run_offset == 0
    assert timetable.key_format == "%Y-%m-%d"
    scheduled = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
    ticks = list(
        scheduled.timetable.iter_partition_dagrun_infos(
            earliest=datetime(2026, 1, 1, tzinfo=UTC), latest=datetime(2026, 1, 3, tzinfo=UTC)
        )
    )
    assert [tick.partition_key for tick in ticks] == ["2026-01-01", "2026-01-02", "2026-01-03"]


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (MillraceError("no"), RetryAction.FAIL),
        (JobFailed("no"), RetryAction.FAIL),
        (JobStopped("out of memory"), RetryAction.DEFAULT),
        (ConnectionError("try again"), RetryAction.DEFAULT),
    ],
)
def test_only_what_may_pass_is_retried(
    dags: dict[str, Any], error: Exception, action: RetryAction
) -> None:
    policy = dags["titanic"].get_task("validate_raw").retry_policy
    assert policy.evaluate(error, 1, 2).action is action


def test_parsing_imports_nothing_heavy_and_needs_nothing() -> None:
    code = (
        "import json, sys\n"
        "from airflow.dag_processing.dagbag import DagBag\n"
        "before = set(sys.modules)\n"
        f"bag = DagBag({str(PROJECT / 'dags')!r})\n"
        f"heavy = [name for name in {HEAVY} if name in set(sys.modules) - before]\n"
        "print(json.dumps([bag.import_errors, heavy]))\n"
    )
    clean = {name: value for name, value in os.environ.items() if "CONN_" not in name}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**clean, "PYTHONPATH": str(PROJECT / "plugins")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [{}, []]


def test_a_broken_spec_has_a_dag_that_says_so_and_harms_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = (PROJECT / "include" / "datasets" / "titanic.yaml").read_text()
    (tmp_path / "titanic.yaml").write_text(good)
    (tmp_path / "slip.yaml").write_text(good.replace("metric: accuracy", "metric: acuracy"))
    (tmp_path / "wrong name.yaml").write_text(good)
    monkeypatch.setenv("MILLRACE_DATASETS", str(tmp_path))
    dags = parse()
    assert set(dags) == {"titanic", "deploy_titanic", "slip", "wrong_name", *OTHERS}
    assert "did you mean 'accuracy'?" in dags["slip"].doc_md
    assert "name the file with a-z" in dags["wrong_name"].doc_md
    assert "broken spec" in dags["slip"].tags
    with pytest.raises(MillraceError, match="acuracy"):
        dags["slip"].get_task("read_spec").python_callable()


def test_an_s3_lake_is_watched_by_the_providers_sensor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_LAKE", "s3://bucket/prefix")
    monkeypatch.setenv("MILLRACE_AWS_CONNECTION", "lake")
    from airflow.providers.amazon.aws.sensors.s3 import S3KeySensor

    sensor = parse()["titanic"].get_task("wait_for_raw")
    assert isinstance(sensor, S3KeySensor)
    assert sensor.deferrable
    assert sensor.aws_conn_id == "lake"
    assert sensor.bucket_key.startswith("s3://bucket/prefix/raw/titanic/")
