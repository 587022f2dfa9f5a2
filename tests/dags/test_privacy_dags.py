"""The DAGs of erasure and retention: their graph, their forms, and what Airflow gets to know."""

from __future__ import annotations

import datetime as dt
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from millrace.settings import PROJECT
from tests.privacy.loans import borrower
from tests.tracking.mlflow_server import MlflowServer

DAY = "2026-03-01"


def test_the_graph_of_retention_lists_before_it_removes(dags: dict[str, Any]) -> None:
    found = {task.task_id: set(task.downstream_task_ids) for task in dags["retention"].tasks}
    assert found == {
        "list_expired": {"may_remove", "remove_expired"},
        "may_remove": {"remove_expired"},
        "remove_expired": set(),
    }
    assert dags["retention"].params["remove"] == "auto"


@pytest.mark.parametrize("name", ["erase_subject", "retention"])
def test_tasks_are_documented_and_bounded(dags: dict[str, Any], name: str) -> None:
    assert dags[name].doc_md and dags[name].max_active_runs == 1
    for task in dags[name].tasks:
        assert task.doc_md and task.execution_timeout and task.retries == 2


def test_the_form_takes_no_identifier(dags: dict[str, Any]) -> None:
    form = dags["erase_subject"].params
    assert set(form) == {"dataset", "request"}
    assert form.get_param("request").resolve(value="request-1a") == "request-1a"
    for identifier in ("100001", "7590-VHVEG", borrower(1)):
        with pytest.raises(Exception, match=r"(?s)does not match"):
            form.get_param("request").resolve(value=identifier)
    assert form.get_param("dataset").resolve(value="loan_default") == "loan_default"
    with pytest.raises(Exception, match=r"(?s)is not one of"):
        form.get_param("dataset").resolve(value="fruits")


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., str]:
    """Runs `python -m ...` in an installation of its own; returns what it said."""
    home = tmp_path / "airflow"
    inherited = {name: value for name, value in os.environ.items() if "AIRFLOW" not in name}
    environment = {
        **inherited,
        "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "false", "MILLRACE_HOME": str(tmp_path / "home"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "PYTHONPATH": str(PROJECT / "plugins"),
    }  # fmt: skip

    def run(*command: str, said: str = "", **settings: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", *command], env=environment | settings, capture_output=True,
            text=True, timeout=300, input=said, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
        return done.stdout + done.stderr

    return run


@pytest.mark.integration
def test_airflow_never_gets_to_know_whom_a_run_erases(
    tmp_path: Path, run: Callable[..., str]
) -> None:
    """The DAG runs for real; then Airflow's database and logs are searched."""
    home = tmp_path / "airflow"
    raw = tmp_path / "home" / "lake" / "raw" / "loan_default" / DAY / "loans.csv"
    raw.parent.mkdir(parents=True)
    raw.write_text(f"customer_id,income\n{borrower(1)},2\n{borrower(2)},3\n")
    name = run("millrace.privacy", "request", "loan_default", said=f"{borrower(1)}\n").strip()
    run("airflow", "db", "migrate")
    conf = json.dumps({"dataset": "loan_default", "request": name})
    said = run("airflow", "dags", "test", "erase_subject", "--conf", conf)
    assert raw.read_text() == f"customer_id,income\n{borrower(2)},3\n"
    with sqlite3.connect(home / "airflow.db") as database:
        assert name in str(database.execute("SELECT conf FROM dag_run").fetchall())
    known = [path for path in home.rglob("*") if path.is_file()]
    assert borrower(1) not in said
    assert not [path for path in known if borrower(1).encode() in path.read_bytes()]
    [proof] = (tmp_path / "home" / "lake" / "privacy" / "loan_default" / "proofs").iterdir()
    assert json.loads(proof.read_text())["removed"] == 1


def registered(uri: str, name: str, partitions: Sequence[str], champion: int | None) -> None:
    """A registered model with a version for each partition; one of them may be the champion."""
    from mlflow import MlflowClient

    client = MlflowClient(uri, uri)
    client.create_registered_model(name)
    for number, partition in enumerate(partitions, start=1):
        client.create_model_version(name, "s3://b/m", tags={"millrace.partition": partition})
        if number == champion:
            client.set_registered_model_alias(name, "champion", str(number))


@pytest.mark.integration
def test_retention_lists_by_default_and_removes_on_demand_all_but_the_champions(
    tmp_path: Path, run: Callable[..., str]
) -> None:
    lake, today = tmp_path / "home" / "lake", dt.datetime.now(dt.UTC).date()
    old, older, young = (str(today - dt.timedelta(days=days)) for days in (40, 50, 5))
    for area in ("raw", "processed", "reports"):
        for dataset in ("loans", "ships"):
            for day in (older, old, young):
                path = lake / area / dataset / day / "attempt=1" / "rows.csv"
                path.parent.mkdir(parents=True)
                path.write_text("1\n")
    run("airflow", "db", "migrate")
    with MlflowServer(tmp_path / "mlflow") as server:
        registered(server.uri, "loans", [older, old], champion=1)
        registered(server.uri, "ships", [older, old], champion=None)
        days = {"MILLRACE_RETENTION": "raw=30,processed=30", "MLFLOW_TRACKING_URI": server.uri}
        said = run("airflow", "dags", "test", "retention", **days)
        assert len(list(lake.rglob("rows.csv"))) == 18 and not (lake / "privacy").exists()
        assert f"processed/loans/{older}" in said and "7 expired" in said
        assert "stays: the champion was trained on it" in said
        run("airflow", "dags", "test", "retention", "--conf", '{"remove": "yes"}', **days)
    left = {path.relative_to(lake).parts[:3] for path in lake.rglob("rows.csv")}
    assert left == {
        *((area, name, young) for area in ("raw", "processed") for name in ("loans", "ships")),
        *(("reports", name, day) for name in ("loans", "ships") for day in (older, old, young)),
        ("processed", "loans", older),
    }  # fmt: skip
    [record] = (lake / "privacy" / "retention").iterdir()
    assert len(json.loads(record.read_text())["removed"]) == 7
