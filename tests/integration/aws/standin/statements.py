"""The statements of Athena that the stand-in knows: DDL in Hive's dialect, and UNLOAD."""

from __future__ import annotations

import re
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.dialects.athena import Athena
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.dialects.hive import Hive
from sqlglot.dialects.trino import Trino
from sqlglot.errors import SqlglotError

from tests.integration.aws.standin.jobs import Failed

# The dialects are classes here, never names: a name finds a class that another thread is still
# making, and with a half-made one sqlglot does not know what it knows otherwise.

UNLOAD = re.compile(
    r"UNLOAD\s*\((?P<query>.*)\)\s*TO\s*'(?P<target>s3://[^']+/)'\s*WITH\s*\((?P<options>[^)]*)\)",
    re.IGNORECASE | re.DOTALL,
)
COMPRESSIONS = {"SNAPPY", "GZIP", "ZSTD", "LZ4"}


@dataclass(frozen=True)
class CreateTable:
    """CREATE EXTERNAL TABLE ... STORED AS PARQUET LOCATION ...; types in Hive's words."""

    database: str
    table: str
    columns: list[tuple[str, str]]
    location: str
    exists_is_fine: bool


@dataclass(frozen=True)
class DropTable:
    """DROP TABLE."""

    database: str
    table: str
    absent_is_fine: bool


@dataclass(frozen=True)
class Unload:
    """UNLOAD of a query, which is in DuckDB's dialect here."""

    query: str
    reads: list[str]
    target: str


def parse(text: str, database: str) -> CreateTable | DropTable | Unload:
    """Read one statement.

    Raises:
        Failed: it is none, or none that the stand-in knows.
    """
    bare = re.sub(r"\A(?:\s*--[^\n]*\n)*", "", text).strip().removesuffix(";")
    try:
        if found := UNLOAD.fullmatch(bare):
            return _unload(found)
        trees = [tree for tree in sqlglot.parse(bare, dialect=Athena) if tree is not None]
    except SqlglotError as error:
        raise Failed(f"SYNTAX_ERROR: {str(error).splitlines()[0]}") from error
    if len(trees) != 1:
        raise Failed("SYNTAX_ERROR: Only one sql statement is allowed.")
    if isinstance(trees[0], exp.Create):
        return _create(trees[0], database)
    if isinstance(trees[0], exp.Drop):
        return _drop(trees[0], database)
    raise Failed(f"the stand-in's Athena does not know this statement: {bare[:80]}")


def _create(tree: exp.Create, database: str) -> CreateTable:
    properties = tree.args["properties"].expressions if tree.args.get("properties") else []
    kinds = {type(each): each for each in properties}
    location, stored = kinds.get(exp.LocationProperty), kinds.get(exp.FileFormatProperty)
    if exp.ExternalProperty not in kinds or not location or not isinstance(tree.this, exp.Schema):
        raise Failed("FAILED: SemanticException Only external tables with a location are known")
    if not stored or stored.this.name.upper() != "PARQUET":
        raise Failed("the stand-in's Athena reads Parquet only")
    table, uri = tree.this.this, location.this.name
    if not re.fullmatch(r"s3://[^/]+/(.*/)?", uri):
        raise Failed(f"FAILED: LOCATION must be a folder that ends in a slash, not {uri}")
    columns = [
        (column.name.lower(), column.args["kind"].sql(dialect=Hive).lower().replace(" ", ""))
        for column in tree.this.expressions
    ]
    return CreateTable((table.db or database).lower(), table.name.lower(), columns, uri,
                       bool(tree.args.get("exists")))  # fmt: skip


def _drop(tree: exp.Drop, database: str) -> DropTable:
    table = tree.find(exp.Table)
    if table is None or tree.args.get("kind") != "TABLE":
        raise Failed("the stand-in's Athena drops tables only")
    return DropTable((table.db or database).lower(), table.name.lower(),
                     bool(tree.args.get("exists")))  # fmt: skip


def _unload(found: re.Match[str]) -> Unload:
    options = dict(re.findall(r"(\w+)\s*=\s*'(\w+)'", found["options"].lower()))
    if options.get("format") != "parquet" or set(options) - {"format", "compression"}:
        raise Failed(f"the stand-in's Athena writes Parquet only: {found['options']}")
    if options.get("compression", "gzip").upper() not in COMPRESSIONS:
        raise Failed(f"INVALID_PROPERTY: no compression {options['compression']!r}")
    tree = sqlglot.parse_one(found["query"], dialect=Trino)
    own = {part.alias.lower() for part in tree.find_all(exp.CTE)}
    reads = sorted({table.name.lower() for table in tree.find_all(exp.Table)} - own)
    return Unload(tree.sql(dialect=DuckDB, comments=False), reads, found["target"])
