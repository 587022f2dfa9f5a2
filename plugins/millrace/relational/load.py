"""Loading the tables of a partition: typed Parquet, what was set aside, and what is wrong."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from millrace.datasets import RelationalSpec
from millrace.problems import LISTED, Problem
from millrace.relational import checks
from millrace.relational.engine import name_tables, open_engine
from millrace.relational.files import absent_tables, files_of, header_problems, read_header
from millrace.relational.parquet import write_batches
from millrace.relational.quarantine import Row
from millrace.relational.reading import Odd, Reader, Source

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

log = logging.getLogger(__name__)


@dataclass
class Loaded:
    """What became of the raw files.

    Attributes:
        files: the Parquet file of every table.
        rows: rows read and rows kept, by table.
        quarantine: rows set aside, by table.
        problems: everything that is wrong.
    """

    files: dict[str, Path] = field(default_factory=dict)
    rows: dict[str, tuple[int, int]] = field(default_factory=dict)
    quarantine: dict[str, list[Row]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether anything may be built on these tables."""
        return not any(problem.severity == "error" for problem in self.problems)


def load(
    spec: RelationalSpec, paths: Mapping[str, Path], folder: Path, memory: str = "2g"
) -> Loaded:
    """Check, type and write all tables below `folder`.

    Headers come first: where one is not as declared, no row is read.

    Args:
        paths: the raw files by their names in the partition.
        memory: what the engine may use before it writes to `folder`.
    """
    loaded = Loaded()
    files = files_of(spec, list(paths))
    loaded.problems += absent_tables(spec, files)
    headers = {name: _header(name, paths[name], table, spec, loaded)
               for table, names in files.items() for name in names}  # fmt: skip
    if not loaded.passed:
        return loaded
    with open_engine(folder, memory) as engine:
        for done, (table, names) in enumerate(files.items(), start=1):
            started = time.monotonic()
            sources = [Source(name, paths[name], headers[name]) for name in names]
            _load_table(table, spec, sources, folder, engine, loaded)
            seconds = time.monotonic() - started
            log.info("Loaded %s (%d of %d): %s rows in %.1f s.", table, done, len(files),
                     f"{loaded.rows[table][0]:,}", seconds)  # fmt: skip
        name_tables(engine, loaded.files)
        loaded.problems += checks.problems_of(spec, engine, loaded.rows, files)
    return loaded


def _header(name: str, path: Path, table: str, spec: RelationalSpec, loaded: Loaded) -> list[str]:
    try:
        header = read_header(path, spec)
    except UnicodeError as error:
        loaded.problems.append(Problem("error", "encoding", str(error)[:80],
                                       "write the encoding as `raw.encoding`", name))  # fmt: skip
        return []
    is_entity = table == spec.entity
    loaded.problems += header_problems(name, header, spec.tables[table], spec, target=is_entity)
    return header


def _load_table(
    table: str, spec: RelationalSpec, sources: Sequence[Source], folder: Path,
    engine: DuckDBPyConnection, loaded: Loaded,
) -> None:  # fmt: skip
    """Write one table; most hold nothing odd, and reading those quickly takes half the time."""
    import duckdb

    unreadable = (duckdb.DataError, duckdb.ProgrammingError)  # not a full disk, nor full memory
    path = loaded.files[table] = folder / f"{table}.parquet"
    reader = Reader(table, spec, sources, engine)
    try:
        kept = write_batches(reader.quickly(), reader.schema, path)
    except (Odd, *unreadable):
        log.info("%s has something odd; reading it again as text, row by row.", table)
        try:
            kept = write_batches(reader.carefully(), reader.schema, path)
        except unreadable as error:
            found = str(error).splitlines()[0][:200]
            remedy = "have the file exported again as CSV"
            loaded.problems.append(Problem("error", "readable", found, remedy, table))
            kept = 0
    loaded.quarantine[table] = reader.aside.rows
    loaded.problems += reader.aside.problems
    _judge(table, spec, kept, reader.bad, loaded)


def _judge(table: str, spec: RelationalSpec, kept: int, bad: int, loaded: Loaded) -> None:
    """Note the rows of a table, and whether too many are bad."""
    loaded.rows[table] = (kept + bad, kept)
    if bad > spec.raw.tolerance * (kept + bad):
        share = f"{bad:,} bad rows of {kept + bad:,} ({bad / (kept + bad):.2%})"
        remedy = f"mend the rows, or raise `raw.tolerance` (now {spec.raw.tolerance:.2%})"
        loaded.problems.append(Problem("error", "tolerance", share, remedy, table))


def report_of(spec: RelationalSpec, loaded: Loaded) -> dict[str, Any]:
    """Counts, verdict and problems, as the validation of one table reports them."""
    read = sum(rows for rows, _ in loaded.rows.values())
    kept = sum(rows for _, rows in loaded.rows.values())
    order = {"error": 0, "row": 1, "note": 2}
    problems = sorted(loaded.problems, key=lambda problem: order[problem.severity])
    return {
        "dataset": spec.name,
        "tables": {name: rows for name, (_, rows) in loaded.rows.items()},
        "rows_read": read,
        "rows_clean": kept,
        "rows_quarantined": read - kept,
        "rows_duplicate": 0,
        "tolerance": spec.raw.tolerance,
        "passed": loaded.passed,
        "problems": [asdict(problem) for problem in problems[:LISTED]],
        "problem_count": len(problems),
    }
