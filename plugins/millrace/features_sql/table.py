"""The table of features: one row for each subject, all queries joined to the entity."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from millrace.datasets import ROW_ID, RelationalSpec
from millrace.features_sql.origins import made_of
from millrace.features_sql.queries import Query, QueryError
from millrace.relational.engine import open_engine, quoted, text


@dataclass(frozen=True)
class Feature:
    """One feature.

    Attributes:
        type: `double` or `string`.
        table: the SQL file that makes it.
        personal: it is made of a personal column: no page shows what it is for one person.
    """

    name: str
    type: str
    table: str
    description: str
    personal: bool = False


def features_of(spec: RelationalSpec, queries: Mapping[str, Query]) -> list[Feature]:
    """All features with their types, in the order in which they are published.

    The types are DuckDB's own, found by preparing each query over empty tables: a slip in a query
    shows here, before any data is read.

    Raises:
        QueryError: a query cannot be prepared, or gives something that is no number or text.
    """
    columns = {column for table in spec.tables.values() for column in table.personal}
    with (
        tempfile.TemporaryDirectory(prefix="millrace-sql-") as scratch,
        open_engine(Path(scratch), "256m", threads=1) as engine,
    ):
        for name in spec.tables:
            engine.execute(f"CREATE TABLE {quoted(name)} ({empty_columns(name, spec)})")
        return [
            Feature(
                name, _type(kind, name, query), query.table, query.descriptions[name],
                name in personal,
            )
            for query in queries.values()
            for personal in [made_of(query.sql, columns)]
            for name, kind in _described(engine, query)
        ]  # fmt: skip


def columns_of(name: str, spec: RelationalSpec) -> dict[str, str]:
    """The columns of a published table with their types in DuckDB's words."""
    types = spec.tables[name].columns.types()
    return {**types, spec.target.column: "VARCHAR"} if name == spec.entity else dict(types)


def empty_columns(name: str, spec: RelationalSpec) -> str:
    """The columns of a table with their types, as CREATE TABLE has them."""
    types = columns_of(name, spec)
    return ", ".join(f"{quoted(column)} {kind}" for column, kind in types.items())


def _described(engine, query: Query) -> list[tuple[str, str]]:  # type: ignore[no-untyped-def]
    import duckdb

    try:
        rows = engine.execute(f"DESCRIBE {query.sql}").fetchall()
    except duckdb.Error as error:
        raise QueryError(f"{query.table}.sql: {error}") from error
    return [(row[0], row[1]) for row in rows[1:]]


def _type(kind: str, name: str, query: Query) -> str:
    if kind == "VARCHAR":
        return "string"
    if kind.split("(")[0] in {"DOUBLE", "FLOAT", "DECIMAL", "HUGEINT", "BIGINT", "INTEGER",
                              "SMALLINT", "TINYINT", "BOOLEAN"}:  # fmt: skip
        return "double"
    raise QueryError(f"{query.table}.sql: {name!r} is a {kind}; cast it to a number or to text")


def joined_query(
    spec: RelationalSpec,
    features: Iterable[Feature],
    sources: Mapping[str, str],
    order: bool = True,
    entity: str | None = None,
) -> str:
    """One query for the table of features, in the common subset of DuckDB and Trino.

    Columns: `_row_id` as text, the features as double or text, the target as 0 and 1 (missing where
    it is not known). Every row of the entity is there once; a subject without rows in a table has
    missing features.

    Args:
        sources: for each SQL file what to read its features from: a name, or its query in
            parentheses.
        order: sort by the key.
        entity: what to read the subjects from: by default their table.
    """
    key, target = spec.id_column, spec.target
    columns = [
        f'CAST(entity.{key} AS VARCHAR) AS "{ROW_ID}"',
        *(_cast(feature) for feature in features),
        f"CAST(CASE entity.{target.column} WHEN {text(target.positive)} THEN 1"
        f" WHEN {text(target.negative)} THEN 0 END AS TINYINT) AS {target.column}",
    ]
    joins = [
        f"LEFT JOIN {source} AS {_of(table)} ON {_of(table)}.{key} = entity.{key}"
        for table, source in sources.items()
    ]
    lines = ["SELECT", ",\n".join(f"    {column}" for column in columns)]
    lines += [f"FROM {entity or spec.entity} AS entity", *joins]
    return "\n".join([*lines, f"ORDER BY entity.{key}"] if order else lines)


def _of(table: str) -> str:
    return f"features_of_{table}"


def _cast(feature: Feature) -> str:
    kind = "DOUBLE" if feature.type == "double" else "VARCHAR"
    return f"CAST({_of(feature.table)}.{feature.name} AS {kind}) AS {feature.name}"


def features_json(features: Sequence[Feature]) -> dict[str, list[dict[str, str | bool]]]:
    """The features as they stand in `features.json`."""
    return {"features": [vars(feature) for feature in features]}


def features_from_json(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Feature]:
    """The features that `features.json` names."""
    return [Feature(**each) for each in found["features"]]
