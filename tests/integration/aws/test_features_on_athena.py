"""Features by Athena: the same as the worker's, made once, and nothing is left behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.sdk.exceptions import TaskDeferred

from millrace.aws.errors import AwsBusy
from millrace.aws.policies import policy
from millrace.datasets import RelationalSpec, load_relational_spec
from millrace.jobs import athena as backend_module
from millrace.lake import open_store
from millrace.samples import home_credit
from millrace.settings import PROJECT, Settings
from millrace.steps.load_tables import load_tables
from millrace.steps.run import Run
from millrace.steps.sql_features import features_work, sql_features
from tests.integration.aws.in_task import deferral_of, task_of
from tests.integration.aws.standin import StandIn
from tests.integration.aws.standin.account import ACCOUNT, REGION
from tests.integration.aws.standin.tryout import wait
from tests.relational import bank
from tests.steps.club import make_bucket

pytestmark = pytest.mark.integration
DAY, GROUP, SCALE = "2026-03-01", "features", 0.002
POLICIES = {
    "worker": ["worker", "worker-athena"],
    "stranger": ["worker"],
}
VALUES = {
    "Bucket": "bank", "Prefix": "lake", "Region": REGION, "AccountId": ACCOUNT,
    "AthenaWorkgroup": GROUP, "AthenaDatabase": "millrace", "TaskLogGroup": "/millrace/tasks",
    "SageMakerRole": f"arn:aws:iam::{ACCOUNT}:role/jobs", "MetricsNamespace": "Millrace",
    "EventsQueue": "uploads",
}  # fmt: skip
Files = Mapping[str, bytes]
AT_ONCE = """
import time
from concurrent.futures import ThreadPoolExecutor
from sqlglot.dialects import dialect

trie = dialect.new_trie
dialect.new_trie = lambda *keys: (time.sleep(0.01), trie(*keys))[1]  # the making of a dialect

from tests.integration.aws.standin.statements import parse

def parsed(number):
    time.sleep(number / 100)
    ddl = "CREATE EXTERNAL TABLE `t` (`a` int) STORED AS PARQUET LOCATION 's3://bank/t/'"
    return type(parse(ddl, "millrace")).__name__

with ThreadPoolExecutor(40) as threads:
    print(*set(threads.map(parsed, range(40))))
"""


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    policies = {user: [policy(name, VALUES) for name in names] for user, names in POLICIES.items()}
    folder = tmp_path_factory.mktemp("aws")
    with StandIn(folder, pace={"state": 0.05}, policies=policies) as started:
        make_bucket(started, "bank")
        started.client("athena").create_work_group(Name=GROUP, Configuration={})
        started.client("glue").create_database(DatabaseInput={"Name": "millrace"})
        yield started


@pytest.fixture(autouse=True)
def as_worker(aws: StandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Everything is done with the rights of the shipped policies; nothing is left for the next."""
    monkeypatch.setattr(backend_module, "PAUSE", 0.05)
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws.connection("worker"))
    yield
    aws.clear_faults()
    assert tables(aws) == []


@pytest.fixture(scope="module")
def spec() -> RelationalSpec:
    return load_relational_spec(PROJECT / "include" / "datasets" / "home_credit.yaml")


@pytest.fixture
def bank_run(aws: StandIn, spec: RelationalSpec, tmp_path: Path) -> Callable[..., Run]:
    """A run on AWS, with the raw files and loaded tables of a bank in a lake of its own."""

    def make(files: Files | None = None, **variables: str) -> Run:
        texts = bank.texts(spec, bank.tables(spec))
        wanted = files or {name: text.encode() for name, text in texts.items()}
        settings = Settings.from_environment({
            "MILLRACE_HOME": str(tmp_path), "MILLRACE_LAKE": f"s3://bank/lake/{tmp_path.name}",
            "MILLRACE_AWS_REGION": REGION, "MILLRACE_ATHENA_WORKGROUP": GROUP,
            "MILLRACE_SAGEMAKER_ROLE": aws.role, "MILLRACE_POLL_INTERVAL": "1", **variables,
        })  # fmt: skip
        store = open_store(settings.lake, aws.client("s3", "worker"))
        run = Run(spec, DAY, store, settings, tuple(spec.candidates), engine="aws",
                  run_id=tmp_path.name)  # fmt: skip
        for name, content in wanted.items():
            store.replace(f"{run.place('raw')}/{name}", content, None)
        load_tables(run)
        return run

    return make


