"""What Athena is asked for: tables, one query, and SQL that Trino calculates as DuckDB does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sqlglot
from sqlglot import exp
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify

from millrace.aws.athena import LONGEST, external_table, features_request
from millrace.aws.target import AwsSettings
from millrace.datasets import RelationalSpec, load_relational_specs
from millrace.errors import MillraceError
from millrace.features_sql import Query, features_of, queries_of, sql_folder
from millrace.features_sql.table import columns_of
from millrace.settings import PROJECT

DATASETS = PROJECT / "include" / "datasets"
SPECS = load_relational_specs(DATASETS)[0]
PREFIX = "millrace_bank_1_"


def queries(spec: RelationalSpec) -> dict[str, Query]:
    return queries_of(spec, sql_folder(DATASETS, spec))


def request(spec: RelationalSpec, found: dict[str, Query]) -> dict[str, Any]:
    return features_request(
        AwsSettings(athena_database="bank"), spec=spec, queries=found,
        features=features_of(spec, queries(spec)), tables="s3://lake/tables/attempt=1",
        prefix=PREFIX, output="s3://lake/out", results="s3://lake/results",
    )  # fmt: skip


@pytest.mark.parametrize("name", SPECS)
def test_every_division_is_one_of_doubles(name: str) -> None:
    """DuckDB divides whole numbers into a fraction, Trino cuts it off."""
    spec = SPECS[name]
    schema = {
        table.lower(): {column.lower(): kind for column, kind in columns_of(table, spec).items()}
        for table in spec.tables
    }
    seen = 0
    for table, query in queries(spec).items():
        tree: Any = sqlglot.parse_one(query.sql, dialect="trino")
        tree = annotate_types(
            qualify(tree, schema=schema, dialect="trino", quote_identifiers=False),
            schema=schema, dialect="trino",
        )  # fmt: skip
        for division in tree.find_all(exp.Div):
            sides = {side.type.this for side in (division.left, division.right)}
            assert exp.DataType.Type.DOUBLE in sides, f"{table}.sql: {division.sql()}"
            seen += 1
    assert seen > 50


@pytest.mark.parametrize("name", SPECS)
def test_the_query_reads_the_external_tables_and_no_others(name: str) -> None:
    spec = SPECS[name]
    asked = request(spec, queries(spec))
    text = asked["QueryString"]
    assert text.startswith("UNLOAD (\nWITH ")
    tree = sqlglot.parse_one(text[len("UNLOAD (") : text.rindex("\n)\nTO")], dialect="trino")
    made = {f"{PREFIX}{table.lower()}" for table in spec.tables}
    own = {part.alias.lower() for part in tree.find_all(exp.CTE)}
    assert {table.name.lower() for table in tree.find_all(exp.Table)} - own == made
    assert len(asked["Before"]) == len(made)
    assert asked["QueryExecutionContext"] == {"Database": "bank"}


def test_a_table_is_a_folder_with_the_types_of_hive() -> None:
    spec = SPECS["home_credit"]
    ddl = external_table("POS_CASH_balance", spec, PREFIX, "s3://lake/tables/attempt=1")
    tree = sqlglot.parse_one(ddl, dialect="athena")
    assert isinstance(tree, exp.Create) and tree.find(exp.ExternalProperty)
    assert tree.find(exp.Table).name == f"{PREFIX}pos_cash_balance"  # type: ignore[union-attr]
    location = tree.find(exp.LocationProperty)
    assert location and location.this.name == "s3://lake/tables/attempt=1/POS_CASH_balance/"
    assert "`sk_id_prev` bigint" in ddl and "`name_contract_status` string" in ddl
    assert "`amt_credit_sum` decimal(18,3)" in external_table("bureau", spec, PREFIX, "s3://lake")


def test_a_query_that_is_too_long_is_refused_before_it_is_sent() -> None:
    spec = SPECS["home_credit"]
    found = queries(spec)
    long = replace(found["bureau"], sql=found["bureau"].sql + " " * LONGEST)
    with pytest.raises(MillraceError, match=r"Athena takes\s262,144: shorten them, or unset"):
        request(spec, {**found, "bureau": long})
