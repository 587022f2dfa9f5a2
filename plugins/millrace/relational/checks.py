"""What only whole tables show: repeated keys, no rows, one class, rows that belong to nobody."""

# ruff: noqa: S608 - names come from a checked spec and are quoted

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from millrace.datasets import RelationalSpec
from millrace.problems import Problem
from millrace.relational.engine import quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def problems_of(
    spec: RelationalSpec,
    engine: DuckDBPyConnection,
    rows: Mapping[str, tuple[int, int]],
    files: Mapping[str, Sequence[str]],
) -> Iterator[Problem]:
    """Problems of the loaded tables, which the engine knows by their names.

    Args:
        rows: rows read and rows kept, by table.
        files: files by table; a table without one was noted before.
    """
    for name, table in spec.tables.items():
        kept = rows[name][1]
        if kept == 0:
            if files[name]:
                yield from _no_rows(name, spec, read=rows[name][0])
            continue
        if table.key:
            yield from _repeated_keys(name, table.key, kept, engine)
        for column, other in table.references.items():
            if rows[other][1]:
                yield from _belonging_to_nobody(name, column, other, kept, engine)
    if rows[spec.entity][1]:
        yield from _classes(spec, rows[spec.entity][1], engine)


def _no_rows(name: str, spec: RelationalSpec, read: int) -> Iterator[Problem]:
    found = f"0 rows of {read:,} are usable" if read else "0 rows"
    if spec.tables[name].optional and not read:
        remedy = f"nobody has a history in {name}: its features are missing"
        yield Problem("note", "rows", found, remedy, name)
    else:
        yield Problem("error", "rows", found, "deliver a file with data rows", name)


def _repeated_keys(
    name: str, key: list[str], kept: int, engine: DuckDBPyConnection
) -> Iterator[Problem]:
    columns = ", ".join(map(quoted, key))
    (different,) = _one(
        engine, f"SELECT COUNT(*) FROM (SELECT DISTINCT {columns} FROM {quoted(name)})"
    )
    if different == kept:  # as nearly always; counting the copies of each takes half as long again
        return
    keys, rows = _one(
        engine,
        "SELECT COUNT(*), COALESCE(SUM(copies), 0) FROM (SELECT COUNT(*) AS copies"
        f" FROM {quoted(name)} GROUP BY {columns} HAVING COUNT(*) > 1)",
    )
    found = f"{int(rows):,} rows share {keys:,} keys"
    remedy = "deliver each row once; joined twice, it would count twice"
    yield Problem("error", "unique key", found, remedy, name, column=", ".join(key))


def _belonging_to_nobody(
    name: str, column: str, other: str, kept: int, engine: DuckDBPyConnection
) -> Iterator[Problem]:
    (count,) = _one(
        engine,
        f"SELECT COUNT(*) FROM {quoted(name)} WHERE {quoted(column)} NOT IN"
        f" (SELECT {quoted(column)} FROM {quoted(other)})",
    )
    if count:
        yield Problem("note", "reference", f"{count:,} of {kept:,} rows are of no {other}",
                      "they are left out of the features", name, column=column)  # fmt: skip


def _classes(spec: RelationalSpec, kept: int, engine: DuckDBPyConnection) -> Iterator[Problem]:
    column, target = quoted(spec.target.column), spec.target
    found = dict(
        engine.execute(
            f"SELECT {column}, COUNT(*) FROM {quoted(spec.entity)} GROUP BY {column}"
        ).fetchall()
    )
    unknown = found.pop(None, 0)
    if unknown:
        yield Problem("note", "target", f"not known in {unknown:,} of {kept:,} rows",
                      "they are scored, and left out of training", spec.entity,
                      column=target.column)  # fmt: skip
    few = [label for label in (target.negative, target.positive) if found.get(label, 0) < 2]
    if few:
        yield Problem("error", "two classes",
                      f"{found.get(few[0], 0)} rows with {few[0]!r} of {kept:,}",
                      "deliver rows of both classes, or mend `target.positive` / `.negative`",
                      spec.entity, column=target.column)  # fmt: skip


def _one(engine: DuckDBPyConnection, query: str) -> tuple[int, ...]:
    [row] = engine.execute(query).fetchall()
    return row
