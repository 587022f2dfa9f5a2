"""The SQL files: what they say of themselves, both dialects, and results that depend on nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import sqlglot
from sqlglot import exp

from millrace.datasets import ROW_ID, RelationalSpec
from millrace.features_sql import (
    QueryError,
    describe_features,
    features_of,
    joined_query,
    queries_of,
    read_queries,
    sql_folder,
)
from millrace.features_sql.document import document
from millrace.features_sql.origins import made_of
from millrace.features_sql.table import empty_columns
from millrace.relational.engine import name_tables, open_engine
from millrace.settings import PROJECT
from millrace.steps.features_parts import schema_of
from millrace.steps.load_tables import load_tables
from millrace.steps.run import Run
from millrace.steps.sql_features import sql_features
from tests.relational import bank

Make = Callable[..., Run]
SQL = PROJECT / "include" / "sql" / "home_credit"
FILES = sorted(SQL.glob("*.sql"))
every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def test_there_are_enough_features_and_each_is_described() -> None:
    described = describe_features(SQL)
    assert len(described) >= 200
    for name, text in described.items():
        assert len(text) >= 8 and not text[0].islower() and not text.endswith("."), name


def test_the_document_is_current(spec: RelationalSpec) -> None:
    queries = queries_of(spec, SQL)
    written = (PROJECT / "docs" / "features" / "home_credit.md").read_text(encoding="utf-8")
    assert written == document(spec, queries, features_of(spec, queries)), (
        "run `python -m millrace.features_sql`"
    )


@every_file
@pytest.mark.parametrize("dialect", ["duckdb", "trino"])
def test_both_engines_read_it(path: Path, dialect: str, spec: RelationalSpec) -> None:
    """Read, with every column found in the declared tables, and written back the same."""
    from sqlglot.optimizer.qualify import qualify

    tree = sqlglot.parse_one(path.read_text(encoding="utf-8"), dialect=dialect)
    schema = {
        name: {**table.columns.types(), spec.target.column: "VARCHAR"}
        for name, table in spec.tables.items()
    }
    qualified = qualify(tree.copy(), schema=schema, dialect=dialect, validate_qualify_columns=True)
    assert len(qualified.selects) == len(tree.selects)
    again = sqlglot.parse_one(tree.sql(dialect=dialect), dialect=dialect)
    assert [each.alias_or_name for each in again.selects] == [
        each.alias_or_name for each in tree.selects
    ]


@every_file
def test_nothing_depends_on_the_order_of_rows(path: Path, spec: RelationalSpec) -> None:
    """Floating point is never summed, and no function takes whichever row comes first."""
    tree = sqlglot.parse_one(path.read_text(encoding="utf-8"), dialect="duckdb")
    unordered = (exp.Avg, exp.First, exp.Last, exp.AnyValue, exp.GroupConcat, exp.ArrayAgg,
                 exp.Stddev, exp.StddevSamp, exp.Variance, exp.ArgMax, exp.ArgMin,
                 exp.ApproxDistinct, exp.Limit)  # fmt: skip
    assert not list(tree.find_all(*unordered))
    doubles = {
        name for table in spec.tables.values() for name in table.columns.number
    } | {
        each.alias for each in tree.find_all(exp.Alias)
        if any(isinstance(part, exp.Div) or part.is_type("double")
               for part in each.this.walk() if isinstance(part, (exp.Div, exp.Cast)))
    }  # fmt: skip
    for total in tree.find_all(exp.Sum):
        summed = {column.name for column in total.find_all(exp.Column)}
        assert not summed & doubles, total.sql()
        assert not list(total.this.find_all(exp.Div, exp.Cast)), total.sql()


def write(folder: Path, sql: str, name: str = "application") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.sql").write_text(sql, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT SK_ID_CURR, AMT_CREDIT AS credit FROM application", "has no description"),
        ("SELECT SK_ID_CURR, AMT_CREDIT -- Credit\nFROM application", "end it with `AS <name>`"),
        ("SELECT SK_ID_CURR, 1 AS Upper -- One\nFROM application", "is called 'Upper'"),
        ("SELECT SK_ID_CURR, 1 AS a, -- One\n2 AS a -- Two\nFROM application", "there twice"),
        ("SELECT SK_ID_CURR FROM application", "nothing but the key"),
        ("SELECT 1; SELECT 2", "found 2 statements"),
        ("SELEC SK_ID_CURR", "statements; write one SELECT|cannot be read as"),
        ("SELECT AMT_CREDIT, 1 AS a -- One\nFROM application", "the first column is 'AMT_CREDIT'"),
        ("SELECT SK_ID_CURR, TARGET AS a -- It\nFROM application", "names the target TARGET"),
        ("SELECT SK_ID_CURR, 1 AS a -- One\nFROM aplication", "did you mean 'application'"),
        ("SELECT SK_ID_CURR, AMT_CREDI AS a -- It\nFROM application", "AMT_CREDI"),
        ("SELECT SK_ID_CURR, DAYS_BIRTH AS a -- It\nFROM application", "'a' is a private column"),
        ("WITH c AS (SELECT SK_ID_CURR, CAST(CODE_GENDER AS VARCHAR) AS b FROM application)\n"
         "SELECT SK_ID_CURR, (b) AS a -- It\nFROM c", "'a' is a private column itself"),
        ("SELECT SK_ID_CURR, [1] AS a -- It\nFROM application", "cast it to a number or to text"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_told_before_data_is_read(
    sql: str, message: str, spec: RelationalSpec, tmp_path: Path
) -> None:
    folder = write(tmp_path / "sql", sql)
    with pytest.raises(QueryError, match=message):
        features_of(spec, queries_of(spec, folder))


def test_a_feature_has_one_place(tmp_path: Path) -> None:
    sql = "SELECT SK_ID_CURR, COUNT(*) AS rows_found -- Rows\nFROM bureau GROUP BY SK_ID_CURR"
    folder = write(tmp_path / "sql", sql, "bureau")
    write(folder, sql, "application")
    with pytest.raises(QueryError, match=r"'rows_found' stands in application\.sql too"):
        read_queries(folder)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="holds no SQL file"):
        read_queries(tmp_path)


def features_with(spec: RelationalSpec, run: Run, threads: int, memory: str, folder: Path) -> Any:
    """The table of features, made in one query with so many threads."""
    tables = run.published("processed", "tables", "load_tables")
    queries = queries_of(spec, SQL)
    features = features_of(spec, queries)
    sources = {table: f"({query.sql}\n)" for table, query in queries.items()}
    with open_engine(folder, memory, threads) as engine:
        name_tables(engine, {name: tables.path(f"{name}/part-0.parquet") for name in spec.tables})
        table = engine.sql(joined_query(spec, features, sources)).to_arrow_table()
    return table.cast(schema_of(spec, features))


def test_the_features_depend_on_neither_rows_nor_threads_nor_memory(
    bank_run: Make, spec: RelationalSpec, tmp_path: Path
) -> None:
    made = bank.tables(spec, 400)
    run = bank_run(made)
    load_tables(run)
    sql_features(run)
    published = run.features()
    names = sorted(name for name in published.manifest.files if name.endswith(".parquet"))
    [part] = [pq.read_table(published.path(name)) for name in names]
    assert part.num_rows == 400 and published.facts["features"] == part.num_columns - 2
    other = bank_run(bank.shuffled(made, 7), partition="2026-03-02")
    load_tables(other)
    sql_features(other)
    assert other.features().manifest.content == published.manifest.content
    for threads, memory in ((1, "1g"), (3, "200m")):
        assert features_with(spec, other, threads, memory, tmp_path).equals(part)


def test_features_are_sorted_typed_and_listed(bank_run: Make, spec: RelationalSpec) -> None:
    run = bank_run()
    load_tables(run)
    sql_features(run)
    found = run.features()
    listed = found.json("features.json")["features"]
    table = pq.read_table(found.path("features/part-00000.parquet"))
    assert table.column_names == [ROW_ID, *(each["name"] for each in listed), spec.target.column]
    assert {each["type"] for each in listed} == {"double", "string"}
    assert table[ROW_ID].to_pylist() == sorted(table[ROW_ID].to_pylist())
    assert {each["description"] for each in listed} == set(describe_features(SQL).values())
    assert {"rows", "features", "seconds", "peak_mb"} <= set(found.facts)


def test_what_is_computed_by_hand(bank_run: Make, spec: RelationalSpec) -> None:
    """One applicant, two credits, three months, two instalments of which one in parts."""
    made = bank.tables(spec, 10)
    one = made["application"][0]["SK_ID_CURR"]
    made["application"][0] |= {
        "DAYS_BIRTH": "-14610", "DAYS_EMPLOYED": "365243", "AMT_CREDIT": "300000",
        "AMT_ANNUITY": "20000.5", "AMT_INCOME_TOTAL": "100000",
        "EXT_SOURCE_1": "", "EXT_SOURCE_2": "0.25", "EXT_SOURCE_3": "0.75",
    }  # fmt: skip
    for number, (day, debt, active) in enumerate(
        ((-100, "50.125", "Active"), (-400, "", "Closed"))
    ):
        made["bureau"].append(
            {**made["bureau"][0], "SK_ID_CURR": one, "SK_ID_BUREAU": str(9_000_000 + number),
             "DAYS_CREDIT": str(day), "AMT_CREDIT_SUM_DEBT": debt, "CREDIT_ACTIVE": active}
        )  # fmt: skip
    made["bureau_balance"] += [
        {"SK_ID_BUREAU": "9000000", "MONTHS_BALANCE": str(month), "STATUS": status}
        for month, status in ((-1, "2"), (-2, "0"), (-20, "1"))
    ]
    pay = {**made["installments_payments"][0], "SK_ID_CURR": one, "SK_ID_PREV": "1",
           "NUM_INSTALMENT_VERSION": "1"}  # fmt: skip
    made["installments_payments"] += [
        {**pay, "NUM_INSTALMENT_NUMBER": "1", "DAYS_INSTALMENT": "-50",
         "DAYS_ENTRY_PAYMENT": str(day), "AMT_INSTALMENT": "100", "AMT_PAYMENT": "40"}
        for day in (-60, -40)
    ]  # fmt: skip
    made["installments_payments"].append(
        {**pay, "NUM_INSTALMENT_NUMBER": "2", "DAYS_INSTALMENT": "-20",
         "DAYS_ENTRY_PAYMENT": "-25", "AMT_INSTALMENT": "100", "AMT_PAYMENT": "100"}
    )  # fmt: skip
    run = bank_run(made)
    load_tables(run)
    sql_features(run)
    row = pq.read_table(run.features().path("features/part-00000.parquet")).to_pylist()[0]
    expected = {
        ROW_ID: one, "age_years": 40, "days_employed": None, "not_employed": 1,
        "credit_to_annuity": 300000 / 20000.5, "annuity_to_income": 20000.5 / 100000,
        "ext_source_count": 2, "ext_source_mean": 0.5, "ext_source_min": 0.25,
        "ext_source_max": 0.75, "ext_source_1": None, "ext_source_product": None,
        "bureau_credits": 2, "bureau_active": 1, "bureau_debt_sum": 50.125,
        "bureau_days_newest": -100, "bureau_days_between": 300, "bureau_months": 3,
        "bureau_months_late": 2, "bureau_months_late_last_year": 1, "bureau_worst_status": 2,
        "bureau_late_share": 2 / 3, "inst_instalments": 2, "inst_in_parts": 1, "inst_short": 1,
        "inst_short_sum": 20, "inst_late": 1, "inst_days_late_max": 10, "inst_paid_sum": 180,
        "inst_delay_mean": 5, "inst_ahead_mean": 2.5, "prev_applications": None,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected


def test_a_query_with_two_rows_for_a_subject_is_refused(
    bank_run: Make, spec: RelationalSpec, tmp_path: Path
) -> None:
    from dataclasses import replace

    from millrace.errors import MillraceError

    run = bank_run()
    load_tables(run)
    datasets = tmp_path / "specs" / "datasets"
    folder = sql_folder(datasets, spec)
    shutil.copytree(SQL, folder)
    write(folder, "SELECT SK_ID_CURR, DAYS_CREDIT AS days -- Days\nFROM bureau", "bureau")
    changed = replace(run, settings=replace(run.settings, datasets=datasets))
    with pytest.raises(MillraceError, match=r"bureau\.sql gives 360 rows for .* subjects"):
        sql_features(changed)


def test_tables_of_the_engine_are_those_of_the_spec(spec: RelationalSpec) -> None:
    assert empty_columns("bureau_balance", spec) == (
        '"SK_ID_BUREAU" BIGINT, "MONTHS_BALANCE" BIGINT, "STATUS" VARCHAR'
    )


def test_features_made_of_personal_columns_are_marked(spec: RelationalSpec) -> None:
    queries = queries_of(spec, SQL)
    marked = {feature.name for feature in features_of(spec, queries) if feature.personal}
    assert {"age_years", "employed_to_age", "credit_to_age", "ext_source_1_to_age"} <= marked
    assert len(marked) == len([name for name in marked if "age" in name])
    assert made_of(queries["application"].sql, ["amt_credit"]) >= {
        "amt_credit",
        "credit_to_annuity",
    }
    assert "credit_to_income" not in made_of(queries["application"].sql, ["AMT_ANNUITY"])


def test_no_feature_is_made_of_gender(spec: RelationalSpec) -> None:
    queries = queries_of(spec, SQL).values()
    assert "CODE_GENDER" in spec.private_columns()
    assert not any(made_of(query.sql, ["CODE_GENDER"]) for query in queries)
