"""The DAGs of image data sets: the graph with its setup and teardown, and when it skips."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from millrace.datasets import load_image_specs
from millrace.settings import PROJECT
from tests.dags.conftest import parse

SPECS, BROKEN = load_image_specs(PROJECT / "include" / "datasets")
EDGES = {
    "wait_for_images": {"plan"},
    "plan": {"create_cluster", "image_features"},
    "create_cluster": {"image_features", "terminate_cluster"},
    "image_features": {"check_features", "terminate_cluster"},
    "terminate_cluster": set(),
    "check_features": {"split_components"},
    "split_components": {"train"},
    "train": {"transform"},
    "transform": {"evaluate"},
    "evaluate": {"explain"},
    "explain": {"log_to_mlflow"},
    "log_to_mlflow": {"promote"},
    "promote": set(),
}
AWS = {
    "MILLRACE_LAKE": "s3://bucket/prefix", "MILLRACE_AWS_REGION": "eu-west-3",
    "MILLRACE_SAGEMAKER_ROLE": "arn:aws:iam::123456789012:role/jobs",
    "MILLRACE_AWS_CONNECTION": "lake",
}  # fmt: skip
JOBS = ("image_features", "train", "transform")


@pytest.fixture(scope="module")
def on_aws() -> dict[str, Any]:
    """The DAGs as they are where an AWS target is set."""
    with pytest.MonkeyPatch.context() as patched:
        for name, value in AWS.items():
            patched.setenv(name, value)
        return parse()


@pytest.fixture(params=["local", "aws"])
def either(request: pytest.FixtureRequest, dags: dict[str, Any], on_aws: dict[str, Any]) -> Any:
    return {"local": dags, "aws": on_aws}[request.param]


def test_there_is_one() -> None:
    assert SPECS and not BROKEN


@pytest.mark.parametrize("name", SPECS)
def test_the_graph_is_the_pipeline(either: dict[str, Any], name: str) -> None:
    found = {task.task_id: set(task.downstream_task_ids) for task in either[name].tasks}
    assert found == EDGES


@pytest.mark.parametrize("name", SPECS)
def test_the_cluster_is_set_up_and_torn_down(either: dict[str, Any], name: str) -> None:
    dag = either[name]
    assert [task.task_id for task in dag.tasks if task.is_setup] == ["create_cluster"]
    assert [task.task_id for task in dag.tasks if task.is_teardown] == ["terminate_cluster"]
    assert not dag.get_task("terminate_cluster").on_failure_fail_dagrun


@pytest.mark.parametrize("name", SPECS)
def test_tasks_are_owned_documented_and_bounded(either: dict[str, Any], name: str) -> None:
    dag, spec = either[name], SPECS[name]
    assert spec.description in dag.doc_md
    assert {"images", *spec.tags} <= dag.tags
    for task in dag.tasks:
        assert task.owner == spec.owner
        assert task.doc_md, task.task_id
        assert task.execution_timeout
        assert task.retries == (5 if task.task_id in JOBS else 2)


@pytest.mark.parametrize("name", SPECS)
def test_the_form_is_that_of_the_other_pipelines(dags: dict[str, Any], name: str) -> None:
    form = dags[name].params
    assert set(form) == {"partition", "engine", "candidates", "promote", "again"}
    assert form["candidates"] == list(SPECS[name].candidates)
    assert "Spark" in form.get_param("engine").description


@pytest.mark.parametrize("name", SPECS)
def test_without_aws_there_is_no_cluster(dags: dict[str, Any], name: str) -> None:
    """A setup that is skipped would take the whole pipeline with it."""
    assert dags[name].get_task("create_cluster").python_callable() is None
    with pytest.raises(AirflowSkipException, match="runs on this machine"):
        dags[name].get_task("terminate_cluster").python_callable()


@pytest.mark.parametrize("name", SPECS)
def test_on_aws_the_providers_operators_make_and_end_it(on_aws: dict[str, Any], name: str) -> None:
    from airflow.providers.amazon.aws.operators.emr import (
        EmrCreateJobFlowOperator,
        EmrTerminateJobFlowOperator,
    )

    create, end = (on_aws[name].get_task(f"{verb}_cluster") for verb in ("create", "terminate"))
    assert isinstance(create, EmrCreateJobFlowOperator)
    assert isinstance(end, EmrTerminateJobFlowOperator)
    for each in (create, end):
        assert (each.aws_conn_id, each.region_name) == ("lake", "eu-west-3")
        assert not each.deferrable
    assert create.used_by == "image_features"
