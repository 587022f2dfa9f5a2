"""Requests to Athena that make features: tables over published Parquet, and one query of them."""

# ruff: noqa: S608 - names come from a checked spec and settings, and are quoted

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from millrace.aws.target import AwsSettings
from millrace.datasets import RelationalSpec
from millrace.errors import MillraceError
from millrace.features_sql import Feature, Query, joined_query
from millrace.features_sql.table import columns_of
from millrace.relational.engine import text

LONGEST = 262_144  # bytes of a query, Athena's limit
HIVE = {"VARCHAR": "string"}  # DuckDB's types whose name in DDL is another


def features_request(
    target: AwsSettings,
    *,
    spec: RelationalSpec,
    queries: Mapping[str, Query],
    features: Iterable[Feature],
    tables: str,
    prefix: str,
    output: str,
    results: str,
) -> dict[str, Any]:
    """What Athena is asked for: `Before`, and the arguments of StartQueryExecution.

    Args:
        tables: address of the published tables, a folder for each.
        prefix: what the names of the external tables begin with.
        output: address of the folder that receives the features as Parquet, in no order.
        results: address of the folder for Athena's own lists of what it wrote.

    Raises:
        MillraceError: the query is longer than Athena takes.
    """
    query = unload(composed_query(spec, queries, features, prefix), output)
    if len(query.encode()) + 100 > LONGEST:  # the name stands in front of it
        raise MillraceError(
            f"the queries of {spec.name} have {len(query.encode()):,} bytes together; Athena takes"
            f" {LONGEST:,}: shorten them, or unset MILLRACE_ATHENA_WORKGROUP"
        )
    return {
        "Before": [external_table(name, spec, prefix, tables) for name in spec.tables],
        "QueryString": query,
        "QueryExecutionContext": {"Database": target.athena_database},
        "ResultConfiguration": {"OutputLocation": f"{results.rstrip('/')}/"},
    }  # fmt: skip


def external_table(name: str, spec: RelationalSpec, prefix: str, tables: str) -> str:
    """DDL, in Hive's dialect, of a table over the published files of one table."""
    columns = ",\n".join(
        f"    `{column.lower()}` {HIVE.get(kind, kind).lower().replace(' ', '')}"
        for column, kind in columns_of(name, spec).items()
    )
    return (
        f"CREATE EXTERNAL TABLE IF NOT EXISTS `{prefix}{name.lower()}` (\n{columns}\n)\n"
        f"STORED AS PARQUET\nLOCATION {text(f'{tables}/{name}/')}"
    )


def composed_query(
    spec: RelationalSpec, queries: Mapping[str, Query], features: Iterable[Feature], prefix: str
) -> str:
    """The table of features in one query, as the worker makes it, over the external tables."""
    named = ",\n".join(f"{name} AS (SELECT * FROM {prefix}{name.lower()})" for name in spec.tables)
    sources = {table: f"(\n{query.sql}\n)" for table, query in queries.items()}
    return f"WITH {named}\n{joined_query(spec, features, sources, order=False)}"


def unload(query: str, output: str) -> str:
    """A query whose rows become Parquet files."""
    return (
        f"UNLOAD (\n{query}\n)\nTO {text(f'{output}/')}\n"
        "WITH (format = 'PARQUET', compression = 'SNAPPY')"
    )
