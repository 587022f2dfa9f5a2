"""Step: from the tables to one row of features for each subject, by SQL."""

# ruff: noqa: S608 - names come from a checked spec and are quoted

from __future__ import annotations

import logging
import resource
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from millrace.datasets import RelationalSpec
from millrace.errors import MillraceError
from millrace.features_sql import Feature, Query, features_of, joined_query, queries_of, sql_folder
from millrace.features_sql.queries import texts_of
from millrace.jobs.work import Work
from millrace.lake import Attempt, Published
from millrace.relational.engine import BATCH, name_tables, open_engine, quoted, text
from millrace.relational.files import published_file
from millrace.steps.features_on_athena import remote
from millrace.steps.features_parts import ROWS, write_features
from millrace.steps.run import Run, log_rate

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

log = logging.getLogger(__name__)


def sql_features(run: Run) -> str:
    """Run the SQL files of a data set over its tables on this machine; publish the features.

    Raises:
        QueryError, MillraceError: as `features_work`.
    """
    features_work(run).do_here()
    return run.features().uri


def features_work(run: Run) -> Work:
    """The work of running the SQL files of a data set over its tables.

    By Athena on AWS where a workgroup is set, else by the worker. Either way the same features.

    Raises:
        QueryError: a SQL file cannot be used; found before any data is read.
        MillraceError: when it is done: a query has two rows for a subject.
    """
    spec = run.relational
    queries = queries_of(spec, sql_folder(run.settings.datasets, spec))
    features = features_of(spec, queries)
    tables = run.published("processed", "tables", "load_tables")
    what, place = features_depend_on(run, tables, queries), run.place("features")
    return Work(
        run.store, run.store.uri(str(place)), place, depends_on=what,
        inputs={tables.uri: tables.manifest.content},
        here=partial(_build, run, tables, queries, features),
        remote=remote(run, tables, queries, features, what) if _by_athena(run) else None,
        again=run.again,
    )  # fmt: skip


def _by_athena(run: Run) -> bool:
    return run.is_remote and bool(run.settings.aws_target().athena_workgroup)


def features_depend_on(
    run: Run, tables: Published, queries: Mapping[str, Query]
) -> dict[str, object]:
    """What the published features depend on, whichever engine makes them."""
    return {
        "tables": tables.manifest.content,
        "sql": texts_of(queries),
        "spec": run.spec.fingerprint("name", "target", "entity"),
        "personal": {name: table.personal for name, table in run.relational.tables.items()},
    }


def _build(
    run: Run, tables: Published, queries: Mapping[str, Query], features: list[Feature],
    attempt: Attempt,
) -> None:  # fmt: skip
    spec, started = run.relational, time.monotonic()
    files = {name: tables.path(published_file(name)) for name in spec.tables}
    subjects = tables.facts["rows"][spec.entity]
    with (
        tempfile.TemporaryDirectory(prefix="millrace-features-") as scratch,
        open_engine(Path(scratch), run.settings.sql_memory) as engine,
    ):
        name_tables(engine, files)
        _run_queries(queries, spec, engine)
        rows = _joined(spec, features, {table: _made(table) for table in queries}, engine)
        write_features(rows, spec, features, subjects, attempt)
    attempt.facts |= {
        "engine": "duckdb", "seconds": round(time.monotonic() - started, 1), "peak_mb": peak_mb(),
    }  # fmt: skip
    log_rate(f"Made {len(features)} features of", subjects, started)


def _run_queries(
    queries: Mapping[str, Query], spec: RelationalSpec, engine: DuckDBPyConnection
) -> None:
    """Run one query after the other, so that only one aggregation stands in memory at a time."""
    import duckdb

    for done, (table, query) in enumerate(queries.items(), start=1):
        started = time.monotonic()
        try:
            engine.execute(f"CREATE TEMP TABLE {_made(table)} AS {query.sql}")
        except duckdb.Error as error:
            raise MillraceError(f"{table}.sql: {error}") from error
        [(rows, subjects)] = engine.execute(
            f"SELECT COUNT(*), COUNT(DISTINCT {spec.id_column}) FROM {_made(table)}"
        ).fetchall()
        if rows != subjects:
            raise MillraceError(f"{table}.sql gives {rows:,} rows for {subjects:,} subjects; group"
                                f" by {spec.id_column} alone")  # fmt: skip
        log.info("Ran %s.sql (%d of %d): %s rows, %d features, %.1f s.", table, done, len(queries),
                 f"{rows:,}", len(query.descriptions), time.monotonic() - started)  # fmt: skip


def _joined(
    spec: RelationalSpec, features: Sequence[Feature], sources: Mapping[str, str],
    engine: DuckDBPyConnection,
) -> Iterator[pa.RecordBatch]:  # fmt: skip
    """The rows of all features, sorted by subject; some subjects at a time stand in memory."""
    key = quoted(spec.id_column)
    blocks = engine.execute(
        f"SELECT MIN({key}), MAX({key}) FROM (SELECT {key},"
        f" (ROW_NUMBER() OVER (ORDER BY {key}) - 1) // {ROWS} AS block"
        f" FROM {quoted(spec.entity)}) GROUP BY block ORDER BY block"
    ).fetchall()
    for bounds in blocks:
        low, high = (text(each) if isinstance(each, str) else str(each) for each in bounds)

        def some(name: str, low: str = low, high: str = high) -> str:
            return f"(SELECT * FROM {quoted(name)} WHERE {key} BETWEEN {low} AND {high})"

        query = joined_query(
            spec, features, {table: some(name) for table, name in sources.items()},
            entity=some(spec.entity),
        )  # fmt: skip
        yield from engine.sql(query).to_arrow_reader(BATCH)


def published_files(
    spec: RelationalSpec, tables: Published, made: Published
) -> dict[str, list[Path]]:
    """Local Parquet files by the names that SQL uses: tables, and `features`.

    Copies from S3 last as long as `tables` and `made`.
    """
    files = {name: [tables.path(published_file(name))] for name in spec.tables}
    parts = [made.path(name) for name in made.manifest.files if name.endswith(".parquet")]
    return {**files, "features": parts}


def _made(table: str) -> str:
    return f"made_of_{table}"


def peak_mb() -> int:
    """The most memory that this process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
