"""The checks in SQL: they pass on good features, and tell name and figure where they fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from millrace import quality
from millrace.datasets import RelationalSpec
from millrace.datasets.quality import Checks, TableCheck
from millrace.lake import open_store
from millrace.steps.load_tables import load_tables
from millrace.steps.run import Run
from millrace.steps.sql_features import sql_features
from tests.lake.s3 import BUCKET, s3_client, s3_server
from tests.relational import bank

Make = Callable[..., Run]


@pytest.fixture
def prepared(bank_run: Make, spec: RelationalSpec) -> Run:
    made = bank.tables(spec)
    for row in made["application"]:
        row["EXT_SOURCE_1"] = row["EXT_SOURCE_1"] or "0.5"
    run = bank_run(made)
    load_tables(run)
    sql_features(run)
    return run


def check(run: Run, spec: RelationalSpec, monkeypatch: pytest.MonkeyPatch, kind: Any) -> None:
    """Run an operator as a task of this run does, without Airflow's database."""
    monkeypatch.setattr(quality, "this_run", lambda asked: run)
    kind(task_id="check", spec=spec).execute({})


@pytest.mark.parametrize("kind", [quality.CheckColumns, quality.CheckTable])
def test_good_features_pass(
    prepared: Run, spec: RelationalSpec, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    check(prepared, spec, monkeypatch, kind)


@pytest.mark.parametrize("kind", [quality.CheckColumns, quality.CheckTable])
def test_they_pass_on_features_in_s3(
    prepared: Run, spec: RelationalSpec, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    lake = Path(prepared.store.root)
    with s3_server() as endpoint:
        client = s3_client(endpoint)
        for path in (path for path in lake.rglob("*") if path.is_file()):
            client.upload_file(str(path), BUCKET, path.relative_to(lake).as_posix())

        def opened(_: RelationalSpec) -> Run:  # as a task does: nobody else holds this run
            return replace(prepared, store=open_store(f"s3://{BUCKET}", client))

        monkeypatch.setattr(quality, "this_run", opened)
        kind(task_id="check", spec=spec).execute({})


def with_checks(spec: RelationalSpec, **checks: Any) -> RelationalSpec:
    return spec.model_copy(update={"checks": Checks(**checks)})


def test_a_failing_column_check_tells_its_name_and_figure(
    prepared: Run, spec: RelationalSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict = with_checks(spec, columns={"age_years": {"max": {"less_than": 30}}})
    with pytest.raises(Exception, match=r"(?s)Column: age_years.*max.*'result': 6\d"):
        check(prepared, strict, monkeypatch, quality.CheckColumns)


def test_a_failing_table_check_tells_its_name_and_figure(
    prepared: Run, spec: RelationalSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = TableCheck(statement="COUNT(*) < 100", figure="COUNT(*)")
    with pytest.raises(Exception, match=r"(?s)few_rows.*'found': 120"):
        check(prepared, with_checks(spec, table={"few_rows": few}), monkeypatch, quality.CheckTable)


def test_a_join_that_lost_a_subject_is_found(
    prepared: Run, spec: RelationalSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    from millrace.hooks.duckdb import DuckDbHook
    from millrace.steps.sql_features import published_files

    tables = prepared.published("processed", "tables", "load_tables")
    hook = DuckDbHook(published_files(spec, tables, prepared.features()))
    part = hook.files["features"][0]
    import pyarrow.parquet as pq

    pq.write_table(pq.read_table(part).slice(1), part.with_name("cut.parquet"))
    hook.files = {**hook.files, "features": part.with_name("cut.parquet")}
    operator = quality.CheckTable(task_id="check", spec=with_checks(spec))
    operator.__dict__["_database"] = hook
    with pytest.raises(Exception, match=r"(?s)every_subject_is_there.*'found': 119"):
        operator.execute({})
    twice = quality.CheckColumns(task_id="check", spec=with_checks(spec))
    hook.files = {**hook.files, "features": [part, part.with_name("cut.parquet")]}
    twice.__dict__["_database"] = hook
    with pytest.raises(Exception, match=r"(?s)_row_id.*unique_check.*'result': 119"):
        twice.execute({})
