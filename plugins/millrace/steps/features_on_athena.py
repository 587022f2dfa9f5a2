"""How Athena makes the features of several tables: what it is asked for, and what comes back."""

# ruff: noqa: S608 - names come from a checked spec and are quoted

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from millrace.aws.athena import features_request
from millrace.aws.prices import terabyte
from millrace.features_sql import Feature, Query
from millrace.jobs.athena import tables_of
from millrace.jobs.job import TRY, Job, Request, Status
from millrace.jobs.names import job_name
from millrace.jobs.work import Remote
from millrace.lake import Attempt, Published
from millrace.relational.engine import BATCH, open_engine, quoted, text
from millrace.steps.features_parts import columns_of_features, write_features
from millrace.steps.run import Run

log = logging.getLogger(__name__)

RESULTS = "jobs/athena"  # Athena's own lists of what it wrote: addresses, no rows


def remote(
    run: Run, tables: Published, queries: Mapping[str, Query], features: Sequence[Feature],
    what: Mapping[str, Any],
) -> Remote:  # fmt: skip
    """One query of a workgroup, shared by all who ask for the same features.

    Args:
        what: what the features depend on.
    """
    settings, target = run.settings, run.settings.aws_target()
    all_of_it = {
        **what, "tables at": tables.uri, "limit": settings.job_timeout, "lake": run.store.root,
        "athena": [target.athena_workgroup, target.athena_database],
        **({"run": run.run_id} if run.again else {}),
    }  # fmt: skip
    name = job_name(run.spec.name, run.partition, "sql_features", "", all_of_it)
    place = str(run.place("features"))
    body = features_request(
        target, spec=run.relational, queries=queries, features=features, tables=tables.uri,
        prefix=tables_of(name, TRY), output=run.store.uri(f"{place}/{unloaded(name, TRY)}"),
        results=run.store.uri(RESULTS),
    )  # fmt: skip
    request = Request(
        "athena", name, body, settings.job_timeout, target.athena_workgroup,
        terabyte=terabyte(target.region, own=target.prices),
    )  # fmt: skip
    return Remote(
        request, send=_nothing, collect=partial(_collect, run, tables, features),
        connection=settings.aws_connection, region=target.region, interval=settings.poll_interval,
    )  # fmt: skip


def unloaded(name: str, number: int | str) -> str:
    """The folder below the place of the features that one try of a query writes into."""
    return f"attempt={name.rpartition('-')[2]}-{number}/unloaded"


def _nothing() -> None:
    """The tables are in the lake already."""


def _collect(
    run: Run, tables: Published, features: Sequence[Feature], job: Job, _status: Status,
    attempt: Attempt,
) -> None:  # fmt: skip
    """Sort what Athena wrote, in no order, into the parts that the worker's engine makes too.

    Raises:
        FileNotFoundError: Athena's files are gone.
    """
    spec, started = run.relational, time.monotonic()
    prefix = f"{run.place('features')}/{unloaded(job.name, job.number)}"
    with tempfile.TemporaryDirectory(prefix="millrace-features-") as scratch:
        folder = Path(scratch) / "unloaded"
        folder.mkdir()
        keys = [entry.key for entry in run.store.walk(prefix)]
        if not keys:
            raise FileNotFoundError(f"{run.store.uri(prefix)} holds no file")
        files = [str(run.store.local(key, folder)) for key in keys]
        with open_engine(Path(scratch), run.settings.sql_memory) as engine:
            names = map(quoted, columns_of_features(spec, features))
            columns = ", ".join(f"{name} AS {name}" for name in names)  # Athena's are lower case
            listed = ", ".join(map(text, files))
            key_type = spec.tables[spec.entity].columns.types()[spec.id_column]
            query = (
                f"SELECT {columns} FROM read_parquet([{listed}])"
                f" ORDER BY CAST(_row_id AS {key_type})"
            )
            reader = engine.sql(query).to_arrow_reader(BATCH)
            subjects = tables.facts["rows"][spec.entity]
            write_features(reader, spec, features, subjects, attempt)
    attempt.facts |= {"engine": "athena", "sort_seconds": round(time.monotonic() - started, 1)}
    run.store.delete(prefix)  # the attempt holds the rows now; they name people
