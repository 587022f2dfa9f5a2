"""Reading SQL files: one query a table, parsed as DuckDB and as Trino."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from millrace.datasets import RESERVED, RelationalSpec
from millrace.datasets.file import nearest
from millrace.errors import MillraceError
from millrace.features_sql.origins import copies_of

if TYPE_CHECKING:
    from sqlglot import exp

DIALECTS = ("duckdb", "trino")


class QueryError(MillraceError):
    """A SQL file cannot be used; the message names file, expression and remedy."""


@dataclass(frozen=True)
class Query:
    """One SQL file.

    Attributes:
        table: name of the file, which is the table that the features tell about.
        key: the first column: the subject.
        descriptions: what each feature is, by its name, in the order of the file.
        reads: tables that the query reads.
    """

    table: str
    sql: str
    key: str
    descriptions: dict[str, str]
    reads: frozenset[str]


def sql_folder(datasets: Path, spec: RelationalSpec) -> Path:
    """Where the SQL of a data set stands: `sql/<name>` beside the folder of the specs."""
    return datasets.parent / "sql" / spec.sql


def describe_features(folder: Path) -> dict[str, str]:
    """What every feature of a folder is, by its name: the source for docs and pages.

    Raises:
        QueryError: as `read_queries`.
    """
    queries = read_queries(folder).values()
    return {name: text for query in queries for name, text in query.descriptions.items()}


def read_queries(folder: Path) -> dict[str, Query]:
    """The queries of a folder by their tables, in alphabetical order.

    Raises:
        QueryError: there is none, one cannot be parsed, or a feature is not named and described.
    """
    paths = sorted(folder.glob("*.sql"), key=lambda path: path.stem.casefold())
    if not paths:
        raise QueryError(f"{folder} holds no SQL file; write one query a table, <table>.sql")
    queries = {path.stem: _read(path) for path in paths}
    seen: dict[str, str] = {}
    for table, query in queries.items():
        for name in query.descriptions:
            if name in seen:
                raise QueryError(
                    f"{folder}/{table}.sql: the feature {name!r} stands in {seen[name]}.sql too;"
                    " name it differently"
                )
            seen[name] = table
    return queries


def queries_of(spec: RelationalSpec, folder: Path) -> dict[str, Query]:
    """The queries of a data set: that of the entity first, the others as `read_queries`.

    Raises:
        QueryError: besides, a query has no table in the spec, reads the target or a table that is
            not declared, copies a private column, or does not begin with the key of the entity.
    """
    queries = read_queries(folder)
    if spec.entity not in queries:
        raise QueryError(f"{folder} lacks {spec.entity}.sql; write the query of the entity")
    for table, query in queries.items():
        _check(query, spec, folder / f"{table}.sql")
    first = {spec.entity: queries.pop(spec.entity)}
    return first | queries


def _check(query: Query, spec: RelationalSpec, path: Path) -> None:
    known = list(spec.tables)
    for table in sorted({query.table, *query.reads} - {*known}):
        raise QueryError(f"{path}: the table {table!r} is not in the spec{nearest(table, known)};"
                         " declare it under `tables:`, or mend the name")  # fmt: skip
    if query.key.casefold() != spec.id_column.casefold():
        raise QueryError(f"{path}: the first column is {query.key!r}; write {spec.id_column}, the"
                         f" key of {spec.entity}")  # fmt: skip
    if _mentions(query.sql, spec.target.column):
        raise QueryError(f"{path}: names the target {spec.target.column}; a feature must not be"
                         " made from what is to be predicted")  # fmt: skip
    for name in sorted(copies_of(query.sql, spec.private_columns())):
        raise QueryError(f"{path}: {name!r} is a private column itself; make something less telling"
                         " of it, such as an age in years, or leave it out")  # fmt: skip


def _mentions(sql: str, column: str) -> bool:
    import sqlglot
    from sqlglot import exp

    found = sqlglot.parse_one(sql, dialect="duckdb").find_all(exp.Column)
    return any(each.name.casefold() == column.casefold() for each in found)


def _read(path: Path) -> Query:
    sql = path.read_text(encoding="utf-8")
    tree = _parsed(sql, path)
    key, *features = tree.selects
    descriptions: dict[str, str] = {}
    for feature in features:
        name, text = feature.alias, " ".join(" ".join(feature.comments or ()).split())
        shown = feature.sql(dialect="duckdb", comments=False)[:80]
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in RESERVED:
            raise QueryError(f"{path}: {shown!r} is called {name!r}; end it with `AS <name>` in"
                             " a-z, 0-9 and _, which every engine keeps as it is")  # fmt: skip
        if not text:
            raise QueryError(f"{path}: {name!r} has no description; write `-- <what it is>`"
                             " behind it in the same line")  # fmt: skip
        if name in descriptions:
            raise QueryError(f"{path}: {name!r} stands there twice; name each feature once")
        descriptions[name] = text
    return Query(path.stem, sql, key.alias_or_name, descriptions, _tables(tree))


def _parsed(sql: str, path: Path) -> exp.Select:
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    for dialect in DIALECTS:
        try:
            trees = [tree for tree in sqlglot.parse(sql, dialect=dialect) if tree is not None]
        except SqlglotError as error:
            raise QueryError(f"{path} cannot be read as {dialect}: {error}") from error
        if len(trees) != 1 or not isinstance(trees[0], exp.Select):
            raise QueryError(f"{path}: found {len(trees)} statements; write one SELECT")
        tree = trees[0]
    if len(tree.selects) < 2:
        raise QueryError(f"{path}: selects nothing but the key; add features")
    return tree


def _tables(tree: exp.Select) -> frozenset[str]:
    from sqlglot import exp

    own = {part.alias for part in tree.find_all(exp.CTE)}
    return frozenset(table.name for table in tree.find_all(exp.Table)) - own


def texts_of(queries: Mapping[str, Query]) -> dict[str, str]:
    """The SQL of every query: what features depend on."""
    return {table: query.sql for table, query in queries.items()}