def tables(aws: StandIn) -> list[str]:
    found = aws.client("glue").get_tables(DatabaseName="millrace")["TableList"]
    return [table["Name"] for table in found]


def queries(aws: StandIn) -> list[dict[str, Any]]:
    """The queries that were started by name, oldest first."""
    return [job for job in aws.jobs(service="athena") if job["title"].startswith("millrace-")]


def by_athena(aws: StandIn, run: Run) -> Any:
    """The task from its first half to its second, with the job ended in between."""
    operator, context = task_of("sql_features", lambda: features_work(run), run)
    waiting = deferral_of(operator, context)
    wait(lambda: aws.jobs(name=waiting["job"]["id"])[0]["ended"], 120)
    return operator.complete(context, {}, **waiting)


def content_of(run: Run) -> dict[str, Any]:
    """Every published file of the features with its hash."""
    return run.features().manifest.files


def features_of(run: Run) -> pa.Table:
    found = run.features()
    names = sorted(name for name in found.manifest.files if name.endswith(".parquet"))
    return pa.concat_tables([pq.read_table(found.path(name)) for name in names])


def sample(folder: Path) -> dict[str, bytes]:
    home_credit.write(folder, scale=SCALE)
    return {path.name: path.read_bytes() for path in folder.glob("*.csv")}


def test_the_first_statements_of_a_process_may_come_at_once() -> None:
    done = subprocess.run(
        [sys.executable, "-c", AT_ONCE], cwd=PROJECT, capture_output=True, text=True
    )
    assert done.stdout == "CreateTable\n", done.stderr


@pytest.mark.parametrize("source", ["bank", "sample"])
def test_both_engines_make_the_same_files(
    aws: StandIn, bank_run: Callable[..., Run], tmp_path: Path, source: str
) -> None:
    run = bank_run(sample(tmp_path / "sample") if source == "sample" else None)
    sql_features(replace(run, engine="local"))
    here = features_of(run)
    worker, facts = content_of(run), run.features().facts
    assert facts["engine"] == "duckdb" and here.num_columns > 250
    again = replace(run, again=True)
    assert by_athena(aws, again) == run.store.uri(str(run.place("features")))
    found = run.features().facts
    assert found["engine"] == "athena" and found["rows"] == facts["rows"] == here.num_rows
    assert features_of(run).equals(here)  # bit for bit, and in the same order
    assert content_of(run) == worker
    assert found["scanned_bytes"] > 10_000 and 0 < found["cost_usd"] < 1e-3
    left = [entry.key for entry in run.store.walk(f"{run.place('features')}")]
    assert not any("unloaded" in key for key in left)


def test_a_killed_worker_finds_its_query_again(aws: StandIn, bank_run: Callable[..., Run]) -> None:
    run, before = bank_run(), len(queries(aws))
    operator, context = task_of("sql_features", lambda: features_work(run), run)
    waiting = deferral_of(operator, context)  # and nobody takes this up
    wait(lambda: aws.jobs(name=waiting["job"]["id"])[0]["ended"], 120)
    again, context = task_of("sql_features", lambda: features_work(run), run)
    again.execute(context)
    assert len(queries(aws)) == before + 1
    assert run.features().facts["engine"] == "athena"


def test_what_answers_is_not_made_again(aws: StandIn, bank_run: Callable[..., Run]) -> None:
    run = bank_run()
    sql_features(replace(run, engine="local"))
    before = len(queries(aws))
    operator, context = task_of("sql_features", lambda: features_work(run), run)
    operator.execute(context)
    assert len(queries(aws)) == before


