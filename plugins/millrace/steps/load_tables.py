"""Step: from the raw files of several tables to typed Parquet, a quarantine and a report."""

from __future__ import annotations

import csv
import functools
import io
import logging
import shutil
import tempfile
import time
from pathlib import Path

from millrace.lake import Attempt, matches, publish
from millrace.lake.manifest import sha256_of
from millrace.relational.files import published_file
from millrace.relational.load import Loaded, load, report_of
from millrace.steps.run import Run, log_rate
from millrace.steps.validate_raw import RawDataError, publish_report

log = logging.getLogger(__name__)


def load_tables(run: Run) -> str:
    """Check and type the tables of a partition; publish them, the quarantine and the report.

    Raises:
        RawDataError: nothing may be built on these files. The report is published all the same.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="millrace-tables-") as scratch:
        paths = _raw_files(run, Path(scratch) / "raw")
        files = [
            {"name": name, "bytes": path.stat().st_size, "sha256": sha256_of(path)}
            for name, path in paths.items()
        ]
        for file in files:
            log.info("Found %s: %s bytes.", file["name"], f"{file['bytes']:,}")
        depends_on = {
            "files": files, "spec": run.spec.fingerprint("raw", "target", "entity", "tables"),
        }  # fmt: skip

        @functools.cache
        def result() -> Loaded:
            return load(run.relational, paths, Path(scratch) / "tables", run.settings.sql_memory)

        found = publish_report(run, files, depends_on, lambda: report_of(run.relational, result()))
        tables = publish(
            run.store, run.place("processed", "tables"), depends_on=depends_on,
            build=lambda attempt: _write_tables(result(), attempt), again=run.again,
        )  # fmt: skip
    log_rate("Loaded", found["rows_read"], started)
    return tables.uri


def _write_tables(loaded: Loaded, attempt: Attempt) -> None:
    for table, path in loaded.files.items():
        target = attempt.folder / published_file(table)
        target.parent.mkdir()
        shutil.move(path, target)
    for table, rows in loaded.quarantine.items():
        lines = io.StringIO(newline="")
        csv.writer(lines).writerows([("file", "row", "reasons", "record"), *sorted(rows)])
        attempt.write(f"quarantine/{table}.csv", lines.getvalue())
    attempt.facts["rows"] = {table: kept for table, (_, kept) in loaded.rows.items()}


def _raw_files(run: Run, folder: Path) -> dict[str, Path]:
    """Local paths of the files of any table, by their names in the partition.

    Raises:
        RawDataError: there are none.
    """
    prefix = str(run.place("raw"))
    names = [entry.key.removeprefix(f"{prefix}/") for entry in run.store.list(prefix)]
    patterns = run.relational.file_patterns()
    wanted = [name for name in names if any(matches(name, pattern) for pattern in patterns)]
    if not wanted:
        others = ", ".join(names[:5]) or "no file at all"
        raise RawDataError(
            f"{run.store.uri(prefix)} holds no file of any table (found {others}); deliver files"
            f" like {', '.join(patterns)}, or mend `tables:` in the spec"
        )
    folder.mkdir(parents=True, exist_ok=True)
    return {name: run.store.local(f"{prefix}/{name}", folder) for name in wanted}
