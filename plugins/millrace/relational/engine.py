"""DuckDB as the engine for SQL on this machine: bounded in memory, without the network."""

# ruff: noqa: S608 - names come from a checked spec and are quoted

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

BATCH = 2048 * 32  # rows that leave the engine at a time; a multiple of DuckDB's vectors


@contextmanager
def open_engine(
    scratch: Path, memory: str = "2g", threads: int | None = None
) -> Iterator[DuckDBPyConnection]:
    """A connection of its own; what does not fit into `memory` is written to `scratch`.

    Rows keep the order of the files, and DuckDB neither loads nor fetches extensions.

    Args:
        memory: an amount such as `2g`; DuckDB's own, so a process needs a little more.
        threads: default: one for each core.
    """
    import duckdb

    options: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory.upper() + "iB",
        "temp_directory": str(scratch / "spilled"),
        "preserve_insertion_order": True,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    if threads:
        options["threads"] = threads
    connection = duckdb.connect(":memory:", config=options)
    try:
        yield connection
    finally:
        connection.close()


def name_tables(connection: DuckDBPyConnection, files: Mapping[str, Path | Sequence[Path]]) -> None:
    """Let queries read Parquet files by the names of their tables."""
    for name, found in files.items():
        paths = [found] if isinstance(found, Path) else found
        listed = ", ".join(text(str(path)) for path in paths)
        connection.execute(f"CREATE VIEW {quoted(name)} AS SELECT * FROM read_parquet([{listed}])")


def quoted(name: str) -> str:
    """An identifier in SQL."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A text in SQL."""
    return "'" + value.replace("'", "''") + "'"