def test_a_worker_that_loses_its_connection_leaves_the_tables_to_its_retry(
    aws: StandIn, bank_run: Callable[..., Run]
) -> None:
    run, before = bank_run(), len(queries(aws))
    aws.fault({"fault": "lost_answer", "operation": "StartQueryExecution", "times": 7})
    operator, context = task_of("sql_features", lambda: features_work(run), run)
    with pytest.raises(AwsBusy):
        operator.execute(context)
    assert tables(aws)
    by_athena(aws, run)
    assert len(queries(aws)) == before + 1 and not tables(aws)


def test_a_query_that_fails_leaves_no_table(aws: StandIn, bank_run: Callable[..., Run]) -> None:
    run = bank_run()
    aws.fault({"fault": "capacity", "operation": "StartQueryExecution", "times": 99})
    with pytest.raises(Exception, match="Query exhausted resources"):
        by_athena(aws, run)
    assert tables(aws) == []


def test_a_query_that_was_stopped_is_started_anew(
    aws: StandIn, bank_run: Callable[..., Run]
) -> None:
    run = bank_run()
    aws.fault({"fault": "never_ends", "operation": "StartQueryExecution", "times": 8})
    operator, context = task_of("sql_features", lambda: features_work(run), run)
    first = deferral_of(operator, context)
    aws.clear_faults()
    again, later = task_of("sql_features", lambda: features_work(run), run)
    waiting = deferral_of(again, later)
    assert waiting["found"] and waiting["job"] == first["job"]
    operator.on_kill()
    wait(lambda: aws.jobs(name=first["job"]["id"])[0]["ended"], 60)
    with pytest.raises(TaskDeferred) as deferred:
        again.complete(later, {}, **waiting)
    second = dict(deferred.value.kwargs or {})
    assert second["job"]["number"] == 2
    wait(lambda: aws.jobs(name=second["job"]["id"])[0]["ended"], 120)
    again.complete(later, {}, **second)
    assert run.features().facts["engine"] == "athena"


def test_output_that_is_gone_is_made_anew(aws: StandIn, bank_run: Callable[..., Run]) -> None:
    run = bank_run()
    operator, context = task_of("sql_features", lambda: features_work(run), run)
    waiting = deferral_of(operator, context)
    wait(lambda: aws.jobs(name=waiting["job"]["id"])[0]["ended"], 120)
    run.store.delete(f"{run.place('features')}/attempt={waiting['job']['name'][-10:]}-1")
    by_athena(aws, run)
    assert run.features().facts["job"].endswith("-2")


def test_without_a_workgroup_the_worker_makes_them(
    aws: StandIn, bank_run: Callable[..., Run]
) -> None:
    run = bank_run(MILLRACE_ATHENA_WORKGROUP="")
    assert features_work(run).remote is None


def test_without_the_policy_nothing_starts(
    aws: StandIn, bank_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = bank_run()
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws.connection("stranger"))
    operator, context = task_of("sql_features", lambda: features_work(run), run)
    with pytest.raises(Exception, match=r"not authorized to perform: athena:"):
        operator.execute(context)


def test_a_subject_twice_is_an_error_here_too(
    aws: StandIn, bank_run: Callable[..., Run], spec: RelationalSpec, tmp_path: Path
) -> None:
    run = bank_run()
    folder = tmp_path / "datasets"
    folder.mkdir()
    sql = PROJECT / "include" / "sql" / spec.sql
    target = tmp_path / "sql" / spec.sql
    target.mkdir(parents=True)
    for path in sql.glob("*.sql"):
        text = path.read_text()
        if path.stem == "bureau":
            text = text.replace("GROUP BY SK_ID_CURR\n", "GROUP BY SK_ID_CURR, SK_ID_BUREAU\n")
        (target / path.name).write_text(text)
    changed = replace(run, settings=replace(run.settings, datasets=folder))
    with pytest.raises(Exception, match=r"rows for 120 subjects"):
        by_athena(aws, changed)
