"""The DAGs of data sets of several tables: the edges, the assets, and a broken spec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from millrace import assets
from millrace.datasets import load_relational_specs
from millrace.settings import PROJECT
from tests.dags.conftest import parse

DATASETS = PROJECT / "include" / "datasets"
SPECS, _ = load_relational_specs(DATASETS)
EDGES = {
    "wait_for_raw": {"load_tables"},
    "load_tables": {"sql_features"},
    "sql_features": {"check_columns", "check_table"},
    "check_columns": {"preprocess"},
    "check_table": {"preprocess"},
    "preprocess": {"train"},
    "train": {"transform"},
    "transform": {"evaluate"},
    "evaluate": {"explain"},
    "explain": {"log_to_mlflow"},
    "log_to_mlflow": {"promote"},
    "promote": set(),
}


@pytest.mark.parametrize("name", SPECS)
def test_the_graph_is_the_pipeline(dags: dict[str, Any], name: str) -> None:
    found = {task.task_id: set(task.downstream_task_ids) for task in dags[name].tasks}
    assert EDGES.items() <= found.items()


@pytest.mark.parametrize("name", SPECS)
def test_the_page_names_tables_and_the_form_engines(dags: dict[str, Any], name: str) -> None:
    dag, spec = dags[name], SPECS[name]
    assert {"relational", *spec.tags} <= dag.tags
    assert all(f"`{table}`" in dag.doc_md for table in spec.tables)
    assert set(dag.params) == {"partition", "engine", "candidates", "promote", "again"}
    for task in dag.tasks:
        assert task.owner == spec.owner and task.doc_md, task.task_id


@pytest.mark.parametrize("name", SPECS)
def test_published_features_are_an_asset(dags: dict[str, Any], name: str) -> None:
    assert dags[name].get_task("sql_features").outlets == [assets.features_of(name)]


def test_a_broken_spec_has_a_dag_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = (DATASETS / "home_credit.yaml").read_text(encoding="utf-8")
    (tmp_path / "bank.yaml").write_text(good.replace("entity: application", "entity: aplication"))
    monkeypatch.setenv("MILLRACE_DATASETS", str(tmp_path))
    broken = parse()["bank"]
    assert "did you mean 'application'?" in broken.doc_md
    assert {"relational", "broken spec"} <= broken.tags
